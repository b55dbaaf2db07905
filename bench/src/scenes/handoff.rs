//! How long a lock that is waited for lies idle between two owners.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use lockguard::LockManager;
use lockguard_tests::{Server, Servers};

use crate::{
    contender::Failure,
    meter::monotonic,
    numbers::{jain, quantile},
    scenes::{Run, micros},
};

const KEY: &str = "bench:wanted";
const TTL: Duration = Duration::from_secs(2);

/// Who waits: so many processes, so many tasks in each.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) processes: usize,
    pub(crate) tasks: usize,
}

pub(crate) const CROWDS: [(usize, Crowd); 4] = [
    (
        1,
        Crowd {
            processes: 16,
            tasks: 1,
        },
    ),
    (
        5,
        Crowd {
            processes: 16,
            tasks: 1,
        },
    ),
    (
        1,
        Crowd {
            processes: 1,
            tasks: 256,
        },
    ),
    (
        1,
        Crowd {
            processes: 16,
            tasks: 16,
        },
    ),
];

/// A closed loop: whoever has had the lock asks for it again.
pub(crate) fn measure(run: &mut Run, nodes: usize, crowd: Crowd) -> Result<(), Failure> {
    let Crowd { processes, tasks } = crowd;
    let scene = format!(
        "hand-off, {nodes} nodes, {} waiters in {processes} processes",
        processes * tasks
    );
    let servers = Servers::start(nodes);
    for round in 0..run.rounds {
        run.progress(&scene, round);
        let before: u64 = servers.iter().map(commands).sum();
        let sections = closed_loop(&servers.urls(), crowd, run.slice)?;
        let asked: u64 = servers.iter().map(commands).sum::<u64>() - before;
        note(run, &scene, &sections, asked as f64 / nodes as f64);
    }
    Ok(())
}

/// One stay in the lock, on the clock that all processes share.
struct Section {
    waiter: usize,
    start: Duration,
    end: Duration,
}

fn note(run: &mut Run, scene: &str, sections: &[Vec<Section>], commands: f64) {
    let counts: Vec<f64> = sections.iter().map(|own| own.len() as f64).collect();
    let starved = counts.iter().filter(|count| **count == 0.0).count();
    let mut all: Vec<&Section> = sections.iter().flatten().collect();
    all.sort_unstable_by_key(|section| section.start);
    let mut gaps = Vec::new();
    let mut overlaps = 0.0;
    for pair in all.windows(2) {
        let [one, next] = pair else { continue };
        match next.start.checked_sub(one.end) {
            None => overlaps += 1.0,
            Some(gap) if one.waiter != next.waiter => gaps.push(gap),
            Some(_) => {}
        }
    }
    gaps.sort_unstable();
    let mean = gaps
        .iter()
        .sum::<Duration>()
        .div_f64((gaps.len() as f64).max(1.0));
    let report = &mut run.report;
    report.note(scene, "lockguard", "hand-off mean, µs", micros(mean));
    report.note(
        scene,
        "lockguard",
        "hand-off p50, µs",
        micros(quantile(&gaps, 0.5)),
    );
    report.note(
        scene,
        "lockguard",
        "hand-off p99, µs",
        micros(quantile(&gaps, 0.99)),
    );
    report.note(scene, "lockguard", "sections", all.len() as f64);
    report.note(
        scene,
        "lockguard",
        "commands a section and node",
        commands / all.len() as f64,
    );
    report.note(scene, "lockguard", "Jain's index", jain(&counts));
    report.note(scene, "lockguard", "starved waiters", starved as f64);
    report.note(scene, "lockguard", "overlaps", overlaps);
}

/// Runs the waiters in processes of their own, and collects their sections by
/// waiter.
fn closed_loop(urls: &str, crowd: Crowd, time: Duration) -> Result<Vec<Vec<Section>>, Failure> {
    let program = std::env::current_exe()?;
    let begin = |_| {
        let words = [
            urls.to_owned(),
            crowd.tasks.to_string(),
            time.as_millis().to_string(),
        ];
        let mut command = Command::new(&program);
        command.arg("waiters").args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    };
    let mut children = (0..crowd.processes)
        .map(begin)
        .collect::<Result<Vec<Child>, _>>()?;
    // Each says that it is connected; then all begin at once.
    let mut outputs = Vec::new();
    for child in &mut children {
        let mut output = BufReader::new(child.stdout.take().ok_or("a child without output")?);
        output.read_line(&mut String::new())?;
        outputs.push(output);
    }
    for child in &mut children {
        // Dropping the pipe is the sign.
        drop(child.stdin.take());
    }
    let mut sections: Vec<Vec<Section>> = Vec::new();
    sections.resize_with(crowd.processes * crowd.tasks, Vec::new);
    for (process, output) in outputs.into_iter().enumerate() {
        for line in output.lines() {
            let line = line?;
            let mut numbers = line.split(' ').map(str::parse::<u64>);
            let mut next = || {
                numbers
                    .next()
                    .ok_or("a short line")?
                    .map_err(|_| "no number")
            };
            let waiter = process * crowd.tasks + usize::try_from(next()?)?;
            let section = Section {
                waiter,
                start: Duration::from_nanos(next()?),
                end: Duration::from_nanos(next()?),
            };
            sections
                .get_mut(waiter)
                .ok_or("a waiter too many")?
                .push(section);
        }
    }
    for mut child in children {
        if !child.wait()?.success() {
            return Err("a process of waiters failed".into());
        }
    }
    Ok(sections)
}

/// What such a process does: waits for the sign, competes, and prints when it
/// had the lock.
pub(crate) async fn wait_in_line(urls: &str, tasks: usize, time: Duration) -> Result<(), Failure> {
    let manager = LockManager::connect(urls).await?;
    println!("connected");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    let end = monotonic() + time;
    let waiters: Vec<_> = (0..tasks)
        .map(|nth| {
            let manager = manager.clone();
            tokio::spawn(async move {
                let mut sections = Vec::new();
                while monotonic() < end {
                    let request = manager.lock(KEY, TTL).wait(time * 4);
                    let guard = request.acquire().await?;
                    let start = monotonic();
                    let section = (nth, start.as_nanos(), monotonic().as_nanos());
                    guard.release().await?;
                    sections.push(section);
                }
                Ok::<_, Failure>(sections)
            })
        })
        .collect();
    let mut output = std::io::BufWriter::new(std::io::stdout());
    for waiter in waiters {
        for (nth, start, end) in waiter.await?? {
            writeln!(output, "{nth} {start} {end}")?;
        }
    }
    output.flush()?;
    Ok(())
}

fn commands(server: &Server) -> u64 {
    let info: String = server.cli(&["INFO", "stats"]);
    let field = |line: &str| line.strip_prefix("total_commands_processed:")?.parse().ok();
    info.lines().find_map(field).unwrap_or_default()
}
