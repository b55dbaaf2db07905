use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
#[tokio::main]
async fn main() -> Result<(), LockError> {
    Ok(())
}
