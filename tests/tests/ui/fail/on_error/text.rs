use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_error = "failed")]
async fn count() -> u64 {
    1
}

fn main() {}
