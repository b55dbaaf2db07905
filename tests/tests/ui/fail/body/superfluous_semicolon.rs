use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book() -> Result<u64, LockError> {
    Ok(1);
}

fn main() {}
