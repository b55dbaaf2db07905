use lockguard::{LockError, distributed_lock};

#[tokio::main]
#[distributed_lock(key = "k", ttl = "2s")]
async fn run() -> Result<(), LockError> {
    Ok(())
}

fn main() {
    let _ = run();
}
