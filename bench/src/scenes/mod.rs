//! What is measured, one file a question.

pub(crate) mod bad_node;
pub(crate) mod cycle;
pub(crate) mod growth;
pub(crate) mod handoff;
pub(crate) mod heap;
pub(crate) mod memory;
pub(crate) mod mixed;
pub(crate) mod renewal;
pub(crate) mod system_calls;

use std::time::Duration;

use crate::{contender::Failure, load::Outcome, meter::is_counting, report::Report};

/// How much is measured, and where it is noted.
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// How long one contender is measured in one round.
    pub(crate) slice: Duration,
    /// How long a mixed fleet is watched in one round.
    pub(crate) fleet: Duration,
    /// How long memory is watched.
    pub(crate) endurance: Duration,
    pub(crate) is_quick: bool,
    pub(crate) report: Report,
    /// Peers, and the scenes that they do not come through.
    given_up: Vec<(String, &'static str)>,
}

impl Run {
    pub(crate) fn new(is_quick: bool, rounds: Option<usize>) -> Self {
        let millis = |quick, full| Duration::from_millis(if is_quick { quick } else { full });
        Self {
            rounds: rounds.unwrap_or(if is_quick { 3 } else { 5 }),
            slice: millis(150, 1000),
            fleet: millis(1000, 10_000),
            endurance: millis(1000, 60_000),
            is_quick,
            report: Report::default(),
            given_up: Vec::new(),
        }
    }

    /// The same where allocations are counted, which differ little from time to
    /// time.
    pub(crate) fn counting(self) -> Self {
        Self {
            rounds: self.rounds.min(2),
            slice: Duration::from_millis(150),
            ..self
        }
    }

    /// Says what is going on.
    pub(crate) fn progress(&self, scene: &str, round: usize) {
        let doing = if is_counting() { "counted, " } else { "" };
        eprintln!("{scene}: {doing}round {} of {}", round + 1, self.rounds);
    }

    /// Whether other libraries are measured in this round.
    pub(crate) fn has_peers(&self, round: usize) -> bool {
        !self.is_quick || round == 0
    }

    /// Says that another library is not measured in a scene, and why.
    pub(crate) fn give_up(&mut self, scene: &str, peer: &'static str, reason: &Failure) {
        println!("{scene}: {peer} is not measured: {reason}");
        self.given_up.push((scene.to_owned(), peer));
    }

    /// Whether it has failed in this scene before.
    pub(crate) fn has_given_up(&self, scene: &str, peer: &str) -> bool {
        let mut given_up = self.given_up.iter();
        given_up.any(|(in_scene, name)| in_scene == scene && *name == peer)
    }

    /// Notes what every load tells.
    pub(crate) fn note_load(&mut self, scene: &str, contender: &str, outcome: &Outcome) {
        let report = &mut self.report;
        report.note(scene, contender, CPU, micros(outcome.client()));
        report.note(scene, contender, P50, micros(outcome.quantile(0.5)));
        report.note(scene, contender, P99, micros(outcome.quantile(0.99)));
        report.note(scene, contender, THROUGHPUT, outcome.per_second());
    }
}

/// Figures that more than one scene has.
pub(crate) const CPU: &str = "client CPU a cycle, µs";
pub(crate) const P50: &str = "p50, µs";
pub(crate) const P99: &str = "p99, µs";
pub(crate) const THROUGHPUT: &str = "cycles a second";
pub(crate) const OVERLAPS: &str = "overlaps";

/// Contenders that more than one scene has.
pub(crate) const OURS: &str = "lockguard";
pub(crate) const FLOOR: &str = "floor";
pub(crate) const IN_BACKGROUND: &str = "lockguard, in background";

/// So many of something, in words.
pub(crate) fn many(count: usize, of: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {of}{ending}")
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
