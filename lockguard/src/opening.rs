//! When a lock is left open for clients of other libraries.
//!
//! Those poll, and stand in no line: where one of ours always waits, the lock
//! goes from one of ours to the next, and is never free when they ask.
//! So once in a while a lock that somebody waited for is given back to whoever
//! asks, and to the first in line a moment later.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a lock is left open.
///
/// Other libraries ask every 50 to 250 ms; of eight that do, one asks in this
/// time more often than not.
pub(crate) const OPEN: Duration = Duration::from_millis(20);

/// How long leases are held in all, at least, for each time that a lock is left
/// open: 2 % of the time that it is wanted.
const SELDOM: Duration = Duration::from_secs(1);

/// The same where another library's client has had a lock of late.
const OFTEN: Duration = Duration::from_millis(250);

/// For how long that counts.
const OF_LATE: Duration = Duration::from_secs(10);

/// Of leases that are held for long, so many are followed by an opening.
const MOST: f64 = 0.5;

/// Whether a lock that was held for so long is to be left open; `draw` is
/// uniform in 0…1.
///
/// By chance, in proportion to the time held: so openings take the same share of
/// the time however many processes want the lock, and however long each holds
/// it, and nobody needs to count them.
fn is_opened(held: Duration, is_mixed: bool, draw: f64) -> bool {
    let period = if is_mixed { OFTEN } else { SELDOM };
    draw < (held.as_secs_f64() / period.as_secs_f64()).min(MOST)
}

/// What a manager knows of clients of other libraries.
#[derive(Default)]
pub(crate) struct Foreigners {
    met: Mutex<Option<Instant>>,
}

impl Foreigners {
    /// One of them holds a lock that one of ours wants.
    pub(crate) fn meet(&self, now: Instant) {
        *self.met.lock() = Some(now);
    }

    /// Whether a lock that somebody waited for, and that was held since `start`,
    /// is to be left open.
    pub(crate) fn is_opened_for(&self, start: Instant, now: Instant, draw: f64) -> bool {
        let since = |earlier| now.saturating_duration_since(earlier);
        let is_mixed = self.met.lock().is_some_and(|met| since(met) < OF_LATE);
        is_opened(since(start), is_mixed, draw)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_hold_among_ours_is_hardly_ever_followed_by_an_opening() {
        let held = Duration::from_micros(200);
        assert!(!is_opened(held, false, 0.0003));
        assert!(is_opened(held, false, 0.0001));
    }

    #[test]
    fn who_was_met_of_late_finds_a_lock_open_more_often() {
        let foreigners = Foreigners::default();
        let start = Instant::now();
        let end = start + Duration::from_millis(8);
        assert!(!foreigners.is_opened_for(start, end, 0.02));
        foreigners.meet(start);
        assert!(foreigners.is_opened_for(start, end, 0.02));
        let (start, end) = (start + OF_LATE, end + OF_LATE);
        assert!(!foreigners.is_opened_for(start, end, 0.02));
    }

    proptest! {
        #[test]
        fn at_most_every_second_release_leaves_a_lock_open(
            held: Duration,
            is_mixed: bool,
            draw in MOST..=1.0_f64,
        ) {
            prop_assert!(!is_opened(held, is_mixed, draw));
        }
    }
}
