//! What is measured, one file a question.

pub(crate) mod bad_node;
pub(crate) mod cycle;
pub(crate) mod growth;
pub(crate) mod handoff;
pub(crate) mod heap;
pub(crate) mod memory;
pub(crate) mod renewal;

use std::time::Duration;

use crate::report::Report;

/// How much is measured, and where it is noted.
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// How long one contender is measured in one round.
    pub(crate) slice: Duration,
    pub(crate) report: Report,
}

impl Run {
    /// Says what is going on.
    pub(crate) fn progress(&self, scene: &str, round: usize) {
        eprintln!("{scene}: round {} of {}", round + 1, self.rounds);
    }
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
