//! All faults, on one, three and five nodes, and what came of them.

use std::{env, path::PathBuf, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::{
    bugs::Bug,
    cell::Cell,
    fault::{Fault, bounds},
    journal::Interface,
    verdict::{Counts, Flaw, Verdict},
};

/// Names the library that changes a server's clock; `cargo xtask` sets it.
const CLOCK: &str = "LOCKGUARD_FAKETIME";

/// How many violations of a cell are shown.
const SHOWN: usize = 5;

/// How the matrix is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which faults.
    pub faults: Vec<Fault>,
    /// For how long each, on all numbers of nodes at once.
    pub time: Duration,
    /// How many faults at once.
    pub at_once: usize,
    /// The longest ttl of the locks.
    pub longest_ttl: Duration,
    /// What every schedule is drawn from.
    pub seed: u64,
    /// The program that is a client when it is told so.
    pub program: PathBuf,
    /// The library that changes a server's clock, if there is one.
    pub clock: Option<PathBuf>,
}

impl Settings {
    /// The whole matrix within about this time.
    pub fn within(time: Duration, seed: u64, program: PathBuf) -> Self {
        // What a row takes beside the calls: its servers and clients start, and
        // at its end every ttl passes.
        const BESIDE: Duration = Duration::from_secs(6);
        // One of them is in both parts.
        let rows = u32::try_from(Fault::ALL.len() + 1).unwrap_or(u32::MAX);
        Self {
            faults: Fault::ALL.to_vec(),
            time: (time / rows)
                .saturating_sub(BESIDE)
                .max(Duration::from_secs(3)),
            at_once: 1,
            longest_ttl: Duration::from_secs(2),
            seed,
            program,
            clock: env::var_os(CLOCK).map(PathBuf::from),
        }
    }

    /// The whole matrix in about a minute, with shorter ttls.
    pub fn short(seed: u64, program: PathBuf) -> Self {
        Self {
            time: Duration::from_millis(2500),
            at_once: 2,
            longest_ttl: Duration::from_millis(800),
            ..Self::within(Duration::ZERO, seed, program)
        }
    }

    fn cell(&self, fault: Fault, nodes: usize) -> Cell {
        let row = Fault::ALL.iter().position(|other| *other == fault);
        let row = row.unwrap_or_default() as u64;
        let mut random = StdRng::seed_from_u64(self.seed ^ (row << 8) ^ nodes as u64);
        Cell {
            fault,
            nodes,
            time: self.time,
            longest_ttl: self.longest_ttl,
            seed: random.random(),
            program: self.program.clone(),
            clock: self.clock.clone(),
            bug: None,
        }
    }
}

/// What the matrix came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Locks that were acquired.
    pub acquired: u64,
    /// What must not have been, under faults that the promises cover.
    pub broken: Vec<String>,
    /// Faults that could not be done, and why.
    pub not_run: Vec<String>,
}

/// Runs the matrix, and prints it.
pub async fn run(settings: &Settings) -> Report {
    println!(
        "seed {}: `--seed {0}` repeats the schedule; each cell {:?}, ttls up to {:?}",
        settings.seed, settings.time, settings.longest_ttl
    );
    let mut report = Report::default();
    print_head();
    run_rows(settings, true, &mut report).await;
    println!("\noutside the promise: what breaks, and how often");
    run_rows(settings, false, &mut report).await;
    print_foot(&report);
    report
}

/// Runs the cells that the promises cover, or those that they do not.
async fn run_rows(settings: &Settings, is_promised: bool, report: &mut Report) {
    let mut faults = settings.faults.clone();
    let is_meant = |fault: Fault, nodes: usize| fault.is_promised(nodes) == is_promised;
    faults.retain(|fault| fault.nodes().iter().any(|nodes| is_meant(*fault, *nodes)));
    for faults in faults.chunks(settings.at_once) {
        let mut cells = JoinSet::new();
        for fault in faults {
            if fault.needs_clock() && settings.clock.is_none() {
                let line = format!("{fault:<21} not run: libfaketime is missing");
                println!("{line}");
                report.not_run.push(line);
                continue;
            }
            let nodes = fault.nodes().iter().copied();
            for nodes in nodes.filter(|nodes| is_meant(*fault, *nodes)) {
                let cell = settings.cell(*fault, nodes);
                cells.spawn(async move { (cell.fault, nodes, cell.run().await) });
            }
        }
        let mut done = Vec::new();
        while let Some(cell) = cells.join_next().await {
            match cell {
                Ok(cell) => done.push(cell),
                Err(problem) => report.broken.push(format!("a cell ended early: {problem}")),
            }
        }
        done.sort_by_key(|(fault, nodes, _)| {
            (faults.iter().position(|other| other == fault), *nodes)
        });
        for (fault, nodes, verdict) in done {
            take_in(report, fault, nodes, &verdict);
        }
    }
}

