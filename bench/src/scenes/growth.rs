//! How costs grow with tasks and with nodes.

use std::sync::Arc;

use lockguard::LockManager;
use lockguard_tests::{Server, Servers};

use crate::{
    contender::{Failure, Lockguard},
    load,
    scenes::{Run, micros},
};

pub(crate) const TASKS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
pub(crate) const NODES: [usize; 5] = [1, 3, 5, 7, 9];

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Tasks,
    Nodes,
}

impl Axis {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Nodes => "nodes",
        }
    }

    pub(crate) fn scene(self, step: usize) -> String {
        format!("growth, {step} {}", self.name())
    }
}

/// So many tasks where it is the nodes that grow.
const MANY: usize = 64;

/// One to ten thousand tasks on one node; one to nine nodes.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let mut stages = Vec::new();
    for nodes in NODES {
        let servers = Servers::start(nodes);
        let ours = Lockguard(LockManager::connect(servers.urls()).await?);
        stages.push((servers, Arc::new(ours)));
    }
    for round in 0..run.rounds {
        run.progress("growth", round);
        for (servers, ours) in &stages {
            note(run, &Axis::Nodes.scene(servers.len()), servers, ours, MANY).await?;
        }
        if let Some((server, ours)) = stages.first() {
            for tasks in TASKS {
                note(run, &Axis::Tasks.scene(tasks), server, ours, tasks).await?;
            }
        }
    }
    Ok(())
}

async fn note(
    run: &mut Run,
    scene: &str,
    servers: &Servers,
    ours: &Arc<Lockguard>,
    tasks: usize,
) -> Result<(), Failure> {
    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    let outcome = load::run(ours, tasks, run.slice, &pids).await?;
    let report = &mut run.report;
    report.note(
        scene,
        "lockguard",
        "client CPU a cycle, µs",
        micros(outcome.client()),
    );
    report.note(
        scene,
        "lockguard",
        "servers' CPU a cycle, µs",
        micros(outcome.server()),
    );
    report.note(scene, "lockguard", "p50, µs", micros(outcome.quantile(0.5)));
    report.note(scene, "lockguard", "cycles a second", outcome.per_second());
    Ok(())
}
