//! On what terms a lease is held.

use std::time::Duration;

use crate::{
    key::LockKey,
    lock_error::LockError,
    validity::{FAR, TTL_RANGE},
};

/// What becomes of a body whose lease is lost.
///
/// # Default
///
/// [`Cancel`](Self::Cancel).
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::{LockManager, OnLost};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockguard::LockError> {
/// let manager = LockManager::memory();
/// let request = manager.lock("report:daily", Duration::from_millis(50));
/// let rows = request.on_lost(OnLost::Finish).run(async |lease| {
///     // Longer than the lease lasts.
///     tokio::time::sleep(Duration::from_millis(80)).await;
///     assert!(!lease.is_held());
///     42
/// });
/// assert_eq!(rows.await?, 42);
/// assert_eq!(manager.finished_late(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnLost {
    /// The body is dropped at its first poll after the loss, and the caller
    /// gets [`LockError::Lost`](crate::LockError::Lost).
    #[default]
    Cancel,
    /// The body goes on, and may not be alone any more; its value is returned,
    /// with a warning and a count.
    ///
    /// For work that is worse cut short than done twice.
    /// [`Lease::check`](crate::Lease::check), [`is_held`](crate::Lease::is_held)
    /// and [`lost`](crate::Lease::lost) tell the body of the loss.
    Finish,
}

/// What a request says besides key and ttl about how its lease is held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terms {
    /// Renew the lease while it is held, at most this long.
    pub(crate) max_hold: Option<Duration>,
    /// Keep the lock at least this long.
    pub(crate) min_hold: Duration,
    pub(crate) on_lost: OnLost,
}

impl Terms {
    /// How long a lease of this ttl may last.
    pub(crate) fn longest(&self, ttl: Duration) -> Duration {
        self.max_hold.map_or(ttl, |max_hold| max_hold.min(FAR))
    }

    /// Why no lease of this ttl can be held on these terms, if none can.
    pub(crate) fn problem(&self, ttl: Duration) -> Option<String> {
        let min_hold = self.min_hold;
        match self.max_hold {
            Some(max_hold) if max_hold < ttl => Some(format!(
                "its max_hold of {max_hold:?} is shorter than its ttl of {ttl:?}; give at least \
                 the ttl, or no max_hold: the ttl alone is a time limit"
            )),
            Some(max_hold) if min_hold > max_hold => Some(format!(
                "its min_hold of {min_hold:?} is longer than its max_hold of {max_hold:?}; give \
                 at most the max_hold"
            )),
            None if min_hold > ttl => Some(format!(
                "its min_hold of {min_hold:?} is longer than its ttl of {ttl:?}; give at most \
                 the ttl, or a max_hold to renew the lock for that long"
            )),
            Some(_) | None => None,
        }
    }
}

/// Refuses a ttl that is too short or too long.
pub(crate) fn check_ttl(key: &LockKey, ttl: Duration) -> Result<(), LockError> {
    if TTL_RANGE.contains(&ttl) {
        return Ok(());
    }
    let reason = format!("its ttl is {ttl:?}; give one within 10ms and 24h");
    Err(LockError::invalid_options(key, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn problem(ttl: u64, max_hold: Option<u64>, min_hold: u64) -> Option<String> {
        let terms = Terms {
            max_hold: max_hold.map(secs),
            min_hold: secs(min_hold),
            on_lost: OnLost::Cancel,
        };
        terms.problem(secs(ttl))
    }

    #[test]
    fn a_max_hold_shorter_than_the_ttl_is_refused() {
        assert!(problem(10, Some(9), 0).unwrap().contains("max_hold of 9s"));
        assert_eq!(problem(10, Some(10), 0), None);
    }

    #[test]
    fn a_min_hold_longer_than_the_ttl_needs_a_max_hold() {
        let problem_is = problem(10, None, 11).unwrap();
        assert!(problem_is.contains("a max_hold to renew"), "{problem_is}");
        assert_eq!(problem(10, None, 10), None);
        assert_eq!(problem(10, Some(60), 11), None);
    }

    #[test]
    fn a_min_hold_longer_than_the_max_hold_is_refused() {
        assert!(problem(10, Some(60), 61).is_some());
        assert_eq!(problem(10, Some(60), 60), None);
    }

    #[test]
    fn a_max_hold_without_end_is_cut_to_what_an_instant_holds() {
        let terms = Terms {
            max_hold: Some(Duration::MAX),
            ..Terms::default()
        };
        assert_eq!(terms.longest(secs(10)), FAR);
    }
}
