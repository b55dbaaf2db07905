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

/// The validity of a lease of this ttl, counted from its start: from before its
/// request was sent, so that the time spent is taken off by itself.
pub(crate) fn lifetime(ttl: Duration) -> Duration {
    ttl.saturating_sub(drift(ttl))
}

/// Which share of a time was used; more than 1 where it was exceeded.
pub(crate) fn share(used: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 1.0;
    }
    used.div_duration_f64(whole)
}

/// How long an attempt may take: a grant with less than half of the ttl left
/// is none, and no backend needs longer than a few node budgets.
pub(crate) fn longest_attempt(ttl: Duration) -> Duration {
    const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);
    let late = lifetime(ttl).saturating_sub(ttl / 2);
    late.min(LONGEST_ATTEMPT)
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
        assert_eq!(lifetime(ms(2000)), ms(1978));
    }

    #[test]
    fn an_attempt_at_1_s_may_take_488_ms() {
        assert_eq!(longest_attempt(ms(1000)), ms(488));
    }

    #[test]
    fn the_shortest_ttl_still_gives_a_lease() {
        assert!(longest_attempt(*TTL_RANGE.start()) >= ms(2));
    }

    fn ttls() -> impl Strategy<Value = Duration> {
        (10_u64..=86_400_000).prop_map(ms)
    }

    proptest! {
        #[test]
        fn a_lease_ends_before_its_ttl_by_the_margin(ttl in ttls()) {
            prop_assert_eq!(lifetime(ttl) + drift(ttl), ttl);
        }

        #[test]
        fn half_of_the_ttl_is_left_after_every_attempt(ttl in ttls()) {
            prop_assert!(lifetime(ttl).saturating_sub(longest_attempt(ttl)) >= ttl / 2);
        }

        #[test]
        fn a_node_is_never_waited_for_longer_than_the_ttl(ttl in ttls()) {
            let budget = node_budget(ttl);
            prop_assert!(budget <= ttl && budget <= LONGEST_NODE_BUDGET);
        }
    }
}
