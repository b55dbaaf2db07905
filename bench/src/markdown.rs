//! The report as Markdown, for the README.

use std::{fmt::Write as _, fs};

use lockguard_servers::Server;

use crate::{
    report::{Report, number},
    scenes::{CPU, OURS, P50, THROUGHPUT, cycle, handoff},
    targets::Target,
};

/// What was measured, on what, and whether it is what was to be reached.
pub(crate) fn text(report: &Report, targets: &[Target], machine: &str, rounds: usize) -> String {
    let mut text = format!("{machine}; medians of {rounds} rounds.\n");
    text += &beside_others(report);
    text += "\n| | target | measured | |\n|---|---|---|---|\n";
    for target in targets {
        let Target { group, what, .. } = target;
        let (limit, measured, verdict) = (target.limit(), target.measured(), target.verdict());
        let _ = writeln!(
            text,
            "| {group}: {what} | {limit} | {measured} | {verdict} |"
        );
    }
    text
}

/// Everybody's figures side by side.
fn beside_others(report: &Report) -> String {
    let [lone, some, many] = cycle::TASKS.map(|tasks| cycle::scene(1, tasks));
    let five = cycle::scene(5, 64);
    let passed = [handoff::CROWDS[0].scene(), handoff::CROWDS[1].scene()];
    let columns = [
        ("p50 of a cycle, 1 task, µs", &lone, P50),
        ("client CPU a cycle, 64 tasks, µs", &some, CPU),
        ("cycles a second, 64 tasks", &some, THROUGHPUT),
        ("the same, 1,000 tasks", &many, THROUGHPUT),
        ("the same, 64 tasks, 5 nodes", &five, THROUGHPUT),
        ("mean hand-off, 16 processes, µs", &passed[0], handoff::MEAN),
        ("the same, 5 nodes, µs", &passed[1], handoff::MEAN),
    ];
    let mut names = report.contenders(&lone, P50);
    for name in report.contenders(&passed[0], handoff::MEAN) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| *name != OURS);
    let mut text = String::from("\n| |");
    for (title, ..) in columns {
        let _ = write!(text, " {title} |");
    }
    text += "\n|---|";
    text += &"---:|".repeat(columns.len());
    for name in names {
        let _ = write!(text, "\n| {name} |");
        for (_, scene, what) in columns {
            let value = report.median(scene, name, what);
            let value = value.map_or_else(|| "—".to_owned(), number);
            let _ = write!(text, " {value} |");
        }
    }
    text + "\n"
}

/// Processor, cores and server.
pub(crate) fn machine() -> String {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = facts.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    let processor = names
        .next()
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info: String = Server::start().cli(&["INFO", "server"]);
    let field = |line: &str| line.strip_prefix("redis_version:").map(str::to_owned);
    let version = info.lines().find_map(field).unwrap_or_default();
    format!("{cores} cores of {processor}, Redis {version} on loopback")
}
