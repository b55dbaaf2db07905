//! Waiting for a condition with a deadline.

use std::{thread, time::Duration};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// Waits until `is_true` says so, outside a runtime.
///
/// # Panics
///
/// When `deadline` has passed first.
#[track_caller]
pub fn eventually_blocking(deadline: Duration, mut is_true: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + deadline;
    while !is_true() {
        assert!(
            std::time::Instant::now() < end,
            "the condition was still false after {deadline:?}"
        );
        thread::sleep(INTERVAL);
    }
}
