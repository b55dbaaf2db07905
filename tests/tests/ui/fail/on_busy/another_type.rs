use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s", on_busy = Ok("busy"))]
async fn book(seat_id: u64) -> Result<u64, LockError> {
    Ok(seat_id)
}

fn main() {}