fn take_in(report: &mut Report, fault: Fault, nodes: usize, verdict: &Verdict) {
    for interface in Interface::ALL {
        let acquired = verdict.counts[interface as usize].acquired;
        report.acquired += acquired;
        print_line(fault, nodes, interface, verdict);
        // Where nothing is done, nothing is wrong.
        if acquired == 0 {
            let interface = interface.name();
            let line = format!("{fault}, {nodes} nodes: no lock was acquired by {interface}");
            report.broken.push(line);
        }
    }
    let found = verdict.violations.iter();
    let lines: Vec<_> = found
        .map(|violation| format!("{fault}, {nodes} nodes: {violation}"))
        .collect();
    if fault.is_promised(nodes) {
        for line in lines.iter().take(SHOWN) {
            println!("  ! {line}");
        }
        report.broken.extend(lines);
    }
}

fn print_head() {
    println!(
        "{:<21}{:>5} {:<10}{:>8}{:>7}{:>8}{:>8}{:>6}{:>7}{:>6} |{:>9}{:>9}{:>6}{:>6}{:>6}{:>6} |{:>8}{:>8}",
        "fault",
        "nodes",
        "interface",
        "acquired",
        "busy",
        "unavail",
        "machine",
        "lost",
        "cancel",
        "gone",
        "overlaps",
        "reversed",
        "left",
        "wrong",
        "slow",
        "grown",
        "longest",
        "late",
    );
}

fn print_line(fault: Fault, nodes: usize, interface: Interface, verdict: &Verdict) {
    let Counts {
        acquired,
        busy,
        unavailable,
        excused,
        lost,
        cancelled,
        runtime_gone,
        fenced_overlaps,
        refused,
        longest,
        latest,
    } = verdict.counts[interface as usize];
    let count = |flaw: Flaw| verdict.count(interface, |other| other == flaw);
    let overlaps = verdict.count(interface, Flaw::is_overlap);
    let fence = if fenced_overlaps > 0 {
        format!("  the fence refuses {refused} of {fenced_overlaps}")
    } else {
        String::new()
    };
    println!(
        "{:<21}{nodes:>5} {:<10}{acquired:>8}{busy:>7}{unavailable:>8}{excused:>8}{lost:>6}{cancelled:>7}\
         {runtime_gone:>6} |{overlaps:>9}{:>9}{:>6}{:>6}{:>6}{:>6} |{:>5} ms{:>5} ms{fence}",
        fault.name(),
        interface.name(),
        count(Flaw::TokenNotGreater),
        count(Flaw::KeyLeft),
        count(Flaw::WrongError) + count(Flaw::NotFelt),
        count(Flaw::SlowCall),
        count(Flaw::Growth),
        longest.as_millis(),
        latest.as_millis(),
    );
}

fn print_foot(report: &Report) {
    let second = Duration::from_secs(1);
    println!(
        "\nmachine: unavailable because processes had to wait for a processor\n\
         longest: the longest acquire beyond its wait; its bound is {:?} at a ttl of 1 s \
         (split votes 1 s, an attempt of half the ttl, and {:?} for the machine)\n\
         late: the longest that a body went on after its deadline\n\
         {} locks acquired, {} violations of what is promised",
        bounds::acquire(second, Duration::ZERO),
        bounds::SLACK,
        report.acquired,
        report.broken.len(),
    );
}

/// Runs clients with this bug; what the checker says of them.
pub async fn with_bug(bug: Bug, settings: &Settings) -> Verdict {
    let mut cell = settings.cell(Fault::None, bug.nodes());
    cell.bug = Some(bug);
    // Some show a few times in the time of a cell, by chance, and might not.
    cell.time *= 3;
    cell.run().await
}
