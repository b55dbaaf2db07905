//! What was to be reached, and what was.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    numbers::spread,
    report::{Report, number},
    scenes::{
        CPU, FLOOR, IN_BACKGROUND, OURS, OVERLAPS, P50, P99, THROUGHPUT,
        bad_node::{self, HEALTHY, REFUSED, STOPPED},
        cycle, growth,
        growth::Axis,
        handoff, memory, mixed, renewal,
    },
};

/// One figure that was to be reached.
pub(crate) struct Target {
    /// Figures that belong together.
    pub(crate) group: &'static str,
    pub(crate) what: String,
    limit: Limit,
    /// None: the scene was not run.
    rounds: Option<Vec<f64>>,
    /// Another way to meet it: how busy the server was.
    busy: Option<f64>,
}

#[derive(Clone, Copy)]
enum Limit {
    /// The median is this or less.
    AtMost(f64),
    /// The median is this or more.
    AtLeast(f64),
    /// No round has more.
    Never(f64),
}

/// A server that uses so much of a core has no more to give.
const SATURATED: f64 = 0.9;

/// Growth that is one of the allocator, and not of what is kept.
const SOME_KIB: f64 = 64.0;

/// Costs may differ from step to step by what rounds differ by.
const STEP: f64 = 1.15;

/// Everything that was to be reached.
pub(crate) fn all(report: &Report) -> Vec<Target> {
    let mut all = one_node(report);
    all.extend(against_peers(report));
    all.extend(five_nodes(report));
    all.extend(bad_nodes(report));
    all.extend(handoffs(report));
    all.extend(mixed_fleets(report));
    all.extend(in_memory(report));
    all.extend(growing(report));
    all
}

fn one_node(report: &Report) -> Vec<Target> {
    let cycle = |tasks, ours: &str, what| {
        let scene = cycle::scene(1, tasks);
        report.ratios(&scene, ours, FLOOR, what)
    };
    let target = |what: &str, limit, rounds| Target::new("one node", what, limit, rounds);
    let mut targets = vec![
        target(
            "1 task: client CPU a cycle, to the floor's",
            Limit::AtMost(1.1),
            cycle(1, OURS, CPU),
        ),
        target(
            "1 task: p50, to the floor's",
            Limit::AtMost(1.1),
            cycle(1, OURS, P50),
        ),
        target(
            "1 task, released in background: p50, to the floor's",
            Limit::AtMost(0.65),
            cycle(1, IN_BACKGROUND, P50),
        ),
    ];
    for tasks in [64, 1000] {
        targets.push(target(
            &format!("{tasks} tasks: client CPU a cycle, to the floor's"),
            Limit::AtMost(0.5),
            cycle(tasks, OURS, CPU),
        ));
        let mut throughput = target(
            &format!("{tasks} tasks: cycles a second, to the floor's, or the server busy"),
            Limit::AtLeast(1.5),
            cycle(tasks, OURS, THROUGHPUT),
        );
        throughput.busy = report.median(&cycle::scene(1, tasks), OURS, cycle::BUSY);
        targets.push(throughput);
    }
    targets
}

fn against_peers(report: &Report) -> Vec<Target> {
    let target = |tasks| {
        let scene = cycle::scene(1, tasks);
        let peers = report.contenders(&scene, THROUGHPUT).into_iter();
        let peers = peers.filter(|name| ![FLOOR, OURS, IN_BACKGROUND].contains(name));
        let best = best(report, &scene, THROUGHPUT, peers, f64::max);
        let name = best.unwrap_or("best");
        Target::new(
            "one node",
            &format!("{tasks} tasks: cycles a second, to the best peer's ({name})"),
            Limit::AtLeast(1.0),
            best.and_then(|best| report.ratios(&scene, OURS, best, THROUGHPUT)),
        )
    };
    [64, 1000].map(target).into()
}

/// Who of them has the best median.
fn best<'a>(
    report: &Report,
    scene: &str,
    what: &str,
    names: impl Iterator<Item = &'a str>,
    better: fn(f64, f64) -> f64,
) -> Option<&'a str> {
    let medians = names.filter_map(|name| Some((name, report.median(scene, name, what)?)));
    let best = medians.reduce(|one, other| {
        let is_one = better(one.1, other.1).to_bits() == one.1.to_bits();
        if is_one { one } else { other }
    });
    best.map(|(name, _)| name)
}

fn five_nodes(report: &Report) -> Vec<Target> {
    let cycle = |tasks, what| report.ratios(&cycle::scene(5, tasks), OURS, FLOOR, what);
    let target = |what: &str, limit, rounds| Target::new("five nodes", what, limit, rounds);
    vec![
        target(
            "1 task: p50, to the quorum floor's",
            Limit::AtMost(1.0),
            cycle(1, P50),
        ),
        target(
            "64 tasks: cycles a second, to the quorum floor's",
            Limit::AtLeast(1.5),
            cycle(64, THROUGHPUT),
        ),
    ]
}

