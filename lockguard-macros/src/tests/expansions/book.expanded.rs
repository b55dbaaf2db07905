async fn book(seat_id: u64, user: &str) -> Result<Ticket, BookingError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = __lockguard::key(&["seat:", ""], &[&seat_id]);
        let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
        let __lockguard_wait = __lockguard::Duration::from_millis(5000);
        __lockguard::request(
                __lockguard_key,
                __lockguard_ttl,
                __lockguard::concat!(__lockguard::module_path!(), "::book"),
            )
            .wait(__lockguard_wait)
    };
    return __lockguard::locked::<
        Result<Ticket, BookingError>,
        _,
    >(
            __lockguard_request,
            async move {
                let _ = &seat_id;
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Result<Ticket, BookingError>,
                >() {
                    return __lockguard_output;
                }
                {
                    let ticket = reserve(seat_id, user).await?;
                    Ok(ticket)
                }
            },
        )
        .await;
}
