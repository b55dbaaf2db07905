fn book<'a>(
    seat_id: u64,
) -> Pin<Box<dyn Future<Output = Result<Ticket, BookingError>> + Send + 'a>> {
    let seat = seat(seat_id);
    Box::pin(async move {
        use ::lockguard::__private as __lockguard;
        let __lockguard_request = __lockguard::request_at(
            &["seat:", ""],
            &[&seat_id],
            2000,
            __lockguard::concat!(__lockguard::module_path!(), "::book"),
        );
        return __lockguard::locked::<
            Result<Ticket, BookingError>,
            _,
        >(
                __lockguard_request,
                async move {
                    if false {
                        return __lockguard::never::<Result<Ticket, BookingError>>();
                    }
                    { reserve(seat).await }
                },
            )
            .await;
    })
}
