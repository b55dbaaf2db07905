use lockguard::distributed_lock;

#[distributed_lock(key = "k", ttl = "2s")]
pub extern "C" fn book() {}

fn main() {}
