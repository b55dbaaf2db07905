use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
async fn find() -> Option<u64> {
    None
}

fn main() {}
