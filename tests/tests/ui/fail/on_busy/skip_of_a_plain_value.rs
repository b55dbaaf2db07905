use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_busy = skip, on_error = |_| 0)]
async fn count() -> u64 {
    1
}

fn main() {}
