use async_trait::async_trait;
use lockguard::distributed_lock;

#[derive(Debug)]
struct BookingError;

#[async_trait]
trait Shop {
    #[distributed_lock(key = "k", ttl = "2s")]
    async fn book(&self) -> Result<u64, BookingError> {
        Err(BookingError)
    }
}

fn main() {}
