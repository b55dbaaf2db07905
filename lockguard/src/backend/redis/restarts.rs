//! What restarts of a node have to do with its vote.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{backend::Epochs, validity::FAR};

/// What becomes of locks when a node has restarted, and may have lost them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnRestart {
    /// It is the only node: all leases end at once.
    #[default]
    EndLeases,
    /// One of several: it gives no vote until the locks that it may have
    /// granted have expired; `None`: for as long as the longest ttl that was
    /// used here, at most [`LONGEST_DERIVED`].
    KeepOut(Option<Duration>),
    /// Every other node is needed for a quorum as well, and one that has
    /// forgotten a lock is outvoted.
    Nothing,
}

/// The longest that a node is kept out where nobody said how long.
const LONGEST_DERIVED: Duration = Duration::from_secs(60);

/// Twice the clock skew that fencing allows: for so much longer a node that
/// may have lost its fences is kept out of fenced acquires.
const FENCED_EXTRA: Duration = Duration::from_secs(20);

/// The runs of one node that this process has seen.
pub(super) struct Restarts {
    rule: OnRestart,
    epochs: Epochs,
    longest_ttl_millis: AtomicU64,
    state: Mutex<State>,
    /// Most nodes never restart, and need no look at the state and the clock.
    has_restarted: AtomicBool,
}

#[derive(Default)]
struct State {
    run: Option<String>,
    /// When the last restart was noticed.
    noticed: Option<Instant>,
}

impl Restarts {
    pub(super) fn new(rule: OnRestart) -> Self {
        Self {
            rule,
            epochs: Epochs::new(),
            longest_ttl_millis: AtomicU64::new(0),
            state: Mutex::default(),
            has_restarted: AtomicBool::new(false),
        }
    }

    /// Tells when all leases end; `None` where restarts do not end them.
    pub(super) fn epochs(&self) -> Option<Epochs> {
        (self.rule == OnRestart::EndLeases).then(|| self.epochs.clone())
    }

    /// Notes that a key may be kept for so long without another request.
    pub(super) fn used(&self, ttl: Duration) {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if self.longest_ttl_millis.load(Ordering::Relaxed) < millis {
            self.longest_ttl_millis.fetch_max(millis, Ordering::Relaxed);
        }
    }

    /// Notes which run of the node is connected to; whether it is another than
    /// before.
    ///
    /// To be called before anything is sent to it.
    pub(super) fn connected(&self, run: Option<&str>, now: Instant) -> bool {
        let Some(run) = run else {
            return false;
        };
        let mut state = self.state.lock();
        let before = state.run.replace(run.to_owned());
        let is_restart = before.is_some_and(|before| before != run);
        if is_restart {
            state.noticed = Some(now);
            self.has_restarted.store(true, Ordering::Release);
        }
        drop(state);
        if is_restart && self.rule == OnRestart::EndLeases {
            self.epochs.end();
        }
        is_restart
    }

    /// Why the node gives no vote for an acquire now, if it does not.
    pub(super) fn refusal_now(&self, is_fenced: bool) -> Option<String> {
        if !self.has_restarted.load(Ordering::Acquire) {
            return None;
        }
        let noticed = self.state.lock().noticed?;
        self.refusal(is_fenced, noticed.elapsed())
    }

    /// The same, so long after the restart was noticed.
    fn refusal(&self, is_fenced: bool, ago: Duration) -> Option<String> {
        let left = self.delay(is_fenced)?.checked_sub(ago)?;
        if left.is_zero() {
            return None;
        }
        let what = if is_fenced {
            "its old locks have expired and clocks are past its old fencing tokens"
        } else {
            "its old locks have expired"
        };
        Some(format!(
            "restarted {:.1}s ago, and kept out for another {:.1}s, until {what}",
            ago.as_secs_f64(),
            left.as_secs_f64()
        ))
    }

    /// What there is to say of a restart that was noticed lately.
    pub(super) fn warning(&self, now: Instant) -> Option<String> {
        let noticed = self.state.lock().noticed?;
        let ago = now.saturating_duration_since(noticed);
        let kept_out = self
            .refusal(false, ago)
            .or_else(|| Some(format!("for fenced locks: {}", self.refusal(true, ago)?)));
        if kept_out.is_some() {
            return kept_out;
        }
        let so_what = match self.rule {
            OnRestart::EndLeases => "the leases of before have ended",
            OnRestart::KeepOut(_) => "its vote counts all the same",
            OnRestart::Nothing => "a lock that it has lost is kept by the others",
        };
        (ago < LONGEST_DERIVED).then(|| {
            format!(
                "restarted {:.1}s ago, and may have lost its locks; {so_what}",
                ago.as_secs_f64()
            )
        })
    }

