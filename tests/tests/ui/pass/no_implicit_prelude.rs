//! An expansion names nothing that the prelude would have to bring.
#![no_implicit_prelude]

use ::lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat_id:>04}", ttl = "2s", wait = "1s")]
async fn book(seat_id: u64) -> ::std::result::Result<u64, LockError> {
    ::std::result::Result::Ok(seat_id)
}

#[distributed_lock(key = "skipped", ttl = "2s", on_busy = skip, bind = _lease, on_lost = finish, max_hold = "1m")]
async fn skipped() -> ::std::result::Result<(), LockError> {
    ::std::result::Result::Ok(())
}

fn main() {
    ::std::mem::drop(skipped());
    ::std::mem::drop(book(1));
}