fn bad_nodes(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    for bad in [STOPPED, REFUSED] {
        let ratio = |what| report.ratios(bad_node::SCENE, bad, HEALTHY, what);
        let rounds = |what| {
            let rounds = report.rounds(bad_node::SCENE, bad, what)?;
            Some(rounds.to_vec())
        };
        let mut push = |what: &str, limit, rounds| {
            let what = format!("{bad}: {what}");
            targets.push(Target::new("one of five is bad", &what, limit, rounds));
        };
        push("p50, to all healthy", Limit::AtMost(1.3), ratio(P50));
        push("p99, to all healthy", Limit::AtMost(3.0), ratio(P99));
        let longest = rounds(bad_node::LONGEST);
        push(bad_node::LONGEST, Limit::Never(50_000.0), longest);
        let grown = rounds(bad_node::GROWN);
        push(bad_node::GROWN, Limit::Never(SOME_KIB), grown);
        push(bad_node::LEFT, Limit::Never(0.0), rounds(bad_node::LEFT));
    }
    targets
}

fn handoffs(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    for crowd in handoff::CROWDS {
        let scene = crowd.scene();
        let mut push = |what: &str, limit, rounds| {
            targets.push(Target::new(
                "hand-off",
                &format!("{}: {what}", crowd.text()),
                limit,
                rounds,
            ));
        };
        let rounds = |what| Some(report.rounds(&scene, OURS, what)?.to_vec());
        if crowd.is_of_processes() {
            let pollers = report.contenders(&scene, handoff::MEAN).into_iter();
            let pollers = pollers.filter(|name| ![OURS, handoff::TOLD].contains(name));
            let best = best(report, &scene, handoff::MEAN, pollers, f64::min);
            let name = best.unwrap_or("best");
            push(
                &format!("mean, to the best polling peer's ({name})"),
                Limit::AtMost(0.5),
                best.and_then(|best| report.ratios(&scene, OURS, best, handoff::MEAN)),
            );
            push(
                handoff::COMMANDS,
                Limit::AtMost(8.0),
                rounds(handoff::COMMANDS),
            );
        }
        if crowd.waiters() == 256 {
            let starved = rounds(handoff::STARVED);
            push(handoff::STARVED, Limit::Never(0.0), starved);
            push(handoff::JAIN, Limit::AtLeast(0.98), rounds(handoff::JAIN));
        }
        push(OVERLAPS, Limit::Never(0.0), rounds(OVERLAPS));
    }
    targets
}

fn mixed_fleets(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    for scene in report.scenes().filter(|scene| mixed::is_mixed(scene)) {
        let mut push = |what: &str, limit, rounds| {
            let what = format!("{scene}: {what}");
            targets.push(Target::new("mixed fleet", &what, limit, rounds));
        };
        let overlaps = report.rounds(scene, OURS, OVERLAPS).map(<[f64]>::to_vec);
        push(OVERLAPS, Limit::Never(0.0), overlaps);
        for side in report.contenders(scene, mixed::SHARE) {
            let share = report.rounds(scene, side, mixed::SHARE);
            let what = format!("{}, {side}", mixed::SHARE);
            push(&what, Limit::AtLeast(0.25), share.map(<[f64]>::to_vec));
        }
    }
    targets
}

fn in_memory(report: &Report) -> Vec<Target> {
    let call = report.rounds(memory::SCENE, memory::ANNOTATED, memory::TIME);
    let renewals = report.rounds(renewal::SCENE, OURS, renewal::SHARE);
    vec![
        Target::new(
            "in this process",
            "annotated call in memory, ns",
            Limit::AtMost(500.0),
            call.map(<[f64]>::to_vec),
        ),
        Target::new(
            "in this process",
            "10,000 renewals, percent of a core",
            Limit::AtMost(2.0),
            renewals.map(<[f64]>::to_vec),
        ),
    ]
}

/// Linear growth is a cost a cycle that stays: over tasks as it is, over nodes
/// for each node.
fn growing(report: &Report) -> Vec<Target> {
    let steepest = |axis: Axis, steps: &[usize], share: fn(f64, usize) -> f64| {
        let cost = |step: &usize| {
            let rounds = report.rounds(&axis.scene(*step), OURS, CPU)?;
            let shared = rounds.iter().map(|cost| share(*cost, *step));
            Some(shared.collect::<Vec<f64>>())
        };
        let costs: Vec<Vec<f64>> = steps.iter().map(cost).collect::<Option<_>>()?;
        let rounds = costs.iter().map(Vec::len).min()?;
        let steepest = |round: usize| {
            let pairs = costs.windows(2);
            let ratios = pairs.map(|pair| pair[1][round] / pair[0][round]);
            ratios.fold(0.0, f64::max)
        };
        Some((0..rounds).map(steepest).collect())
    };
    vec![
        Target::new(
            "growth",
            "client CPU a cycle, steepest step over 1…10,000 tasks",
            Limit::AtMost(STEP),
            steepest(Axis::Tasks, &growth::TASKS, |cost, _| cost),
        ),
        Target::new(
            "growth",
            "client CPU a cycle and node, steepest step over 1…9 nodes",
            Limit::AtMost(STEP),
            steepest(Axis::Nodes, &growth::NODES, |cost, nodes| {
                cost / nodes as f64
            }),
        ),
    ]
}

