use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_busy = skip)]
async fn nightly() -> Option<u64> {
    Some(1)
}

fn main() {}
