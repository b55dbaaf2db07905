use lockguard::{LockError, distributed_lock};

#[distributed_lock(keys = ["seat:{seatid}", "user:{user}"], ttl = "2s")]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

fn main() {}