impl Target {
    fn new(group: &'static str, what: &str, limit: Limit, rounds: Option<Vec<f64>>) -> Self {
        Self {
            group,
            what: what.to_owned(),
            limit,
            rounds,
            busy: None,
        }
    }

    /// What counts: the median, or the worst round.
    fn value(&self) -> Option<f64> {
        let [median, _, greatest] = spread(self.rounds.as_ref()?);
        let value = match self.limit {
            Limit::AtMost(_) | Limit::AtLeast(_) => median,
            Limit::Never(_) => greatest,
        };
        value.is_finite().then_some(value)
    }

    pub(crate) fn is_met(&self) -> Option<bool> {
        let value = self.value()?;
        let is_within = match self.limit {
            Limit::AtMost(limit) | Limit::Never(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
        };
        Some(is_within || self.busy.is_some_and(|busy| busy >= SATURATED))
    }

    pub(crate) fn limit(&self) -> String {
        match self.limit {
            Limit::AtMost(limit) | Limit::Never(limit) => format!("≤ {}", number(limit)),
            Limit::AtLeast(limit) => format!("≥ {}", number(limit)),
        }
    }

    /// The value that counts, and how rounds differed.
    pub(crate) fn measured(&self) -> String {
        let Some(value) = self.value() else {
            return "not measured".to_owned();
        };
        let mut text = number(value);
        if let Some(rounds) = &self.rounds
            && let [_, least, greatest] = spread(rounds)
            && least.to_bits() != greatest.to_bits()
        {
            let _ = write!(text, " ({}…{})", number(least), number(greatest));
        }
        if let Some(busy) = self.busy {
            let _ = write!(text, ", server {:.0} % busy", busy * 100.0);
        }
        text
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "not met",
            None => "—",
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "group": self.group,
            "what": self.what,
            "target": self.limit(),
            "measured": self.value(),
            "busy": self.busy,
            "is_met": self.is_met(),
        })
    }
}

/// The targets whose scenes were run, as a table of text.
pub(crate) fn text(targets: &[Target]) -> String {
    let (mut text, mut group) = (String::new(), "");
    for target in targets.iter().filter(|target| target.is_met().is_some()) {
        if group != target.group {
            group = target.group;
            let _ = writeln!(text, "\n{group}");
        }
        let (what, verdict) = (&target.what, target.verdict());
        let (limit, measured) = (target.limit(), target.measured());
        let _ = writeln!(text, "  {verdict:<8} {limit:>9}  {measured:<34} {what}");
    }
    let count = |is_met: Option<bool>| {
        let alike = targets.iter().filter(|target| target.is_met() == is_met);
        alike.count()
    };
    let (met, missed, unknown) = (count(Some(true)), count(Some(false)), count(None));
    text + &format!("\n{met} met, {missed} not met, {unknown} not measured\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(limit: Limit, rounds: &[f64]) -> Target {
        Target::new("group", "what", limit, Some(rounds.to_vec()))
    }

    #[test]
    fn the_median_counts_where_rounds_may_differ() {
        let rounds = [0.4, 0.9, 0.5];
        assert_eq!(target(Limit::AtMost(0.5), &rounds).is_met(), Some(true));
        assert_eq!(target(Limit::AtLeast(0.6), &rounds).is_met(), Some(false));
    }

    #[test]
    fn one_round_is_enough_to_miss_what_must_never_be() {
        assert_eq!(
            target(Limit::Never(0.0), &[0.0, 1.0, 0.0]).is_met(),
            Some(false)
        );
    }

    #[test]
    fn a_busy_server_stands_for_a_throughput() {
        let mut slow = target(Limit::AtLeast(1.5), &[1.2]);
        assert_eq!(slow.is_met(), Some(false));
        slow.busy = Some(0.95);
        assert_eq!(slow.is_met(), Some(true));
    }

    #[test]
    fn what_was_not_run_is_neither_met_nor_missed() {
        let unknown = all(&Report::default());
        assert!(unknown.iter().all(|target| target.is_met().is_none()));
    }

    #[test]
    fn the_best_peer_is_the_one_with_the_best_median() {
        let mut report = Report::default();
        for (peer, value) in [("one", 3.0), ("two", 5.0), ("three", 4.0)] {
            report.note("scene", peer, THROUGHPUT, value);
        }
        let names = || report.contenders("scene", THROUGHPUT).into_iter();
        let of = |better| best(&report, "scene", THROUGHPUT, names(), better);
        assert_eq!((of(f64::max), of(f64::min)), (Some("two"), Some("one")));
    }
}
