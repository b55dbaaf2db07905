use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book(seat_id: u64) -> Result<u64, LockError> {
    if seat_id == 0 {
        return 0;
    }
    Ok(seat_id)
}

fn main() {}
