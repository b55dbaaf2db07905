/// Documented.
#[must_use]
pub(crate) async fn report<T>(&self, day: Day, _guard: Transaction) -> Report
where
    T: Format,
{
    #![allow(deprecated)]
    use crate::framework::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = __lockguard::raw_key(&format!("report:{}", day.number()));
        let __lockguard_ttl: __lockguard::Duration = self.settings.ttl();
        let __lockguard_wait: __lockguard::Duration = WAIT;
        let __lockguard_manager = __lockguard::manager_of(&self.locks);
        __lockguard::request_of(
                __lockguard_manager,
                __lockguard_key,
                __lockguard_ttl,
                "nightly report",
            )
            .wait(__lockguard_wait)
    };
    let __lockguard_acquire = __lockguard::acquire(__lockguard_request);
    let __lockguard_acquired = match __lockguard::unless_busy(
        __lockguard_acquire.await,
    ) {
        __lockguard::Ok(__lockguard_acquired) => __lockguard_acquired,
        __lockguard::Err(_) => {
            let __lockguard_value: Report = if false {
                __lockguard::never()
            } else {
                Report::later(day).await?
            };
            return __lockguard_value;
        }
    };
    return match __lockguard::locked_since(
            __lockguard_acquired,
            async move {
                #[allow(clippy::used_underscore_binding)]
                let _ = &_guard;
                let _ = &day;
                let lease = __lockguard::lease();
                if false {
                    return __lockguard::never::<Report>();
                }
                { self.write::<T>(&day, lease) }
            },
        )
        .await
    {
        __lockguard::Ok(__lockguard_value) => __lockguard_value,
        __lockguard::Err(__lockguard_error) => {
            __lockguard::on_error::<
                Report,
            >(|error| Report::failed(error), __lockguard_error)
        }
    };
}
