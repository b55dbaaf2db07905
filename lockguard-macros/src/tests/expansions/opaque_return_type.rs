#[distributed_lock(key = KEY, ttl = "2s")]
async fn seats() -> Result<impl Iterator<Item = Seat>, (LockError, Vec<Box<impl Error>>)> {
    Ok(std::iter::empty())
}
