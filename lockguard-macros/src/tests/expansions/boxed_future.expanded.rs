fn book<'a>(
    seat_id: u64,
) -> Pin<Box<dyn Future<Output = Result<Ticket, BookingError>> + Send + 'a>> {
    let seat = seat(seat_id);
    Box::pin(async move {
        use ::lockguard::__private as __lockguard;
        let __lockguard_request = {
            let __lockguard_key = __lockguard::key(&["seat:", ""], &[&seat_id]);
            let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
            __lockguard::request(
                __lockguard_key,
                __lockguard_ttl,
                __lockguard::concat!(__lockguard::module_path!(), "::book"),
            )
        };
        return __lockguard::locked::<
            Result<Ticket, BookingError>,
            _,
        >(
                __lockguard_request,
                async move {
                    #[allow(unreachable_code)]
                    if false {
                        let __lockguard_output: Result<Ticket, BookingError> = loop {};
                        return __lockguard_output;
                    }
                    { reserve(seat).await }
                },
            )
            .await;
    })
}
