use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s", on_busy = skip)]
async fn nightly() {}

fn main() {}
