use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", min_hold = "10s")]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

fn main() {}
