async fn book(seat_id: u64, user: &str) -> Result<String, LockError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = __lockguard::request_at(
            &["seat:", ""],
            &[&seat_id],
            2000,
            __lockguard::concat!(__lockguard::module_path!(), "::book"),
        )
        .wait(__lockguard::Duration::from_millis(5000));
    return __lockguard::locked::<
        Result<String, LockError>,
        _,
    >(
            __lockguard_request,
            async move {
                let _ = &seat_id;
                if false {
                    return __lockguard::never::<Result<String, LockError>>();
                }
                { Ok(format!("seat {seat_id} for {user}")) }
            },
        )
        .await;
}
