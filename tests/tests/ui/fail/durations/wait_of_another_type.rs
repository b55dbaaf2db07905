use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s", wait = Some(TTL))]
async fn book(seat_id: u64, user: &str) -> Result<(), LockError> {
    println!("{seat_id} {user}");
    Ok(())
}

const TTL: std::time::Duration = std::time::Duration::from_secs(2);

fn main() {}
