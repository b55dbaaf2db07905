//! What a cycle costs: acquire and release of a key that nobody else wants.

use std::{sync::Arc, time::Duration};

use lockguard::LockManager;
use lockguard_servers::{Server, Servers};

use crate::{
    awake::Awake,
    contender::{Contender, Failure, Floor, InBackground, Lockguard, QuorumFloor},
    driver::{Driver, Work},
    load::{self, Outcome},
    scenes::{CPU, FLOOR, IN_BACKGROUND, OURS, P50, P99, Run, THROUGHPUT, many, micros},
};

pub(crate) const TASKS: [usize; 3] = [1, 64, 1000];
pub(crate) const BUSY: &str = "share of a core, each server";

/// Cycles at 1, 64 and 1,000 tasks, against the floor.
pub(crate) async fn measure(run: &mut Run, nodes: usize, peers: &[Driver]) -> Result<(), Failure> {
    let servers = Servers::start(nodes);
    let urls = servers.urls();
    let ours = Arc::new(Lockguard(LockManager::connect(&urls).await?));
    let detached = Arc::new(InBackground(LockManager::connect(&urls).await?));
    if nodes == 1 {
        let floor = Arc::new(Floor::connect(&urls).await?);
        rounds(run, &servers, &floor, &ours, &detached, peers).await
    } else {
        let floor = Arc::new(QuorumFloor::connect(&urls).await?);
        rounds(run, &servers, &floor, &ours, &detached, peers).await
    }
}

pub(crate) fn scene(nodes: usize, tasks: usize) -> String {
    format!("cycle, {}, {}", many(nodes, "node"), many(tasks, "task"))
}

/// Cycles of another library, in processes of its own.
fn against(run: &mut Run, servers: &Servers, peer: &Driver, tasks: usize) -> Result<(), Failure> {
    let (scene, urls) = (scene(servers.len(), tasks), servers.urls());
    let work = Work {
        urls: &urls,
        tasks,
        time: run.slice,
        hold: Duration::ZERO,
    };
    let cycles = {
        let _awake = Awake::during(tasks);
        peer.cycles(work)?
    };
    let each = cycles.used.div_f64(cycles.count.max(1.0));
    // Cycles that ended somewhat after the time count too: in the peer's favour.
    let per_second = cycles.count / run.slice.as_secs_f64();
    let report = &mut run.report;
    report.note(&scene, peer.name, CPU, micros(each));
    report.note(&scene, peer.name, P50, micros(cycles.p50));
    report.note(&scene, peer.name, P99, micros(cycles.p99));
    report.note(&scene, peer.name, THROUGHPUT, per_second);
    Ok(())
}

async fn rounds(
    run: &mut Run,
    servers: &Servers,
    floor: &Arc<impl Contender>,
    ours: &Arc<Lockguard>,
    detached: &Arc<InBackground>,
    peers: &[Driver],
) -> Result<(), Failure> {
    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    for tasks in TASKS {
        let scene = scene(servers.len(), tasks);
        load::run(floor, tasks, run.slice / 4, &pids).await?;
        load::run(ours, tasks, run.slice / 4, &pids).await?;
        for round in 0..run.rounds {
            run.progress(&scene, round);
            let outcome = load::run(floor, tasks, run.slice, &pids).await?;
            note(run, &scene, FLOOR, &outcome, servers);
            let outcome = load::run(ours, tasks, run.slice, &pids).await?;
            note(run, &scene, OURS, &outcome, servers);
            let outcome = load::run(detached, tasks, run.slice, &pids).await?;
            note(run, &scene, IN_BACKGROUND, &outcome, servers);
            if run.has_peers(round) {
                for peer in peers.iter().filter(|peer| peer.is_able(servers.len())) {
                    if run.has_given_up(&scene, peer.name) {
                        continue;
                    }
                    if let Err(reason) = against(run, servers, peer, tasks) {
                        run.give_up(&scene, peer.name, &reason);
                    }
                }
            }
        }
    }
    Ok(())
}

fn note(run: &mut Run, scene: &str, contender: &str, outcome: &Outcome, servers: &Servers) {
    run.note_load(scene, contender, outcome);
    let mut also = |what, value| run.report.note(scene, contender, what, value);
    also("servers' CPU a cycle, µs", micros(outcome.server()));
    also(BUSY, outcome.busy(servers.len()));
    also("context switches a cycle", outcome.switches());
    if let Some(allocations) = outcome.allocations() {
        also("allocations a cycle", allocations);
    }
}
