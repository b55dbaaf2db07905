//! How long a lock that is waited for lies idle between two owners.

use std::time::Duration;

use lockguard_servers::{Server, Servers};

use crate::{
    contender::Failure,
    driver::{self, Driver, Work},
    scenes::{OURS, OVERLAPS, Run, many, micros},
    sections::Sections,
};

pub(crate) const MEAN: &str = "hand-off mean, µs";
pub(crate) const COMMANDS: &str = "commands a section and node, those in scripts too";
pub(crate) const JAIN: &str = "Jain's index";
pub(crate) const STARVED: &str = "starved waiters";

/// The one peer that does not poll.
pub(crate) const TOLD: &str = "Redisson";

/// Who waits: so many processes, so many tasks in each.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) nodes: usize,
    processes: usize,
    tasks: usize,
}

const fn crowd(nodes: usize, processes: usize, tasks: usize) -> Crowd {
    Crowd {
        nodes,
        processes,
        tasks,
    }
}

/// 16 and 256 waiters, in one process and in several, on 1 and 5 nodes.
pub(crate) const CROWDS: [Crowd; 8] = [
    crowd(1, 16, 1),
    crowd(5, 16, 1),
    crowd(1, 1, 16),
    crowd(5, 1, 16),
    crowd(1, 16, 16),
    crowd(5, 16, 16),
    crowd(1, 1, 256),
    crowd(5, 1, 256),
];

/// A closed loop: whoever has had the lock asks for it again.
pub(crate) fn measure(run: &mut Run, peers: &[Driver]) -> Result<(), Failure> {
    let ours = Driver::ours(OURS, "lockguard")?;
    for crowd in CROWDS {
        let servers = Servers::start(crowd.nodes);
        for round in 0..run.rounds {
            run.progress(&crowd.scene(), round);
            one(run, crowd, &servers, &ours)?;
            // Elsewhere peers wait as they do there.
            if crowd.is_of_processes() && run.has_peers(round) {
                for peer in peers.iter().filter(|peer| peer.is_able(crowd.nodes)) {
                    let is_too_slow = run.is_quick && peer.kind.is_slow_to_start;
                    if is_too_slow || run.has_given_up(&crowd.scene(), peer.name) {
                        continue;
                    }
                    if let Err(reason) = one(run, crowd, &servers, peer) {
                        run.give_up(&crowd.scene(), peer.name, &reason);
                        // What it leaves would be in the way of the next.
                        servers.iter().for_each(Server::flush);
                    }
                }
            }
        }
    }
    Ok(())
}

impl Crowd {
    pub(crate) fn scene(self) -> String {
        format!("hand-off, {}", self.text())
    }

    pub(crate) fn text(self) -> String {
        let processes = match self.processes {
            1 => "one process".to_owned(),
            several => format!("{several} processes"),
        };
        let nodes = many(self.nodes, "node");
        format!("{} waiters in {processes}, {nodes}", self.waiters())
    }

    pub(crate) fn waiters(self) -> usize {
        self.processes * self.tasks
    }

    /// Whether each process has one waiter.
    pub(crate) fn is_of_processes(self) -> bool {
        self.tasks == 1
    }
}

fn one(run: &mut Run, crowd: Crowd, servers: &Servers, driver: &Driver) -> Result<(), Failure> {
    let before: u64 = servers.iter().map(commands).sum();
    let urls = servers.urls();
    let work = Work {
        urls: &urls,
        tasks: crowd.tasks,
        time: run.slice,
        hold: Duration::ZERO,
    };
    let sections = driver::handoff(&[(driver, crowd.processes)], work)?;
    let asked: u64 = servers.iter().map(commands).sum::<u64>() - before;
    let asked = asked as f64 / crowd.nodes as f64 / sections.count().max(1) as f64;
    note(run, &crowd.scene(), driver.name, &sections, asked);
    Ok(())
}

fn note(run: &mut Run, scene: &str, name: &str, sections: &Sections, asked: f64) {
    let passing = sections.passing();
    let mut note = |what, value| run.report.note(scene, name, what, value);
    note(MEAN, micros(passing.mean()));
    note("hand-off p50, µs", micros(passing.quantile(0.5)));
    note("hand-off p99, µs", micros(passing.quantile(0.99)));
    note("hand-offs", passing.count() as f64);
    note(COMMANDS, asked);
    note(JAIN, sections.jain());
    note(STARVED, sections.starved() as f64);
    note(OVERLAPS, passing.overlaps as f64);
}

fn commands(server: &Server) -> u64 {
    let info: String = server.cli(&["INFO", "stats"]);
    let field = |line: &str| line.strip_prefix("total_commands_processed:")?.parse().ok();
    info.lines().find_map(field).unwrap_or_default()
}
