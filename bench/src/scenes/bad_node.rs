//! What a cycle costs with one of five nodes stopped or refused, what piles up
//! meanwhile, and what is left once the node is back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lockguard::LockManager;
use lockguard_servers::{Server, Servers};

use crate::{
    contender::{Failure, Lockguard},
    load,
    meter::{Reading, is_counting},
    scenes::{Run, micros},
};

pub(crate) const SCENE: &str = "one of 5 nodes is bad, 1 task";
pub(crate) const LONGEST: &str = "longest after the first second, µs";
pub(crate) const GROWN: &str = "heap grown in the second half of the time, KiB";
pub(crate) const LEFT: &str = "keys left once the node was back";
pub(crate) const HEALTHY: &str = "healthy";
pub(crate) const STOPPED: &str = "one stopped";
pub(crate) const REFUSED: &str = "one refused";

const NODES: usize = 5;

/// Longer than it takes to find that a node is bad (the response timeout).
const SETTLED: Duration = Duration::from_millis(1500);

/// Short enough that nothing of a second ago is still held, or owed.
const SHORT: Duration = Duration::from_secs(1);

/// So long that nothing goes away by itself.
const LONG: Duration = Duration::from_secs(3600);

/// How often memory is looked at in each half of its time.
const SAMPLES: u32 = 10;

/// How long the servers may take to be rid of everything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Three sets of servers side by side: healthy, one stopped, one refused.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let scenes = [
        Scene::new(HEALTHY, |_| {}, |_| {}).await?,
        Scene::new(STOPPED, Server::stop, Server::cont).await?,
        Scene::new(REFUSED, Server::kill, Server::restart).await?,
    ];
    if is_counting() {
        for scene in &scenes {
            eprintln!("{SCENE}: what piles up, {}", scene.name);
            (scene.harm)(&scene.servers[0]);
            scene.endure(run).await?;
        }
        return Ok(());
    }
    for scene in &scenes {
        (scene.harm)(&scene.servers[0]);
        let outcome = load::run(&scene.ours, 1, Duration::from_secs(1), &[]).await?;
        let longest = micros(outcome.longest());
        let what = "longest in the first second, µs";
        run.report.note(SCENE, scene.name, what, longest);
        let outcome = load::run(&scene.ours, 1, SETTLED, &[]).await?;
        let longest = micros(outcome.longest());
        run.report.note(SCENE, scene.name, LONGEST, longest);
    }
    for round in 0..run.rounds {
        run.progress(SCENE, round);
        for scene in &scenes {
            let outcome = load::run(&scene.ours, 1, run.slice, &[]).await?;
            run.note_load(SCENE, scene.name, &outcome);
            let longest = micros(outcome.longest());
            run.report.note(SCENE, scene.name, LONGEST, longest);
        }
    }
    for scene in scenes.iter().filter(|scene| scene.name != HEALTHY) {
        eprintln!("{SCENE}: what is left, {}", scene.name);
        scene.come_and_go(run).await?;
    }
    Ok(())
}

/// Five servers in some state, and a manager over them.
struct Scene {
    name: &'static str,
    ours: Arc<Lockguard>,
    servers: Servers,
    harm: fn(&Server),
    heal: fn(&Server),
}

impl Scene {
    async fn new(
        name: &'static str,
        harm: fn(&Server),
        heal: fn(&Server),
    ) -> Result<Self, Failure> {
        let servers = Servers::start(NODES);
        let ours = Lockguard(LockManager::connect(servers.urls()).await?);
        Ok(Self {
            name,
            ours: Arc::new(ours),
            servers,
            harm,
            heal,
        })
    }

    /// Memory of this process over a while, each cycle on a key of its own.
    ///
    /// Buffers and tables grow to a size and keep it: what counts is by how
    /// much the second half of the time goes beyond the first.
    async fn endure(&self, run: &mut Run) -> Result<(), Failure> {
        let manager = &self.ours.0;
        cycles(manager, "settling", SHORT, SHORT * 2).await?;
        manager.nodes().await;
        let before = Reading::take(&[]);
        let mut note = |what, value| run.report.note(SCENE, self.name, what, value);
        note("watched for, s", run.endurance.as_secs_f64());
        let mut most = [f64::MIN; 2];
        for most in &mut most {
            for _ in 0..SAMPLES {
                cycles(manager, "enduring", SHORT, run.endurance / SAMPLES / 2).await?;
                // Behind what slower nodes have not answered yet.
                manager.nodes().await;
                let heap = Reading::take(&[]).since(&before).heap;
                let grown = heap.ok_or("nothing counts")?.bytes / 1024.0;
                note("heap beyond that at first, KiB", grown);
                *most = most.max(grown);
            }
        }
        note(GROWN, most[1] - most[0]);
        Ok(())
    }

    /// The node becomes bad under load, and good again; nothing may stay.
    async fn come_and_go(&self, run: &mut Run) -> Result<(), Failure> {
        let bad = &self.servers[0];
        (self.heal)(bad);
        let manager = self.ours.0.clone();
        let work = tokio::spawn(async move {
            cycles(&manager, "meanwhile", LONG, SETTLED * 2).await?;
            Ok::<_, Failure>(())
        });
        tokio::time::sleep(SETTLED / 2).await;
        tokio::task::block_in_place(|| (self.harm)(bad));
        work.await??;
        tokio::task::block_in_place(|| (self.heal)(bad));
        let healed = Instant::now();
        let mut left = self.keys();
        while left > 0 && healed.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            left = self.keys();
        }
        let took = healed.elapsed().as_secs_f64() * 1e3;
        let mut note = |what, value| run.report.note(SCENE, self.name, what, value);
        note(LEFT, left as f64);
        note("until nothing was left, ms", took);
        Ok(())
    }

    fn keys(&self) -> u64 {
        let size = |server: &Server| server.cli::<u64>(&["DBSIZE"]);
        tokio::task::block_in_place(|| self.servers.iter().map(size).sum())
    }
}

/// Cycles of one task; nothing of them is kept.
async fn cycles(
    manager: &LockManager,
    name: &str,
    ttl: Duration,
    time: Duration,
) -> Result<(), Failure> {
    let end = Instant::now() + time;
    let mut nth = 0_u64;
    while Instant::now() < end {
        let guard = manager.lock(format!("{name}:{nth}"), ttl).acquire().await?;
        guard.release().await?;
        nth += 1;
    }
    Ok(())
}
