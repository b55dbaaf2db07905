#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", wait = "5s")]
async fn book(seat_id: u64, user: &str) -> Result<String, LockError> {
    Ok(format!("seat {seat_id} for {user}"))
}
