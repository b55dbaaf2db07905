use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book() -> Result<u64, LockError> {
    "one"
}

fn main() {}
