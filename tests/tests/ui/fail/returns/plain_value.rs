use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
async fn count() -> u64 {
    1
}

fn main() {}
