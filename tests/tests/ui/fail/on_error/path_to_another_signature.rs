use lockguard::distributed_lock;

fn rescue(text: &str) -> u64 {
    text.len() as u64
}

#[distributed_lock(key = "k", ttl = "2s", on_error = rescue)]
async fn count() -> u64 {
    1
}

fn main() {}
