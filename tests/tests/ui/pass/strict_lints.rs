//! No lint of rustc has anything to say about an expansion.
#![deny(
    warnings,
    future_incompatible,
    let_underscore_drop,
    missing_docs,
    nonstandard_style,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unreachable_pub,
    unused,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
#![forbid(dead_code, unreachable_code, unsafe_code, unused_variables)]

use lockguard::{LockError, distributed_lock};

/// Books a seat.
///
/// # Errors
///
/// When the lock is not to be had.
#[distributed_lock(key = "seat:{seat_id}:{user}", ttl = "2s", wait = "1s", name = "book")]
pub async fn book(seat_id: u64, user: &str, _owned: String) -> Result<u64, LockError> {
    let _ = user;
    Ok(seat_id)
}

#[distributed_lock(key = "bound", ttl = "2s", bind = lease)]
async fn bound() -> Result<bool, LockError> { Ok(lease.is_held()) }

#[distributed_lock(key = "skipped", ttl = "2s", on_busy = skip, on_error = drop)]
async fn skipped() {}

#[distributed_lock(key = "queued", ttl = "2s", on_busy = unreachable!("nobody else has {id}"))]
async fn queued(id: u8) -> Result<u8, LockError> { Ok(id) }

#[distributed_lock(key = "nothing", ttl = "2s", on_busy = (), on_error = drop)]
async fn unit() {}

#[distributed_lock(key = "held", ttl = "2s", max_hold = "1m", min_hold = "1s", on_lost = finish)]
async fn held() -> Result<(), LockError> { Ok(()) }

#[distributed_lock(keys = ["several", "fenced"], ttl = "2s", fence = token)]
async fn fenced() -> Result<u64, LockError> { Ok(token.get()) }

#[distributed_lock(key = "one", ttl = "2s", on_error = |_| 0)]
async fn one_line() -> u8 { 1 }

#[distributed_lock(key = "nothing", ttl = "2s", on_error = drop)]
async fn nothing() {}

#[distributed_lock(key = "a sum, ".to_owned() + name, ttl = "2s", on_error = drop)]
async fn added(name: &str) {}

#[distributed_lock(key = "panics", ttl = "2s")]
async fn panics() -> Result<(), LockError> {
    panic!("on purpose")
}

#[distributed_lock(key = "loops", ttl = "2s")]
async fn loops() -> Result<(), LockError> {
    loop {
        tokio::task::yield_now().await;
    }
}

fn main() {
    drop((book(1, "", String::new()), bound(), skipped(), queued(1), unit(), held(), fenced(), one_line(), nothing(), added(""), panics(), loops()));
}
