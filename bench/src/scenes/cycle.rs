//! What a cycle costs: acquire and release of a key that nobody else wants.

use std::sync::Arc;

use lockguard::LockManager;
use lockguard_tests::{Server, Servers};

use crate::{
    contender::{Contender, Failure, Floor, InBackground, Lockguard, QuorumFloor},
    driver::{Driver, Work},
    load::{self, Outcome},
    scenes::{Run, micros},
};

const TASKS: [usize; 3] = [1, 64, 1000];

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

/// Cycles of another library, in processes of its own.
fn against(run: &mut Run, servers: &Servers, peer: &Driver, tasks: usize) -> Result<(), Failure> {
    let (scene, urls) = (scene(servers, tasks), servers.urls());
    let work = Work {
        urls: &urls,
        tasks,
        time: run.slice,
    };
    let cycles = peer.cycles(work)?;
    let each = cycles.used.div_f64(cycles.count.max(1.0));
    let per_second = cycles.count / run.slice.as_secs_f64();
    let report = &mut run.report;
    report.note(&scene, peer.name, "client CPU a cycle, µs", micros(each));
    report.note(&scene, peer.name, "p50, µs", micros(cycles.p50));
    report.note(&scene, peer.name, "p99, µs", micros(cycles.p99));
    report.note(&scene, peer.name, "cycles a second", per_second);
    Ok(())
}

fn scene(servers: &Servers, tasks: usize) -> String {
    format!("cycle, {} nodes, {tasks} tasks", servers.len())
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
        let scene = scene(servers, tasks);
        load::run(floor, tasks, run.slice / 4, &pids).await?;
        load::run(ours, tasks, run.slice / 4, &pids).await?;
        for round in 0..run.rounds {
            run.progress(&scene, round);
            let outcome = load::run(floor, tasks, run.slice, &pids).await?;
            note(run, &scene, "floor", &outcome, servers);
            let outcome = load::run(ours, tasks, run.slice, &pids).await?;
            note(run, &scene, "lockguard", &outcome, servers);
            let outcome = load::run(detached, tasks, run.slice, &pids).await?;
            note(run, &scene, "lockguard, in background", &outcome, servers);
            let able = |peer: &&Driver| servers.len() == 1 || peer.has_quorum;
            for peer in peers.iter().filter(able) {
                against(run, servers, peer, tasks)?;
            }
        }
    }
    Ok(())
}

fn note(run: &mut Run, scene: &str, contender: &str, outcome: &Outcome, servers: &Servers) {
    let report = &mut run.report;
    report.note(
        scene,
        contender,
        "client CPU a cycle, µs",
        micros(outcome.client()),
    );
    report.note(scene, contender, "p50, µs", micros(outcome.quantile(0.5)));
    report.note(scene, contender, "p99, µs", micros(outcome.quantile(0.99)));
    report.note(scene, contender, "cycles a second", outcome.per_second());
    report.note(
        scene,
        contender,
        "servers' CPU a cycle, µs",
        micros(outcome.server()),
    );
    report.note(
        scene,
        contender,
        "share of a core, each server",
        outcome.busy(servers.len()),
    );
    report.note(
        scene,
        contender,
        "allocations a cycle",
        outcome.allocations(),
    );
}
