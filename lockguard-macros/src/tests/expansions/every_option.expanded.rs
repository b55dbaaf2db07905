/// Documented.
#[must_use]
pub(crate) async fn report<T>(&self, day: Day, _guard: Transaction) -> Report
where
    T: Format,
{
    #![allow(deprecated)]
    use crate::framework::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = __lockguard::raw_key(
                &format!("report:{}", day.number()),
            );
            let __lockguard_ttl: __lockguard::Duration = self.settings.ttl();
            let __lockguard_wait: __lockguard::Duration = WAIT;
            let __lockguard_manager = __lockguard::manager_of(&self.locks);
            __lockguard::acquire(
                __lockguard::request(
                        __lockguard_manager,
                        __lockguard_key,
                        __lockguard_ttl,
                        "nightly report",
                    )
                    .wait(__lockguard_wait),
            )
        };
        let __lockguard_guard = match __lockguard_acquire.await {
            __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
            __lockguard::Err(__lockguard_error) => {
                match __lockguard::if_busy(__lockguard_error) {
                    __lockguard::Ok(_) => {
                        let __lockguard_value: Report = Report::later(day).await?;
                        #[allow(unreachable_code)] return __lockguard_value;
                    }
                    __lockguard::Err(__lockguard_error) => {
                        break '__lockguard_failed __lockguard_error;
                    }
                }
            }
        };
        let __lockguard_value = {
            let lease = __lockguard::lease(&__lockguard_guard);
            let __lockguard_body = async move {
                #[allow(clippy::used_underscore_binding)]
                let _ = &_guard;
                let _ = &day;
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Report,
                >() {
                    return __lockguard_output;
                }
                { self.write::<T>(&day, lease) }
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
    return __lockguard::on_error::<
        Report,
    >(|error| Report::failed(error), __lockguard_error);
}
