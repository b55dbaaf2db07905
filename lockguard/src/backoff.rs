//! How long to pause between two attempts: numbers in, durations out.
//!
//! Delays grow, because five nodes live-lock without growth, and are drawn at
//! random, because contenders that pause alike meet again.
//! The caller draws the random number, so that these functions are pure.

use std::{ops::RangeInclusive, time::Duration};

/// The pauses between two looks at a key that another process holds: at no more
/// than 4 commands a second, two for each look, once they have grown.
const BUSY_PAUSE: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(700);

/// The pauses between two looks of the first in line at a key that another
/// library holds, whose release wakes nobody, for each command that a look
/// takes: at no more than 4 a second, once they have grown.
const FOREIGN_PAUSE: RangeInclusive<Duration> =
    Duration::from_millis(20)..=Duration::from_millis(334);

/// The longest pause between two looks of a waiter in line for one key whom
/// nobody can tell.
#[cfg(feature = "redis")]
pub(crate) const LONGEST_UNTOLD_PAUSE: Duration = *UNTOLD_PAUSE.end();

/// The pauses between two looks of a waiter in line whom nobody can tell, for
/// each command that a look takes: at no more than 4 a second, once they have
/// grown.
const UNTOLD_PAUSE: RangeInclusive<Duration> =
    Duration::from_millis(5)..=Duration::from_millis(350);

/// How long a waiter that stands in line waits unheard: a third of its ttl,
/// within these.
///
/// Few enough looks: at most 4 commands a second, and a key that was deleted by
/// hand is noticed within 10 s.
const LONGEST_UNHEARD: RangeInclusive<Duration> =
    Duration::from_millis(250)..=Duration::from_secs(5);

/// Between the looks of two waiters that stand one after the other.
const PLACE: Duration = Duration::from_millis(2);

/// The pauses between two rounds whose votes were split.
///
/// The first is about as long as a round of five nodes takes on one machine;
/// shorter ones only split the next round too.
const SPLIT_PAUSE: RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(100);

/// How long split votes are settled before the key counts as busy.
///
/// Contenders settle within a few rounds, that is milliseconds; what takes
/// longer is a holder that is hidden behind nodes that do not answer.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// The shortest pause: never a busy loop, whatever the holder's ttl says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The pause before attempt `attempt + 1` at a key that is busy.
///
/// Never longer than what is left of the holder's ttl (`None`: unknown or
/// endless), since the key may be free then.
/// `draw` is uniform in 0…1.
pub(crate) fn busy_pause(attempt: u32, holder_expires_in: Option<Duration>, draw: f64) -> Duration {
    let pause = jittered(&BUSY_PAUSE, attempt, draw, 0.5);
    let pause = match holder_expires_in {
        Some(left) => pause.min(left),
        None => pause,
    };
    pause.max(SHORTEST_PAUSE)
}

/// The pause before a look at a key of which a waiter in line has heard
/// nothing: a message may be lost, a holder crashed, a key deleted by hand.
///
/// When the holder's ttl has passed (`None`: unknown or endless), later by
/// chance and by the waiter's `place`, so that not all look at once; at the
/// latest as [`LONGEST_UNHEARD`] says.
/// `unheard` is how many such looks in a row were made, and `commands` what one
/// costs: only the first look may come sooner than the shortest of that range,
/// times the commands.
pub(crate) fn unheard_pause(
    ttl: Duration,
    holder_expires_in: Option<Duration>,
    place: u32,
    (unheard, commands): (u32, u32),
    draw: f64,
) -> Duration {
    let (shortest, longest) = (*LONGEST_UNHEARD.start(), *LONGEST_UNHEARD.end());
    let shortest = shortest.saturating_mul(commands);
    let parting = PLACE.saturating_mul(place.min(50)) + PLACE.mul_f64(draw.clamp(0.0, 1.0));
    let latest = (ttl / 3).clamp(shortest, longest);
    let pause = holder_expires_in.map_or(latest, |left| left.min(latest));
    let soonest = if unheard == 0 {
        SHORTEST_PAUSE
    } else {
        shortest
    };
    pause.max(soonest).saturating_add(parting)
}

