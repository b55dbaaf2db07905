async fn import(id: u64) -> Result<(), ImportError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = __lockguard::key(&["import:", ""], &[&id]);
        let __lockguard_ttl = __lockguard::Duration::from_millis(10000);
        let __lockguard_max_hold = __lockguard::Duration::from_millis(600000);
        let __lockguard_min_hold: __lockguard::Duration = SHORTEST;
        __lockguard::request(
                __lockguard_key,
                __lockguard_ttl,
                __lockguard::concat!(__lockguard::module_path!(), "::import"),
            )
            .max_hold(__lockguard_max_hold)
            .min_hold(__lockguard_min_hold)
            .fenced()
            .on_lost(__lockguard::OnLost::Finish)
    };
    return __lockguard::locked::<
        Result<(), ImportError>,
        _,
    >(
            __lockguard_request,
            async move {
                let _ = &id;
                let lease = __lockguard::lease();
                let token = __lockguard::fence();
                if false {
                    return __lockguard::never::<Result<(), ImportError>>();
                }
                { store(id, token, lease).await }
            },
        )
        .await;
}
