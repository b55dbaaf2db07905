use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_error = |_| name)]
async fn rename(name: String) -> String {
    name + "!"
}

fn main() {}