    /// How long the node gives no vote after a restart; `None` where it always
    /// does.
    fn delay(&self, is_fenced: bool) -> Option<Duration> {
        let OnRestart::KeepOut(delay) = self.rule else {
            return None;
        };
        let delay = match delay {
            // Whoever says so has nodes that forget nothing.
            Some(Duration::ZERO) => return None,
            Some(delay) => delay.min(FAR),
            None => {
                let longest = self.longest_ttl_millis.load(Ordering::Relaxed);
                Duration::from_millis(longest).min(LONGEST_DERIVED)
            }
        };
        Some(if is_fenced {
            delay.saturating_add(FENCED_EXTRA)
        } else {
            delay
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A node that restarted just now, and when.
    fn restarted(rule: OnRestart) -> (Restarts, Instant) {
        let (restarts, now) = (Restarts::new(rule), Instant::now());
        assert!(!restarts.connected(Some("one"), now));
        assert!(restarts.connected(Some("two"), now));
        (restarts, now)
    }

    /// For how long the node is kept out, in whole seconds.
    fn kept_out(restarts: &Restarts, is_fenced: bool) -> usize {
        (0..200)
            .take_while(|&n| restarts.refusal(is_fenced, n * SECOND).is_some())
            .count()
    }

    #[test]
    fn a_first_contact_is_no_restart() {
        let restarts = Restarts::new(OnRestart::KeepOut(Some(SECOND)));
        assert!(!restarts.connected(Some("one"), Instant::now()));
        assert!(!restarts.connected(Some("one"), Instant::now()));
        assert_eq!(restarts.refusal_now(false), None);
    }

    #[test]
    fn a_run_that_is_not_told_is_no_restart() {
        let restarts = Restarts::new(OnRestart::KeepOut(Some(SECOND)));
        restarts.connected(Some("one"), Instant::now());
        assert!(!restarts.connected(None, Instant::now()));
        assert!(!restarts.connected(Some("one"), Instant::now()));
    }

    #[test]
    fn a_restarted_node_is_kept_out_for_the_delay() {
        let (restarts, _) = restarted(OnRestart::KeepOut(Some(3 * SECOND)));
        assert_eq!(kept_out(&restarts, false), 3);
    }

    #[test]
    fn fenced_acquires_wait_for_twice_the_clock_skew_longer() {
        let (restarts, _) = restarted(OnRestart::KeepOut(Some(3 * SECOND)));
        assert_eq!(kept_out(&restarts, true), 23);
    }

    #[test]
    fn a_delay_of_zero_keeps_nobody_out() {
        let (restarts, _) = restarted(OnRestart::KeepOut(Some(Duration::ZERO)));
        assert_eq!(kept_out(&restarts, false), 0);
        assert_eq!(kept_out(&restarts, true), 0);
    }

    #[test]
    fn without_a_delay_it_is_the_longest_ttl_at_most_a_minute() {
        let (restarts, _) = restarted(OnRestart::KeepOut(None));
        assert_eq!(kept_out(&restarts, false), 0);
        restarts.used(5 * SECOND);
        restarts.used(2 * SECOND);
        assert_eq!(kept_out(&restarts, false), 5);
        restarts.used(3600 * SECOND);
        assert_eq!(kept_out(&restarts, false), 60);
    }

    #[test]
    fn a_node_by_itself_ends_the_epoch_and_goes_on() {
        let restarts = Restarts::new(OnRestart::EndLeases);
        let now = Instant::now();
        restarts.connected(Some("one"), now);
        let epoch = restarts.epochs().unwrap().current();
        restarts.connected(Some("two"), now);
        assert!(epoch.is_over());
        assert_eq!(restarts.refusal_now(true), None);
    }

    #[test]
    fn whoever_counts_all_the_same_is_warned_of_what_that_means_for_a_minute() {
        for (rule, so_what) in [
            (OnRestart::EndLeases, "the leases of before have ended"),
            (
                OnRestart::KeepOut(Some(Duration::ZERO)),
                "counts all the same",
            ),
            (OnRestart::Nothing, "kept by the others"),
        ] {
            let (restarts, since) = restarted(rule);
            let warning = restarts.warning(since + 59 * SECOND).unwrap();
            assert!(warning.contains(so_what), "{warning}");
            assert_eq!(restarts.warning(since + 60 * SECOND), None);
        }
    }

    #[test]
    fn who_is_kept_out_of_fenced_acquires_alone_is_warned_of_as_such() {
        let (restarts, since) = restarted(OnRestart::KeepOut(Some(3 * SECOND)));
        let warning = |after| restarts.warning(since + after * SECOND).unwrap();
        assert!(warning(2).starts_with("restarted 2.0s ago, and kept out"));
        assert!(warning(4).starts_with("for fenced locks: restarted 4.0s ago, and kept out"));
    }

    #[test]
    fn the_reason_says_how_long_ago_and_for_how_long() {
        let (restarts, _) = restarted(OnRestart::KeepOut(Some(5 * SECOND)));
        let reason = restarts.refusal(false, 3 * SECOND).unwrap();
        assert_eq!(
            reason,
            "restarted 3.0s ago, and kept out for another 2.0s, until its old locks have expired"
        );
    }
}
