//! Timers and waiting, with or without a tokio runtime.

use std::{
    future::poll_fn,
    pin::pin,
    sync::mpsc,
    task::Poll,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{runtime::Handle, sync::oneshot, task::unconstrained, time::Instant};

use crate::backend::BoxFuture;

/// Awaits the future until `deadline`; `None` when that came first.
///
/// The future is polled once before a timer is made, so that what is ready
/// costs no timer.
pub(crate) fn until<T>(
    deadline: Instant,
    future: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    until_unless(false, move || deadline, future)
}

/// As [`until`], by the deadline that is given where the future is not ready; a
/// future that keeps time by itself costs no timer, and is awaited until it is.
pub(crate) async fn until_unless<T>(
    keeps_time: bool,
    deadline: impl FnOnce() -> Instant,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    // Boxed where it is needed: most futures of ours never make one.
    let (mut deadline, mut timer) = ((!keeps_time).then_some(deadline), None);
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        if let Some(deadline) = deadline.take() {
            // A future that uses up the task's budget must not keep it from
            // ringing.
            timer = Some(Box::pin(unconstrained(sleep_until(deadline()))));
        }
        match &mut timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// The wall clock in µs since 1970, for two things that are right without it:
/// fencing tokens rise with it where a server has lost its data, and tickets put
/// the waiters of several processes into their order.
pub(crate) fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Awaits all these futures, and returns what they come to in their order.
pub(crate) async fn all<T>(futures: Vec<BoxFuture<'static, T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Err).collect();
    poll_fn(|cx| {
        let mut is_done = true;
        for slot in &mut futures {
            if let Err(future) = slot {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *slot = Ok(value),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(Result::ok).collect()
}

/// Resolves at `deadline`.
///
/// Outside a tokio runtime, where only the memory backend is at home, a
/// thread of its own stands in for tokio's timer; it ends with the future.
/// A runtime must have its timers enabled.
pub(crate) async fn sleep_until(deadline: Instant) {
    if Handle::try_current().is_ok() {
        tokio::time::sleep_until(deadline).await;
        return;
    }
    let (wake, woken) = oneshot::channel();
    let (keep, left) = mpsc::channel::<()>();
    thread::spawn(move || {
        let _ = left.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let _ = wake.send(());
    });
    let _ = woken.await;
    drop(keep);
}

/// As [`sleep_until`], from now.
pub(crate) async fn sleep(pause: Duration) {
    sleep_until(Instant::now() + pause).await;
}
