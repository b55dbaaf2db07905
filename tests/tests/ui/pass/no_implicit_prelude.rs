//! An expansion names nothing that the prelude would have to bring.
#![no_implicit_prelude]

use ::lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat_id:>04}", ttl = "2s", wait = "1s")]
async fn book(seat_id: u64) -> ::std::result::Result<u64, LockError> {
    ::std::result::Result::Ok(seat_id)
}

fn main() {
    ::std::mem::drop(book(1));
}
