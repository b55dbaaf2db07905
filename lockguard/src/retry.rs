//! How long, or how often, to try for a busy key.

use std::time::Duration;

/// How often, or how long, [`TokenLock`](crate::TokenLock) tries to acquire a
/// busy key.
///
/// # Default
///
/// A manager without a policy waits as long as a lock request does: its
/// default wait, or else twice the ttl and at most 30 s.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use lockguard::RetryPolicy;
///
/// // Three attempts, 100 ms apart, as Redsync's WithTries and WithRetryDelay.
/// let tries = RetryPolicy::tries(3).delay(Duration::from_millis(100));
/// // For at most five seconds, woken as soon as the key is free.
/// let time = RetryPolicy::within(Duration::from_secs(5));
/// # let _ = (tries, time);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy(Patience);

/// How long to try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Patience {
    /// In line for so long; zero: not for another holder.
    Wait(Duration),
    /// So many attempts, so far apart.
    Tries {
        tries: u32,
        delay: Duration,
        jitter: f64,
    },
}

impl RetryPolicy {
    /// Tries at most so many times; at least once.
    ///
    /// Waiting ends early when the key is given back, and what follows counts
    /// as a try.
    /// Such a caller stands in no line of this process, and may overtake those
    /// that do; on servers it stands in the key's line from its second try on.
    ///
    /// # Default
    ///
    /// 100 ms between two tries, without jitter.
    pub fn tries(tries: u32) -> Self {
        Self(Patience::Tries {
            tries: tries.max(1),
            delay: Duration::from_millis(100),
            jitter: 0.0,
        })
    }

    /// Waits for the key at most so long, first come, first served.
    pub fn within(limit: Duration) -> Self {
        Self(Patience::Wait(limit))
    }

    /// Sets the time between two tries; nothing for a policy with a time
    /// limit.
    #[must_use]
    pub fn delay(mut self, pause: Duration) -> Self {
        if let Patience::Tries { delay, .. } = &mut self.0 {
            *delay = pause;
        }
        self
    }

    /// Shortens each delay by a random share of at most this fraction, 0 to 1,
    /// so that contenders come apart and `tries × delay` still bounds the wait;
    /// nothing for a policy with a time limit.
    #[must_use]
    pub fn jitter(mut self, fraction: f64) -> Self {
        if let Patience::Tries { jitter, .. } = &mut self.0 {
            *jitter = if fraction.is_nan() {
                0.0
            } else {
                fraction.clamp(0.0, 1.0)
            };
        }
        self
    }

    pub(crate) fn patience(self) -> Patience {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_not_at_all_tries_once() {
        assert_eq!(RetryPolicy::tries(0), RetryPolicy::tries(1));
    }

    #[test]
    fn a_jitter_that_is_no_fraction_is_none_or_all() {
        let jitter = |fraction| RetryPolicy::tries(3).jitter(fraction);
        assert_eq!(jitter(f64::NAN), jitter(0.0));
        assert_eq!(jitter(-1.0), jitter(0.0));
        assert_eq!(jitter(2.0), jitter(1.0));
    }
}
