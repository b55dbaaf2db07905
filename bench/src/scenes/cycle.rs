//! What a cycle costs: acquire and release of a key that nobody else wants.

use std::sync::Arc;

use lockguard::LockManager;
use lockguard_tests::{Server, Servers};

use crate::{
    contender::{Contender, Failure, Floor, InBackground, Lockguard, QuorumFloor},
    load::{self, Outcome},
    scenes::{Run, micros},
};

const TASKS: [usize; 3] = [1, 64, 1000];

/// Cycles at 1, 64 and 1,000 tasks, against the floor.
pub(crate) async fn measure(run: &mut Run, nodes: usize) -> Result<(), Failure> {
    let servers = Servers::start(nodes);
    let urls = servers.urls();
    let ours = Arc::new(Lockguard(LockManager::connect(&urls).await?));
    let detached = Arc::new(InBackground(LockManager::connect(&urls).await?));
    if nodes == 1 {
        let floor = Arc::new(Floor::connect(&urls).await?);
        rounds(run, &servers, &floor, &ours, &detached).await
    } else {
        let floor = Arc::new(QuorumFloor::connect(&urls).await?);
        rounds(run, &servers, &floor, &ours, &detached).await
    }
}

async fn rounds(
    run: &mut Run,
    servers: &Servers,
    floor: &Arc<impl Contender>,
    ours: &Arc<Lockguard>,
    detached: &Arc<InBackground>,
) -> Result<(), Failure> {
    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    for tasks in TASKS {
        let scene = format!("cycle, {} nodes, {tasks} tasks", servers.len());
        load::run(floor, tasks, run.slice / 4, &pids).await?;
        load::run(ours, tasks, run.slice / 4, &pids).await?;
        for round in 0..run.rounds {
            run.progress(&scene, round);
            let outcome = load::run(floor, tasks, run.slice, &pids).await?;
            note(run, &scene, "floor", &outcome, servers);
            let outcome = load::run(ours, tasks, run.slice, &pids).await?;
            note(run, &scene, "lockguard", &outcome, servers);
            let outcome = load::run(detached, tasks, run.slice, &pids).await?;
            note(
                run,
                &scene,
                "lockguard, background release",
                &outcome,
                servers,
            );
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
