use lockguard::distributed_lock;

#[derive(Debug)]
struct BookingError;

#[distributed_lock(key = "k", ttl = "2s")]
async fn book() -> Result<u64, BookingError> {
    Err(BookingError)
}

fn main() {}
