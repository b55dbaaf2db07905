#[distributed_lock(key = "seat:{seat_id}", ttl = "2s")]
fn book<'a>(seat_id: u64) -> Pin<Box<dyn Future<Output = Result<Ticket, BookingError>> + Send + 'a>> {
    let seat = seat(seat_id);
    Box::pin(async move { reserve(seat).await })
}
