//! How long a lock that is waited for lies idle between two owners.

use std::{io::Write as _, time::Duration};

use lockguard::LockManager;
use lockguard_tests::{Server, Servers};

use crate::{
    contender::Failure,
    driver::{Driver, Section, Work},
    meter::monotonic,
    numbers::{jain, quantile},
    scenes::{Run, micros},
};

const TTL: Duration = Duration::from_secs(2);

/// Who waits: so many processes, so many tasks in each.
#[derive(Clone, Copy)]
struct Crowd {
    nodes: usize,
    processes: usize,
    tasks: usize,
}

const CROWDS: [Crowd; 5] = [
    Crowd {
        nodes: 1,
        processes: 16,
        tasks: 1,
    },
    Crowd {
        nodes: 5,
        processes: 16,
        tasks: 1,
    },
    Crowd {
        nodes: 1,
        processes: 1,
        tasks: 256,
    },
    Crowd {
        nodes: 1,
        processes: 16,
        tasks: 16,
    },
    Crowd {
        nodes: 5,
        processes: 16,
        tasks: 16,
    },
];

/// A closed loop: whoever has had the lock asks for it again.
pub(crate) fn measure(run: &mut Run, peers: &[Driver]) -> Result<(), Failure> {
    let ours = Driver::ours()?;
    for crowd in CROWDS {
        let servers = Servers::start(crowd.nodes);
        for round in 0..run.rounds {
            run.progress(&crowd.scene(), round);
            one(run, crowd, &servers, &ours)?;
            // Where all wait in one process, peers wait as everywhere.
            let is_comparable =
                |peer: &&Driver| crowd.tasks == 1 && (crowd.nodes == 1 || peer.has_quorum);
            for peer in peers.iter().filter(is_comparable) {
                one(run, crowd, &servers, peer)?;
            }
        }
    }
    Ok(())
}

impl Crowd {
    fn scene(self) -> String {
        let Self {
            nodes,
            processes,
            tasks,
        } = self;
        let waiters = processes * tasks;
        format!("hand-off, {nodes} nodes, {waiters} waiters in {processes} processes")
    }
}

fn one(run: &mut Run, crowd: Crowd, servers: &Servers, driver: &Driver) -> Result<(), Failure> {
    let before: u64 = servers.iter().map(commands).sum();
    let urls = servers.urls();
    let work = Work {
        urls: &urls,
        tasks: crowd.tasks,
        time: run.slice,
    };
    let sections = driver.handoff(crowd.processes, work)?;
    let asked: u64 = servers.iter().map(commands).sum::<u64>() - before;
    note(
        run,
        &crowd.scene(),
        driver.name,
        &sections,
        asked as f64 / crowd.nodes as f64,
    );
    Ok(())
}

fn note(run: &mut Run, scene: &str, name: &str, sections: &[Vec<Section>], commands: f64) {
    let counts: Vec<f64> = sections.iter().map(|own| own.len() as f64).collect();
    let starved = sections.iter().filter(|own| own.is_empty()).count();
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
    report.note(scene, name, "hand-off mean, µs", micros(mean));
    report.note(
        scene,
        name,
        "hand-off p50, µs",
        micros(quantile(&gaps, 0.5)),
    );
    report.note(
        scene,
        name,
        "hand-off p99, µs",
        micros(quantile(&gaps, 0.99)),
    );
    report.note(scene, name, "hand-offs", gaps.len() as f64);
    report.note(
        scene,
        name,
        "commands a section and node",
        commands / all.len() as f64,
    );
    report.note(scene, name, "Jain's index", jain(&counts));
    report.note(scene, name, "starved waiters", starved as f64);
    report.note(scene, name, "overlaps", overlaps);
}

/// What our own driver does in its process: waits for the sign, competes, and
/// prints when it had the lock.
pub(crate) async fn drive(
    urls: &str,
    key: &str,
    tasks: usize,
    time: Duration,
) -> Result<(), Failure> {
    let manager = LockManager::connect(urls).await?;
    println!("connected");
    let wait = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(wait).await??;
    let end = monotonic() + time;
    let waiters: Vec<_> = (0..tasks)
        .map(|nth| {
            let request = manager.lock(key, TTL).wait(time * 4);
            tokio::spawn(async move {
                let mut sections = Vec::new();
                while monotonic() < end {
                    let guard = request.clone().acquire().await?;
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
