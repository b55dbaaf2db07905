//! What a cycle costs with one of five nodes stopped or refused.

use std::{sync::Arc, time::Duration};

use lockguard::LockManager;
use lockguard_tests::Servers;

use crate::{
    contender::{Failure, Lockguard},
    load,
    scenes::{Run, micros},
};

const NODES: usize = 5;

/// Longer than it takes to find that a node is bad (the response timeout).
const SETTLED: Duration = Duration::from_millis(1500);

/// Three sets of servers side by side: healthy, one stopped, one refused.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let scenes = [
        Scene::new("healthy", |_| {}).await?,
        Scene::new("one stopped", |servers| servers[0].stop()).await?,
        Scene::new("one refused", |servers| servers[0].kill()).await?,
    ];
    let table = "one of 5 nodes is bad, 1 task";
    for scene in &scenes {
        let outcome = load::run(&scene.ours, 1, Duration::from_secs(1), &[]).await?;
        let longest = micros(outcome.longest());
        run.report.note(
            table,
            scene.name,
            "longest in the first second, µs",
            longest,
        );
        load::run(&scene.ours, 1, SETTLED, &[]).await?;
    }
    for round in 0..run.rounds {
        run.progress(table, round);
        for scene in &scenes {
            let outcome = load::run(&scene.ours, 1, run.slice, &[]).await?;
            let report = &mut run.report;
            report.note(table, scene.name, "p50, µs", micros(outcome.quantile(0.5)));
            report.note(table, scene.name, "p99, µs", micros(outcome.quantile(0.99)));
            report.note(table, scene.name, "longest, µs", micros(outcome.longest()));
            report.note(
                table,
                scene.name,
                "client CPU a cycle, µs",
                micros(outcome.client()),
            );
        }
    }
    Ok(())
}

/// Five servers in some state, and a manager over them.
struct Scene {
    name: &'static str,
    ours: Arc<Lockguard>,
    /// Ends the servers when the scene is over.
    _servers: Servers,
}

impl Scene {
    async fn new(name: &'static str, harm: impl Fn(&Servers)) -> Result<Self, Failure> {
        let servers = Servers::start(NODES);
        let ours = Lockguard(LockManager::connect(servers.urls()).await?);
        harm(&servers);
        Ok(Self {
            name,
            ours: Arc::new(ours),
            _servers: servers,
        })
    }
}
