#![deny(unused_variables)]

use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book(seat_id: u64, user: String) -> Result<u64, LockError> {
    Ok(seat_id)
}

fn main() {}
