use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s", name = "seat:{seat_id}")]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

fn main() {}
