//! What a lease and a waiter take on the heap.

use std::time::Duration;

use lockguard::{LockGuard, LockManager};
use lockguard_tests::Server;

use crate::{
    contender::{Failure, TTL},
    meter::Reading,
    scenes::Run,
};

const COUNT: u32 = 10_000;

/// Leases on keys of their own, and waiters for one key.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let scene = "heap of this process";
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await?;
    for round in 0..run.rounds {
        run.progress(scene, round);
        let before = Reading::take(&[]);
        let mut guards: Vec<LockGuard> = Vec::with_capacity(COUNT as usize);
        for nth in 0..COUNT {
            guards.push(manager.lock(format!("bench:{nth}"), TTL).acquire().await?);
        }
        let bytes = Reading::take(&[]).since(&before).bytes;
        run.report
            .note(scene, "a lease", "bytes", bytes as f64 / f64::from(COUNT));
        // Not in the background, where it would fall into what is read next.
        for guard in guards {
            guard.release().await?;
        }

        let held = manager.lock("bench:held", TTL).acquire().await?;
        let before = Reading::take(&[]);
        let waiters: Vec<_> = (0..COUNT)
            .map(|_| {
                let request = manager
                    .lock("bench:held", TTL)
                    .wait(Duration::from_secs(60));
                tokio::spawn(async move { request.acquire().await.map(drop) })
            })
            .collect();
        // All of them have been polled when a task that was spawned last has.
        tokio::spawn(tokio::task::yield_now()).await?;
        let bytes = Reading::take(&[]).since(&before).bytes;
        run.report.note(
            scene,
            "a waiter, with its task",
            "bytes",
            bytes as f64 / f64::from(COUNT),
        );
        for waiter in &waiters {
            waiter.abort();
        }
        for waiter in waiters {
            // Cancelled, which is what was asked for.
            let _ = waiter.await;
        }
        held.release().await?;
    }
    Ok(())
}
