#![allow(unused_imports)]

use lockguard::{LockError, distributed_lock};

#[tokio::test]
#[distributed_lock(key = "k", ttl = "2s")]
async fn books_a_seat() -> Result<(), LockError> {
    Ok(())
}

fn main() {}
