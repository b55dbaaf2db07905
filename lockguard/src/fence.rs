//! Which fencing token comes next: numbers in, numbers out.
//!
//! The rules are those of `docs/decisions/0009-fencing.md`; the script
//! `acquire_fenced.lua` says the same.

use std::time::Duration;

use crate::fencing_token::FencingToken;

/// Beyond this a key's fence is spoilt: there is little room left for tokens.
///
/// 2⁵³ − 992 is the greatest number that a Redis script can still count up
/// from, far from where doubles lose units.
pub(crate) const LIMIT: u64 = (1 << 53) - 992;

/// How far a proposal may lead a server's clock for a new owner, in µs: 1 h.
const LEAD: u64 = 60 * 60 * 1_000_000;

/// Where a clock that is far ahead is cut off: the year 2112.
const CLOCK_LIMIT: u64 = 1 << 52;

/// The shortest time that a server remembers a key's fence.
const SHORTEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who holds a key when a fenced acquire is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBy {
    Nobody,
    /// The attempt's own owner token: a raise, or a repeat.
    Itself,
}

/// The fence after a grant, one key of several; over all keys the greatest is
/// the token.
///
/// A new owner gets more than anybody before: that is all the safety there is.
/// The proposal makes nodes agree, and is not trusted far beyond the server's
/// own clock.
/// A raise takes the proposal as it is, since another node has stored it.
pub(crate) fn granted(held_by: HeldBy, fence: u64, proposal: u64, clock: u64) -> u64 {
    match held_by {
        HeldBy::Nobody => {
            let cap = clock.saturating_add(LEAD);
            fence.saturating_add(1).max(proposal.min(cap))
        }
        HeldBy::Itself => fence.max(proposal),
    }
}

/// What a client proposes: more than it has seen, and at least the wall clock
/// in µs, so that nodes with different fences answer alike.
pub(crate) fn proposal(greatest_seen: Option<FencingToken>, clock: u64) -> FencingToken {
    let beyond = greatest_seen.map_or(1, |seen| seen.get().saturating_add(1));
    let number = beyond.max(clock.min(CLOCK_LIMIT));
    let greatest = const { FencingToken::new(FencingToken::MAX).unwrap() };
    FencingToken::new(number).unwrap_or(greatest)
}

/// How long a server remembers the fence of a lease that lasts for so long.
pub(crate) fn life(longest: Duration) -> Duration {
    longest.saturating_mul(2).max(SHORTEST_LIFE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;

    #[test]
    fn a_lagging_client_gets_one_more_than_the_fence() {
        assert_eq!(granted(HeldBy::Nobody, NOW, 5, NOW), NOW + 1);
    }

    #[test]
    fn a_leading_client_is_cut_an_hour_ahead_of_the_server() {
        assert_eq!(granted(HeldBy::Nobody, 7, 1 << 52, NOW), NOW + LEAD);
    }

    #[test]
    fn a_raise_is_not_cut() {
        assert_eq!(granted(HeldBy::Itself, 7, 1 << 52, NOW), 1 << 52);
    }

    /// Where the server's clock is as wrong, tokens would soon be used up.
    #[test]
    fn a_clock_that_is_far_ahead_is_cut_off() {
        assert_eq!(proposal(None, u64::MAX).get(), CLOCK_LIMIT);
        assert_eq!(proposal(None, NOW).get(), NOW);
    }

    #[test]
    fn the_fence_outlives_a_day_and_twice_the_lease() {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        assert_eq!(life(Duration::from_secs(1)), hours(24));
        assert_eq!(life(hours(20)), hours(40));
    }

    proptest! {
        #[test]
        fn a_new_owner_gets_more_than_anybody_before(
            fence in 0..LIMIT, proposal: u64, clock: u64
        ) {
            prop_assert!(granted(HeldBy::Nobody, fence, proposal, clock) > fence);
        }

        #[test]
        fn a_raise_never_lowers_a_fence(fence in 0..LIMIT, proposal: u64, clock: u64) {
            prop_assert!(granted(HeldBy::Itself, fence, proposal, clock) >= fence);
            prop_assert!(granted(HeldBy::Itself, fence, proposal, clock) >= proposal);
        }

        #[test]
        fn a_proposal_is_beyond_what_was_seen(seen in 1..LIMIT, clock: u64) {
            let beyond = proposal(FencingToken::new(seen), clock);
            prop_assert!(beyond.get() > seen);
        }
    }
}
