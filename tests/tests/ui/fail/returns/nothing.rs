use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
async fn sweep() {}

fn main() {}
