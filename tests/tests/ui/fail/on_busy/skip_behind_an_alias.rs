use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s", on_busy = skip)]
async fn book(seat_id: u64) -> Answer {
    Ok(seat_id)
}

type Answer = Result<u64, LockError>;

fn main() {}
