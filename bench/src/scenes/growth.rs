//! How costs grow with tasks and with nodes.

use std::sync::Arc;

use lockguard::LockManager;
use lockguard_servers::{Server, Servers};

use crate::{
    contender::{Contender, Failure, Floor, Lockguard, QuorumFloor},
    load,
    scenes::{FLOOR, OURS, Run, many, micros},
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
        let of = self.name().trim_end_matches('s');
        format!("growth, {}", many(step, of))
    }
}

/// So many tasks where it is the nodes that grow.
const MANY: usize = 64;

/// One to ten thousand tasks on one node; one to nine nodes; the floor beside.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let mut stages = Vec::new();
    for nodes in NODES {
        let servers = Servers::start(nodes);
        let urls = servers.urls();
        let ours = Arc::new(Lockguard(LockManager::connect(&urls).await?));
        let floor = Arc::new(QuorumFloor::connect(&urls).await?);
        stages.push((servers, ours, floor));
    }
    let server = Servers::start(1);
    let ours = Arc::new(Lockguard(LockManager::connect(server.urls()).await?));
    let floor = Arc::new(Floor::connect(&server.urls()).await?);
    for round in 0..run.rounds {
        run.progress("growth", round);
        for (servers, ours, floor) in &stages {
            let scene = Axis::Nodes.scene(servers.len());
            note(run, &scene, servers, FLOOR, floor, MANY).await?;
            note(run, &scene, servers, OURS, ours, MANY).await?;
        }
        for tasks in TASKS {
            let scene = Axis::Tasks.scene(tasks);
            note(run, &scene, &server, FLOOR, &floor, tasks).await?;
            note(run, &scene, &server, OURS, &ours, tasks).await?;
        }
    }
    Ok(())
}

async fn note(
    run: &mut Run,
    scene: &str,
    servers: &Servers,
    name: &str,
    contender: &Arc<impl Contender>,
    tasks: usize,
) -> Result<(), Failure> {
    let pids: Vec<u32> = servers.iter().map(Server::pid).collect();
    let outcome = load::run(contender, tasks, run.slice, &pids).await?;
    run.note_load(scene, name, &outcome);
    let server = micros(outcome.server());
    run.report
        .note(scene, name, "servers' CPU a cycle, µs", server);
    Ok(())
}
