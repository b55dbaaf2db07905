async fn book(seat_id: u64, user: &str) -> Result<Ticket, BookingError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = __lockguard::key(&["seat:", ""], &[&seat_id]);
            let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
            let __lockguard_wait = __lockguard::Duration::from_millis(5000);
            let __lockguard_manager = __lockguard::default_manager();
            __lockguard::acquire(
                __lockguard::request(
                        __lockguard_manager,
                        __lockguard_key,
                        __lockguard_ttl,
                        __lockguard::concat!(__lockguard::module_path!(), "::book"),
                    )
                    .wait(__lockguard_wait),
            )
        };
        let __lockguard_guard = match __lockguard_acquire.await {
            __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
            __lockguard::Err(__lockguard_error) => {
                break '__lockguard_failed __lockguard_error;
            }
        };
        let __lockguard_value = {
            let __lockguard_body = async move {
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
            };
            let __lockguard_body = __lockguard::pin!(__lockguard_body);
            let __lockguard_value = __lockguard::run(
                    &__lockguard_guard,
                    __lockguard_body,
                )
                .await;
            __lockguard_value
        };
        __lockguard::release(__lockguard_guard).await;
        match __lockguard_value {
            __lockguard::Ok(__lockguard_value) => return __lockguard_value,
            __lockguard::Err(__lockguard_error) => __lockguard_error,
        }
    };
    return __lockguard::fail::<Result<Ticket, BookingError>>(__lockguard_error);
}
