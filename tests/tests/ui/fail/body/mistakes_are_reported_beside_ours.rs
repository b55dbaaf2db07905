use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seatid}", ttl = "2s")]
async fn book(seat_id: u64) -> Result<u64, LockError> {
    Ok(seat_id.length())
}

fn main() {}
