//! What it costs to keep ten thousand leases alive.

use std::time::{Duration, Instant};

use lockguard::{LockGuard, LockManager};
use lockguard_servers::Server;

use crate::{
    contender::Failure,
    meter::Reading,
    scenes::{OURS, Run, micros},
};

pub(crate) const SCENE: &str = "10,000 leases of 2 s are renewed on 1 node";
pub(crate) const SHARE: &str = "client, percent of a core";

const LEASES: u32 = 10_000;
const TTL: Duration = Duration::from_secs(2);

/// Leases on one server, each renewed at a third of its ttl.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await?;
    let mut guards: Vec<LockGuard> = Vec::new();
    for nth in 0..LEASES {
        let request = manager.lock(format!("bench:{nth}"), TTL);
        guards.push(request.max_hold(Duration::from_secs(600)).acquire().await?);
    }
    // The first renewals of all of them.
    tokio::time::sleep(TTL).await;
    let pids = [server.pid()];
    // A round takes as long as a lease, however coarse the run is.
    let rounds = if run.is_quick { 1 } else { run.rounds };
    for round in 0..rounds {
        run.progress(SCENE, round);
        let renewed = server.command_count("pexpire");
        let (before, start) = (Reading::take(&pids), Instant::now());
        // What the clock does to leases is what is measured.
        tokio::time::sleep(TTL.max(run.slice)).await;
        let (usage, took) = (Reading::take(&pids).since(&before), start.elapsed());
        let renewed = (server.command_count("pexpire") - renewed) as f64;
        let share = usage.client.as_secs_f64() / took.as_secs_f64();
        let mut note = |what, value| run.report.note(SCENE, OURS, what, value);
        note(SHARE, share * 100.0);
        note("client CPU a renewal, µs", micros(usage.client) / renewed);
        note("server CPU a renewal, µs", micros(usage.servers) / renewed);
        note("renewals a second", renewed / took.as_secs_f64());
        if let Some(heap) = usage.heap {
            note("allocations a renewal", heap.allocations / renewed);
        }
    }
    if let Some(lost) = guards.iter().find(|guard| !guard.is_held()) {
        return Err(format!("{lost:?} was lost").into());
    }
    for guard in guards {
        guard.release().await?;
    }
    Ok(())
}
