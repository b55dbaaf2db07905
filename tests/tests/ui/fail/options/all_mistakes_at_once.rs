use lockguard::{LockError, distributed_lock};

#[distributed_lock(
    key = "seat:{seatid}",
    ttl = "2",
    wait = 5,
    colour = "red",
    manager = "payments",
    name = booking
)]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

fn main() {}
