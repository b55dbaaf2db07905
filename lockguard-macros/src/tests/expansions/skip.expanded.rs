async fn nightly() {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = __lockguard::request_at(
            &["job:nightly"],
            &[],
            60000,
            __lockguard::concat!(__lockguard::module_path!(), "::nightly"),
        )
        .wait(__lockguard::Duration::from_millis(0));
    return match __lockguard::try_locked(
            __lockguard_request,
            async move {
                if false {
                    return __lockguard::never::<()>();
                }
                {
                    work().await;
                }
            },
        )
        .await
    {
        __lockguard::Ok(__lockguard_value) => __lockguard_value,
        __lockguard::Err(__lockguard_error) => {
            match __lockguard::if_not_busy(__lockguard_error) {
                __lockguard::Ok(__lockguard_error) => {
                    __lockguard::on_error::<()>(lockguard::log, __lockguard_error)
                }
                __lockguard::Err(_) => __lockguard::skipped::<()>(),
            }
        }
    };
}
