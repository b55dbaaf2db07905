use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book(text: &str) -> Result<u64, LockError> {
    Ok(text.parse::<u64>()?)
}

fn main() {}
