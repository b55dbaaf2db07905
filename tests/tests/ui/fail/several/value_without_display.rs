use lockguard::{LockError, distributed_lock};

struct Seat(u64);

#[distributed_lock(keys = ["seat:{from}", "seat:{to.0}"], ttl = "2s")]
async fn swap(from: Seat, to: Seat) -> Result<u64, LockError> {
    Ok(from.0 + to.0)
}

fn main() {}
