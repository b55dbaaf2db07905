//! How long a grant may be trusted: times in, times out.
//!
//! The formulas are those of the Redlock specification
//! (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>):
//! a lease counts from before its request was sent, and ends before the
//! servers forget it by a margin for clocks that run at different rates.

use std::{ops::RangeInclusive, time::Duration};

/// The ttls that are accepted: 10 ms to 24 h.
pub(crate) const TTL_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(24 * 60 * 60);

/// A time beyond this is for ever, and an instant cannot hold much more.
pub(crate) const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest that one node is waited for.
pub(crate) const LONGEST_NODE_BUDGET: Duration = Duration::from_secs(1);

const SHORTEST_NODE_BUDGET: Duration = Duration::from_millis(10);

/// The margin for clocks whose rates differ: 1 % of the ttl, and 2 ms for
/// servers that expire keys with millisecond precision.
pub(crate) fn drift(ttl: Duration) -> Duration {
    ttl / 100 + Duration::from_millis(2)
}

/// How long after its start a lease of this ttl ends for its holder.
pub(crate) fn lifetime(ttl: Duration) -> Duration {
    ttl.saturating_sub(drift(ttl))
}

/// What is left of a lease when `elapsed` has passed since before its request
/// was sent.
pub(crate) fn validity(ttl: Duration, elapsed: Duration) -> Duration {
    lifetime(ttl).saturating_sub(elapsed)
}

/// Whether a grant that took `elapsed` is worth having: at least half of the
/// ttl must be left.
pub(crate) fn is_worth_having(ttl: Duration, elapsed: Duration) -> bool {
    validity(ttl, elapsed) >= ttl / 2
}

/// How long one node is waited for, where its vote is still needed.
///
/// A quarter of the ttl, within 10 ms and 1 s: a grant that needs longer would
/// soon have less than half its ttl left.
pub(crate) fn node_budget(ttl: Duration) -> Duration {
    (ttl / 4).clamp(SHORTEST_NODE_BUDGET, LONGEST_NODE_BUDGET)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_margin_is_22_ms_at_a_ttl_of_2_s() {
        assert_eq!(drift(ms(2000)), ms(22));
        assert_eq!(validity(ms(2000), ms(100)), ms(1878));
    }

    #[test]
    fn a_grant_that_took_half_its_ttl_is_not_a_grant() {
        assert!(is_worth_having(ms(1000), ms(400)));
        assert!(!is_worth_having(ms(1000), ms(500)));
    }

    #[test]
    fn the_shortest_ttl_still_gives_a_lease() {
        assert!(is_worth_having(*TTL_RANGE.start(), ms(2)));
    }

    fn ttls() -> impl Strategy<Value = Duration> {
        (10_u64..=86_400_000).prop_map(ms)
    }

    proptest! {
        #[test]
        fn validity_and_time_spent_never_exceed_the_ttl(ttl in ttls(), spent in 0_u64..200_000_000) {
            let left = validity(ttl, ms(spent));
            prop_assert!(left.is_zero() || left + ms(spent) + drift(ttl) == ttl);
        }

        #[test]
        fn validity_never_grows_as_time_passes(ttl in ttls(), a in 0_u64..90_000_000, b in 0_u64..90_000_000) {
            let (early, late) = (a.min(b), a.max(b));
            prop_assert!(validity(ttl, ms(early)) >= validity(ttl, ms(late)));
        }

        #[test]
        fn a_node_is_never_waited_for_longer_than_the_ttl(ttl in ttls()) {
            let budget = node_budget(ttl);
            prop_assert!(budget <= ttl && budget <= LONGEST_NODE_BUDGET);
        }
    }
}
