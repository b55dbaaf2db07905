use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "tenant:{tenant}", ttl = "2s")]
async fn ship(tenant: Option<&str>) -> Result<bool, LockError> {
    Ok(tenant.is_some())
}

fn main() {}
