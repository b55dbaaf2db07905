//! When a lock is left open to clients of other libraries.
//!
//! Those poll, and stand in no line: where one of ours always waits, the lock
//! goes from one of ours to the next, and is never free when they ask.
//! So once in a while a lock that somebody waited for is left to whoever asks,
//! and the first in line, on servers and in this process, asks a moment later.

use std::time::Duration;

/// How long a lock is left open.
///
/// Other libraries ask every 50 to 250 ms; of eight that do, one asks in this
/// time more often than not.
pub(crate) const OPEN: Duration = Duration::from_millis(20);

/// For how long leases are held in all, on average, before a lock is left open:
/// for 2 % of the time, and no longer where others take it.
const PERIOD: Duration = Duration::from_secs(1);

/// Of leases that are held for long, so many are followed by an opening.
const MOST: f64 = 0.5;

/// Whether a lock that somebody waited for, and that was held for so long, is to
/// be left open; `draw` is uniform in 0…1.
///
/// By chance, in proportion to the time held: so openings take the same share of
/// the time however many processes want the lock, and however long each holds
/// it, and nobody needs to count them.
pub(crate) fn is_opened(held: Duration, draw: f64) -> bool {
    draw < (held.as_secs_f64() / PERIOD.as_secs_f64()).min(MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_hold_is_hardly_ever_followed_by_an_opening() {
        let held = Duration::from_micros(200);
        assert!(!is_opened(held, 0.0003));
        assert!(is_opened(held, 0.0001));
    }

    proptest! {
        #[test]
        fn openings_take_the_same_share_whatever_the_hold(parts in 3_u32..1000) {
            let held = PERIOD / parts;
            let chance = 1.0 / f64::from(parts);
            prop_assert!(is_opened(held, chance * 0.999));
            prop_assert!(!is_opened(held, chance * 1.001));
        }

        #[test]
        fn at_most_every_second_release_leaves_a_lock_open(held: Duration, draw in MOST..=1.0_f64) {
            prop_assert!(!is_opened(held, draw));
        }
    }
}
