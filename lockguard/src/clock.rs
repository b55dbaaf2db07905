//! Timers and waiting, with or without a tokio runtime.

use std::{
    future::poll_fn,
    pin::pin,
    sync::mpsc,
    task::Poll,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    task::unconstrained,
    time::Instant,
};

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
pub(crate) fn until_unless<T>(
    keeps_time: bool,
    deadline: impl FnOnce() -> Instant,
    future: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    let mut deadline = (!keeps_time).then_some(deadline);
    async move {
        let mut future = pin!(future);
        // Boxed where it is needed: most futures of ours never make one.
        let mut timer = None;
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
/// By a timer of the runtime that polls it: what was begun on one that has ended
/// goes on in the background on another.
/// A runtime must have its timers enabled.
pub(crate) async fn sleep_until(deadline: Instant) {
    let mut rings = pin!(rings_at(deadline));
    let mut home = runtime_here();
    poll_fn(|cx| {
        let here = runtime_here();
        if here != home {
            home = here;
            rings.set(rings_at(deadline));
        }
        rings.as_mut().poll(cx)
    })
    .await;
}

/// The tokio runtime that this is called on, if it is one.
pub(crate) fn runtime_here() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

/// Resolves at `deadline`, by a timer of the runtime that first polls it.
///
/// Outside a tokio runtime, where only the memory backend is at home, a
/// thread of its own stands in for tokio's timer; it ends with the future.
async fn rings_at(deadline: Instant) {
    if runtime_here().is_some() {
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

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn a_timer_of_a_runtime_that_has_ended_goes_on_on_another() {
        let [first, second] = [(); 2].map(|()| Runtime::new().unwrap());
        let begun = Instant::now();
        let pause = Duration::from_millis(50);
        let mut slept = pin!(sleep(pause));
        let mut is_pending =
            async || poll_fn(|cx| Poll::Ready(slept.as_mut().poll(cx).is_pending())).await;
        assert!(first.block_on(is_pending()));
        drop(first);
        assert!(second.block_on(is_pending()));
        drop(second);
        Runtime::new().unwrap().block_on(slept);
        assert!(begun.elapsed() >= pause);
    }
}
