//! Stamps that compare between processes.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::LazyLock,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// An instant on the monotonic clock that all processes of a machine share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

/// One instant on both clocks; `Instant` is monotonic too, and hides its
/// value.
static ANCHOR: LazyLock<(Stamp, Instant)> = LazyLock::new(|| {
    let both = || {
        let before = Stamp::read();
        let instant = Instant::now();
        (Stamp::read() - before, (before, instant))
    };
    // The closest of some: this process may be interrupted between the two.
    let closest = (0..100).map(|_| both()).min_by_key(|(gap, _)| *gap);
    closest.expect("a hundred of them").1
});

impl Stamp {
    /// Now.
    pub fn now() -> Self {
        Self::of(Instant::now())
    }

    /// The same instant.
    pub fn of(instant: Instant) -> Self {
        let (stamp, anchor) = *ANCHOR;
        match instant.checked_duration_since(anchor) {
            Some(since) => stamp + since,
            None => stamp - anchor.duration_since(instant).as_nanos_u64(),
        }
    }

    /// The stamp of so many nanoseconds, as [`nanos`](Self::nanos) gave them.
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the machine started.
    pub fn nanos(self) -> u64 {
        self.0
    }

    fn read() -> Self {
        let now = Duration::try_from(clock_gettime(ClockId::Monotonic));
        Self(now.expect("a clock that runs forward").as_nanos_u64())
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_nanos_u64()))
    }
}

impl Sub<u64> for Stamp {
    type Output = Self;

    fn sub(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }
}

/// The time between two stamps; zero where the other one is later.
impl Sub for Stamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", Duration::from_nanos(self.0).as_secs_f64())
    }
}

/// Durations that fit a record.
pub(super) trait Nanos {
    /// As nanoseconds; five centuries and more are five centuries.
    fn as_nanos_u64(&self) -> u64;
}

impl Nanos for Duration {
    fn as_nanos_u64(&self) -> u64 {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX)
    }
}
