use lockguard::distributed_lock;

#[derive(Debug)]
struct BookingError;

type Booking<T> = Result<T, BookingError>;

#[distributed_lock(key = "k", ttl = "2s")]
async fn book() -> Booking<u64> {
    Err(BookingError)
}

fn main() {}
