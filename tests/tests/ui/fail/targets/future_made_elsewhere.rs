use std::future::Future;

use lockguard::{LockError, distributed_lock};

async fn make() -> Result<(), LockError> {
    Ok(())
}

#[distributed_lock(key = "k", ttl = "2s")]
fn book() -> impl Future<Output = Result<(), LockError>> {
    make()
}

fn main() {}
