use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_error = async |_| 0)]
async fn count() -> u64 {
    1
}

fn main() {}