/// The pause before look `met + 1` of a waiter whom nobody can tell, for each of
/// the `commands` that a look takes.
pub(crate) fn untold_pause(met: u32, commands: u32, draw: f64) -> Duration {
    jittered(&UNTOLD_PAUSE, met, draw, 0.5).saturating_mul(commands)
}

/// The pause before look `met + 1` of the first in line at a key that another
/// library holds, for each of the `commands` that a look takes.
pub(crate) fn foreign_pause(met: u32, commands: u32, draw: f64) -> Duration {
    jittered(&FOREIGN_PAUSE, met, draw, 0.25).saturating_mul(commands)
}

/// The pause before another round after `rounds` split ones.
///
/// Drawn from the whole range down to zero: what settles contenders is that
/// they come apart by more than a round trip.
pub(crate) fn split_pause(rounds: u32, draw: f64) -> Duration {
    jittered(&SPLIT_PAUSE, rounds, draw, 1.0)
}

/// The pause before a node that is bad is tried again.
#[cfg(feature = "redis")]
pub(crate) fn growing_pause(range: &RangeInclusive<Duration>, attempt: u32, draw: f64) -> Duration {
    jittered(range, attempt, draw, 0.5)
}

/// `start × 2^attempt`, at most `end`, less a random share of at most
/// `spread`.
fn jittered(range: &RangeInclusive<Duration>, attempt: u32, draw: f64, spread: f64) -> Duration {
    let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
    let longest = range.start().saturating_mul(factor).min(*range.end());
    longest.mul_f64(1.0 - spread * draw.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_until_their_limit() {
        let pauses: Vec<_> = (0..8)
            .map(|n| busy_pause(n, None, 0.0).as_millis())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640]);
    }

    proptest! {
        #[test]
        fn a_busy_pause_never_outlasts_the_holder(attempt: u32, left in 0_u64..10_000, draw in 0.0..=1.0_f64) {
            let left = Duration::from_millis(left);
            let pause = busy_pause(attempt, Some(left), draw);
            prop_assert!(pause <= left.max(SHORTEST_PAUSE));
            prop_assert!(pause >= SHORTEST_PAUSE);
        }

        #[test]
        fn who_hears_nothing_looks_within_ten_seconds_and_four_times_a_second(
            ttl in 10_u64..86_400_000,
            left in proptest::option::of(0_u64..10_000),
            place: u32,
            unheard: u32,
            commands in 1_u32..=2,
            draw in 0.0..=1.0_f64,
        ) {
            let (ttl, left) = (Duration::from_millis(ttl), left.map(Duration::from_millis));
            let pause = unheard_pause(ttl, left, place, (unheard, commands), draw);
            prop_assert!(pause <= Duration::from_secs(6));
            let soonest = if unheard == 0 { 1 } else { 250 * commands };
            prop_assert!(pause >= Duration::from_millis(soonest.into()));
        }

        #[test]
        fn who_stands_behind_looks_later(place in 0_u32..50, a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
            let left = Some(Duration::from_millis(100));
            let pause = |place, draw| unheard_pause(Duration::from_secs(2), left, place, (0, 1), draw);
            prop_assert!(pause(place, a) <= pause(place + 1, b));
        }

        #[test]
        fn a_foreign_holder_is_looked_at_soon_and_then_four_times_a_second(
            met: u32,
            commands in 1_u32..=2,
            draw in 0.0..=1.0_f64,
        ) {
            let pause = foreign_pause(met, commands, draw) / commands;
            prop_assert!((Duration::from_millis(15)..=Duration::from_millis(334)).contains(&pause));
            prop_assert!(met < 5 || pause >= Duration::from_millis(250));
        }

        #[test]
        fn who_cannot_be_told_looks_soon_and_then_four_times_a_second_on_average(
            commands in 1_u32..=2,
            draw in 0.0..=1.0_f64,
        ) {
            let pause = |met, draw| untold_pause(met, commands, draw) / commands;
            prop_assert!(pause(0, draw) <= Duration::from_millis(5));
            prop_assert!(pause(9, draw) + pause(9, 1.0 - draw) >= Duration::from_millis(500));
        }

        #[test]
        fn a_split_pause_is_bounded(rounds: u32, draw in 0.0..=1.0_f64) {
            prop_assert!(split_pause(rounds, draw) <= *SPLIT_PAUSE.end());
        }
    }
}
