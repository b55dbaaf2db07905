use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "day:{day:>04}", ttl = "2s")]
async fn ship(day: i64) -> Result<i64, LockError> {
    Ok(day)
}

fn main() {}
