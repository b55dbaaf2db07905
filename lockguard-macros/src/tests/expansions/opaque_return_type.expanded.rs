async fn seats() -> Result<
    impl Iterator<Item = Seat>,
    (LockError, Vec<Box<impl Error>>),
> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = __lockguard::raw_key(&KEY);
            let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
            let __lockguard_manager = __lockguard::default_manager();
            __lockguard::acquire(
                __lockguard::request(
                    __lockguard_manager,
                    __lockguard_key,
                    __lockguard_ttl,
                    __lockguard::concat!(__lockguard::module_path!(), "::seats"),
                ),
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
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Result<_, (LockError, Vec<Box<_>>)>,
                >() {
                    return __lockguard_output;
                }
                { Ok(std::iter::empty()) }
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
    return __lockguard::fail::<Result<_, (LockError, Vec<Box<_>>)>>(__lockguard_error);
}
