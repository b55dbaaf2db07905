use lockguard::{LockError, distributed_lock};

#[distributed_lock(
    key = "k",
    ttl = "2s",
    max_hold = "1m",
    min_hold = "1s",
    on_lost = finish
)]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

fn main() {}
