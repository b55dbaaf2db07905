use lockguard::{LockError, distributed_lock};

trait Shop {
    #[distributed_lock(key = "shop", ttl = "2s")]
    async fn close(&self) -> Result<(), LockError>;
}

fn main() {}
