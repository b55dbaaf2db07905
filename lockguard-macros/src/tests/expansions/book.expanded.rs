async fn book(seat_id: u64, user: &str) -> Result<String, LockError> {
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
        Result<String, LockError>,
        _,
    >(
            __lockguard_request,
            async move {
                let _ = &seat_id;
                #[allow(unreachable_code)]
                if false {
                    let __lockguard_output: Result<String, LockError> = loop {};
                    return __lockguard_output;
                }
                { Ok(format!("seat {seat_id} for {user}")) }
            },
        )
        .await;
}
