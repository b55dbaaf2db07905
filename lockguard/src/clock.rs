//! Timers, where there is a runtime to drive them.

use std::pin::pin;

use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

/// Awaits the future until `deadline`; `None` when that came first.
///
/// The future is polled at least once.
/// Outside a tokio runtime there are no timers: the future alone decides then,
/// which only the memory backend ever meets.
pub(crate) async fn until<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let future = pin!(future);
    if Handle::try_current().is_ok() {
        timeout_at(deadline, future).await.ok()
    } else {
        Some(future.await)
    }
}
