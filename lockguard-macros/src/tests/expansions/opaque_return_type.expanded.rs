async fn seats() -> Result<
    impl Iterator<Item = Seat>,
    (LockError, Vec<Box<impl Error>>),
> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = __lockguard::raw_key(&KEY);
        let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
        __lockguard::request(
            __lockguard_key,
            __lockguard_ttl,
            __lockguard::concat!(__lockguard::module_path!(), "::seats"),
        )
    };
    return __lockguard::locked::<
        Result<_, (LockError, Vec<Box<_>>)>,
        _,
    >(
            __lockguard_request,
            async move {
                #[allow(unreachable_code)]
                if false {
                    let __lockguard_output: Result<_, (LockError, Vec<Box<_>>)> = loop {};
                    return __lockguard_output;
                }
                { Ok(std::iter::empty()) }
            },
        )
        .await;
}
