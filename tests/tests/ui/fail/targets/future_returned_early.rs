use std::{future::Future, pin::Pin};

use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat}", ttl = "2s")]
fn book(seat: u64) -> Pin<Box<dyn Future<Output = Result<u64, LockError>>>> {
    if seat == 0 {
        return Box::pin(async { Ok(0) });
    }
    Box::pin(async move { Ok(seat) })
}

fn main() {
    drop(book(1));
}
