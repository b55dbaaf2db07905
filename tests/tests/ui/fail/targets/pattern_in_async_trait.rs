use lockguard::{LockError, distributed_lock};

#[async_trait::async_trait]
trait Shop {
    #[distributed_lock(key = "shop:{floor}", ttl = "2s")]
    async fn close(&self, (floor, _door): (u8, u8)) -> Result<u8, LockError> {
        Ok(floor)
    }
}

fn main() {}
