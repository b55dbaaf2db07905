//! Waiting for a condition with a deadline.

use std::time::Duration;

use lockguard::LockRequest;

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// Waits until `is_true` says so.
///
/// Time goes through `tokio::time`, so that a paused clock drives it.
///
/// # Panics
///
/// When `deadline` has passed first.
#[track_caller]
pub fn eventually(
    deadline: Duration,
    mut is_true: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let end = tokio::time::Instant::now() + deadline;
        while !is_true() {
            assert!(
                tokio::time::Instant::now() < end,
                "the condition at {caller} was still false after {deadline:?}"
            );
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Asks for a lock until it is granted, and gives it back.
///
/// # Panics
///
/// When it is not for longer than `deadline`, or not for want of servers.
pub async fn eventually_locks(deadline: Duration, request: impl Fn() -> LockRequest) {
    let end = std::time::Instant::now() + deadline;
    loop {
        match request().acquire().await {
            Ok(guard) => {
                guard.release().await.expect("a lock that is given back");
                return;
            }
            Err(error) => assert!(
                error.is_unavailable() && std::time::Instant::now() < end,
                "{error}"
            ),
        }
    }
}
