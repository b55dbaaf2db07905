use lockguard::{LockError, distributed_lock};

struct Order {
    id: u64,
}

#[distributed_lock(key = "order:{order.number}", ttl = "2s")]
async fn ship(order: &Order) -> Result<u64, LockError> {
    Ok(order.id)
}

fn main() {}
