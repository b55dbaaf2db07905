//! A framework re-exports lockguard under a path of its own.
mod framework {
    pub mod locks {
        pub use lockguard::*;
    }
}

use framework::locks::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", crate = framework::locks)]
async fn book(seat_id: u64) -> Result<u64, LockError> {
    Ok(seat_id)
}

#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", crate = crate::framework::locks)]
async fn absolute(seat_id: u64) -> Result<u64, LockError> {
    Ok(seat_id)
}

fn main() {
    drop((book(1), absolute(1)));
}
