use lockguard::distributed_lock;

struct Seat;

#[distributed_lock(key = "k", ttl = "2s")]
impl Seat {
    async fn book(&self) {}
}

fn main() {}
