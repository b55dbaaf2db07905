/// Documented.
#[distributed_lock(
    key = format!("report:{}", day.number()),
    ttl = self.settings.ttl(),
    wait = WAIT,
    bind = lease,
    on_busy = Report::later(day).await?,
    on_error = |error| Report::failed(error),
    manager = self.locks,
    name = "nightly report",
    crate = crate::framework::lockguard,
)]
#[must_use]
pub(crate) async fn report<T>(&self, day: Day, _guard: Transaction) -> Report
where
    T: Format,
{
    #![allow(deprecated)]
    self.write::<T>(&day, lease)
}
