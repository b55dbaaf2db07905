#[distributed_lock(key = "job:nightly", ttl = "1m", on_busy = skip, on_error = lockguard::log)]
async fn nightly() {
    work().await;
}
