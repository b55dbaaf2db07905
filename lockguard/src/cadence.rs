//! When a lease is renewed, and for how long: times in, times out.

use std::time::Duration;

use crate::validity::lifetime;

/// How long after it was last granted or renewed a lease is renewed: a third
/// of the ttl, so that two more tries fit in before the deadline.
pub(crate) fn renewal_interval(ttl: Duration) -> Duration {
    ttl / 3
}

/// The raster of renewals: those that are due within one tick go out together.
///
/// 10,000 renewals of a ttl of 2 s cost the client a twentieth of what they
/// cost one by one.
pub(crate) fn renewal_tick(ttl: Duration) -> Duration {
    (ttl / 40).min(Duration::from_millis(50))
}

/// The pause after a renewal that failed at once; one that was waited for in
/// vain is repeated after it, too.
pub(crate) fn retry_pause(ttl: Duration) -> Duration {
    (ttl / 12).min(Duration::from_secs(1))
}

/// Rounds up to a whole number of ticks.
pub(crate) fn on_the_raster(instant: Duration, tick: Duration) -> Duration {
    // 64 bits last for 584 years.
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let tick = nanos(tick).max(1);
    Duration::from_nanos(nanos(instant).div_ceil(tick).saturating_mul(tick))
}

/// The ttl to ask for so that a lease lasts for `rest`: the inverse of
/// [`lifetime`], rounded up.
pub(crate) fn ttl_lasting(rest: Duration) -> Duration {
    let least = rest.saturating_add(Duration::from_millis(2));
    (least.saturating_mul(100) / 99).saturating_add(Duration::from_nanos(1))
}

/// How long a lease lasts that is renewed on time, as it looks `elapsed` after
/// its start.
pub(crate) fn renewed_lifetime(elapsed: Duration, ttl: Duration) -> Duration {
    let interval = renewal_interval(ttl).max(Duration::from_nanos(1));
    let into_the_interval = elapsed.as_nanos() % interval.as_nanos();
    let into_the_interval = u64::try_from(into_the_interval).unwrap_or(u64::MAX);
    elapsed
        .saturating_sub(Duration::from_nanos(into_the_interval))
        .saturating_add(lifetime(ttl))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_tick_is_50_ms_at_most() {
        assert_eq!(renewal_tick(ms(2000)), ms(50));
        assert_eq!(renewal_tick(ms(400)), ms(10));
        assert_eq!(renewal_tick(ms(86_400_000)), ms(50));
    }

    #[test]
    fn a_renewed_lease_lasts_for_a_ttl_from_the_last_third() {
        let lasts = |elapsed| renewed_lifetime(ms(elapsed), ms(3000));
        assert_eq!(lasts(0), lifetime(ms(3000)));
        assert_eq!(lasts(999), lifetime(ms(3000)));
        assert_eq!(lasts(1000), ms(1000) + lifetime(ms(3000)));
        assert_eq!(lasts(7500), ms(7000) + lifetime(ms(3000)));
    }

    fn ttls() -> impl Strategy<Value = Duration> {
        (10_u64..=86_400_000).prop_map(ms)
    }

    proptest! {
        #[test]
        fn a_renewal_and_two_retries_fit_before_the_deadline(ttl in ttls()) {
            let first = renewal_interval(ttl) + renewal_tick(ttl);
            let retries = 2 * (retry_pause(ttl) + renewal_tick(ttl));
            prop_assert!(first + retries < lifetime(ttl));
        }

        #[test]
        fn what_is_asked_for_lasts_and_not_much_longer(rest in 0_u64..=86_400_000) {
            let lasts = lifetime(ttl_lasting(ms(rest)));
            prop_assert!(lasts >= ms(rest) && lasts <= ms(rest) + Duration::from_micros(1));
        }

        #[test]
        fn the_raster_delays_by_less_than_a_tick(at in 0_u64..=u64::MAX / 4, ttl in ttls()) {
            let (at, tick) = (Duration::from_nanos(at), renewal_tick(ttl));
            let on = on_the_raster(at, tick);
            prop_assert!(on >= at && on.saturating_sub(at) < tick);
            prop_assert_eq!(on_the_raster(on, tick), on);
        }

        #[test]
        fn a_lease_that_is_renewed_on_time_never_ends(elapsed in 0_u64..=86_400_000, ttl in ttls()) {
            prop_assert!(renewed_lifetime(ms(elapsed), ttl) > ms(elapsed));
        }
    }
}
