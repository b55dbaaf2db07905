use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
fn book() -> Result<(), LockError> {
    Ok(())
}

fn main() {}
