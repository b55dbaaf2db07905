//! What a client is to do next, as it is drawn.

use std::time::Duration;

use rand::{Rng as _, rngs::StdRng};

use super::journal::Interface;

/// How long the token interface waits: a manager has one retry policy.
pub(super) const TOKEN_WAIT: Duration = Duration::from_millis(300);

/// How a client's tasks draw their calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub(super) longest_ttl: Duration,
    /// How many keys of each interface all clients contend for.
    pub(super) hot_keys: u16,
    /// Of a thousand bodies, how many outlive their lease or nearly do.
    pub(super) long: u32,
    /// Of a thousand calls, how many are cancelled.
    pub(super) cancelled: u32,
}

/// One call that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) interface: Interface,
    pub(super) key: u16,
    pub(super) name: String,
    pub(super) ttl: Duration,
    pub(super) wait: Duration,
    pub(super) is_fenced: bool,
    pub(super) max_hold: Option<Duration>,
    pub(super) work: Duration,
    pub(super) extends: bool,
    pub(super) drops_guard: bool,
    pub(super) cancel_after: Option<Duration>,
}

/// The first of the keys that one task has for itself.
pub(super) const PRIVATE: u16 = 1000;

/// What every lock of the torture begins with.
pub(super) const PREFIX: &str = "torture:";

impl Plan {
    /// Draws a call; `private` is the key of a task that contends with nobody.
    pub(super) fn draw(
        random: &mut StdRng,
        habits: &Habits,
        interface: Interface,
        private: Option<u16>,
    ) -> Self {
        let key = private.unwrap_or_else(|| random.random_range(0..habits.hot_keys));
        let ttl = draw_ttl(random, habits.longest_ttl);
        let wait = match (interface, random.random_range(0..4)) {
            (Interface::Token, _) => TOKEN_WAIT,
            (_, 0) => Duration::ZERO,
            (_, 1) => Duration::from_millis(50),
            (_, 2) => ttl / 2,
            (_, _) => habits.longest_ttl,
        };
        let is_long = random.random_range(0..1000) < habits.long;
        let work = match random.random_range(0..10) {
            _ if is_long => ttl.mul_f64(random.random_range(0.7..1.3)),
            0..7 => Duration::from_micros(random.random_range(0..3000)),
            7..9 => Duration::from_micros(random.random_range(3000..20_000)),
            _ => Duration::from_micros(random.random_range(20_000..60_000)),
        };
        let is_cancelled = random.random_range(0..1000) < habits.cancelled;
        let longest = (wait + work).as_secs_f64().min(0.1);
        Self {
            interface,
            key,
            name: format!("{PREFIX}{}:{key}", interface.name()),
            ttl,
            wait,
            is_fenced: interface != Interface::Token && random.random_bool(0.7),
            max_hold: random.random_bool(0.2).then_some(2 * ttl),
            work,
            extends: random.random_bool(0.2),
            drops_guard: random.random_bool(0.2),
            cancel_after: is_cancelled
                .then(|| Duration::from_secs_f64(random.random_range(0.0..=longest))),
        }
    }

    /// Is over at once, and is not cancelled.
    pub(super) fn in_a_moment(mut self) -> Self {
        self.work = Duration::ZERO;
        self.cancel_after = None;
        self
    }

    /// Makes one attempt, from whose beginning the lease counts, and is not
    /// renewed.
    pub(super) fn without_wait(mut self) -> Self {
        self.wait = Duration::ZERO;
        self.max_hold = None;
        self.extends = false;
        self
    }

    /// Works for as long as the lease may be trusted.
    pub(super) fn for_the_whole_lease(mut self) -> Self {
        self.work = 2 * self.ttl;
        self
    }
}

fn draw_ttl(random: &mut StdRng, longest: Duration) -> Duration {
    const TTLS: [u64; 4] = [200, 400, 800, 2000];
    loop {
        let ttl = Duration::from_millis(TTLS[random.random_range(0..TTLS.len())]);
        if ttl <= longest {
            return ttl;
        }
    }
}
