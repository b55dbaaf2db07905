use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
struct Seat {
    _id: u64,
}

fn main() {}
