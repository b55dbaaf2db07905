use lockguard::distributed_lock;

type Failure = Box<dyn std::error::Error>;

#[distributed_lock(key = "k", ttl = "2s")]
async fn book() -> Result<(), Failure> {
    Ok(())
}

fn spawn(_future: impl Future + Send) {}

fn main() {
    spawn(book());
}
