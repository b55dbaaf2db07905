//! What a lint suggests to write before the body is suggested there.
#![deny(async_fn_in_trait)]

use lockguard::{LockError, distributed_lock};

pub trait Seats {
    #[distributed_lock(key = "seat:{seat}", ttl = "2s")]
    async fn book(&self, seat: u64) -> Result<u64, LockError> {
        Ok(seat)
    }
}

fn main() {}
