async fn import(id: u64) -> Result<(), ImportError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = __lockguard::key(&["import:", ""], &[&id]);
            let __lockguard_ttl = __lockguard::Duration::from_millis(10000);
            let __lockguard_max_hold = __lockguard::Duration::from_millis(600000);
            let __lockguard_min_hold: __lockguard::Duration = SHORTEST;
            let __lockguard_manager = __lockguard::default_manager();
            __lockguard::acquire(
                __lockguard::request(
                        __lockguard_manager,
                        __lockguard_key,
                        __lockguard_ttl,
                        __lockguard::concat!(__lockguard::module_path!(), "::import"),
                    )
                    .max_hold(__lockguard_max_hold)
                    .min_hold(__lockguard_min_hold)
                    .fenced()
                    .on_lost(__lockguard::OnLost::Finish),
            )
        };
        let __lockguard_guard = match __lockguard_acquire.await {
            __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
            __lockguard::Err(__lockguard_error) => {
                break '__lockguard_failed __lockguard_error;
            }
        };
        let __lockguard_value = {
            let lease = __lockguard::lease(&__lockguard_guard);
            let token = __lockguard::fence(&__lockguard_guard);
            let __lockguard_body = async move {
                let _ = &id;
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Result<(), ImportError>,
                >() {
                    return __lockguard_output;
                }
                { store(id, token, lease).await }
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
    return __lockguard::fail::<Result<(), ImportError>>(__lockguard_error);
}
