use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", bind = lease)]
async fn book(seat_id: u64) -> Result<u64, LockError> {
    let _ = seat_id;
    Ok(lease)
}

fn main() {}
