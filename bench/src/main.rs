//! Measures a cycle (acquire and release) on five nodes: all healthy, one of
//! them stopped, and one of them refusing connections.
//!
//! ```sh
//! cargo run --release -p lockguard-bench
//! ```
//!
//! The three sets of servers run side by side, and each round measures all of
//! them in turn, so that whatever else the machine does hits all alike: trust
//! the ratios.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use lockguard::LockManager;
use lockguard_tests::Servers;

const NODES: usize = 5;
const ROUNDS: usize = 7;
const CYCLES: usize = 400;
const TTL: Duration = Duration::from_secs(2);

/// Longer than it takes to find that a node is bad (the response timeout).
const SETTLED: Duration = Duration::from_millis(1500);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let scenes = [
        Scene::new("all healthy", |_| {}).await?,
        Scene::new("one stopped", |servers| servers[0].stop()).await?,
        Scene::new("one refused", |servers| servers[0].kill()).await?,
    ];
    println!("{NODES} nodes, one task, {ROUNDS} rounds of {CYCLES} cycles each, in turn\n");
    println!("{:<14} {:>12} {:>12}", "first second", "median", "slowest");
    for scene in &scenes {
        let mut cycles = scene.cycles_for(Duration::from_secs(1)).await?;
        scene.print(&mut cycles, None);
    }
    for scene in &scenes {
        scene.cycles_for(SETTLED).await?;
    }

    let mut measured: Vec<Vec<Duration>> = scenes.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (scene, cycles) in scenes.iter().zip(&mut measured) {
            cycles.extend(scene.cycles(CYCLES).await?);
        }
    }
    println!(
        "\n{:<14} {:>12} {:>12} {:>10}",
        "afterwards", "median", "slowest", "ratio"
    );
    let healthy = measured.first_mut().map(|cycles| median(cycles));
    for (scene, cycles) in scenes.iter().zip(&mut measured) {
        scene.print(cycles, healthy);
    }
    Ok(())
}

/// Five servers in some state, and a manager over them.
struct Scene {
    name: &'static str,
    manager: LockManager,
    /// Ends the servers when the scene is over.
    _servers: Servers,
}

impl Scene {
    async fn new(name: &'static str, harm: impl Fn(&Servers)) -> Result<Self, Box<dyn Error>> {
        let servers = Servers::start(NODES);
        let manager = LockManager::connect(servers.urls()).await?;
        harm(&servers);
        Ok(Self {
            name,
            manager,
            _servers: servers,
        })
    }

    async fn cycle(&self) -> Result<Duration, Box<dyn Error>> {
        let start = Instant::now();
        let guard = self.manager.lock("bench", TTL).acquire().await?;
        guard.release().await?;
        Ok(start.elapsed())
    }

    async fn cycles(&self, count: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let mut cycles = Vec::with_capacity(count);
        for _ in 0..count {
            cycles.push(self.cycle().await?);
        }
        Ok(cycles)
    }

    async fn cycles_for(&self, time: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
        let end = Instant::now() + time;
        let mut cycles = Vec::new();
        while Instant::now() < end {
            cycles.push(self.cycle().await?);
        }
        Ok(cycles)
    }

    fn print(&self, cycles: &mut [Duration], healthy: Option<Duration>) {
        let median = median(cycles);
        let slowest = cycles.last().copied().unwrap_or_default();
        let ratio = healthy.map_or_else(String::new, |healthy| {
            format!("{:>10.2}", median.as_secs_f64() / healthy.as_secs_f64())
        });
        println!(
            "{:<14} {:>12} {:>12} {ratio}",
            self.name,
            format!("{median:.1?}"),
            format!("{slowest:.1?}")
        );
    }
}

/// Sorts the cycles, and takes the one in the middle.
fn median(cycles: &mut [Duration]) -> Duration {
    cycles.sort_unstable();
    cycles.get(cycles.len() / 2).copied().unwrap_or_default()
}
