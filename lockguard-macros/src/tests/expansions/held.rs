#[distributed_lock(
    key = "import:{id}",
    ttl = "10s",
    max_hold = "10m",
    min_hold = SHORTEST,
    fence = token,
    bind = lease,
    on_lost = finish
)]
async fn import(id: u64) -> Result<(), ImportError> {
    store(id, token, lease).await
}
