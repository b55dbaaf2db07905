use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn book(text: &str) -> Result<usize, LockError> {
    Ok(text.length())
}

fn main() {}
