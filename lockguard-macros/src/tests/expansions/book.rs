#[distributed_lock(key = "seat:{seat_id}", ttl = "2s", wait = "5s")]
async fn book(seat_id: u64, user: &str) -> Result<Ticket, BookingError> {
    let ticket = reserve(seat_id, user).await?;
    Ok(ticket)
}
