use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "day:{day:>04}", ttl = "2s")]
async fn ship(day: String) -> Result<String, LockError> {
    Ok(day)
}

fn main() {}
