use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
const fn book() {}

fn main() {}
