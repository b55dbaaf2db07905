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
                if false {
                    return __lockguard::never::<Result<_, (LockError, Vec<Box<_>>)>>();
                }
                { Ok(std::iter::empty()) }
            },
        )
        .await;
}
