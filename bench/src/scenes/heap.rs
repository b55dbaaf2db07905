//! What a lease and a waiter take on the heap.

use std::time::Duration;

use lockguard::{LockGuard, LockManager};
use lockguard_servers::Server;

use crate::{
    contender::{Failure, TTL},
    meter::Reading,
    scenes::Run,
};

const SCENE: &str = "heap of this process";
const COUNT: u32 = 10_000;

/// Leases on keys of their own, and waiters for one key.
pub(crate) async fn measure(run: &mut Run) -> Result<(), Failure> {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await?;
    for round in 0..run.rounds {
        run.progress(SCENE, round);
        let before = Reading::take(&[]);
        let mut guards: Vec<LockGuard> = Vec::with_capacity(COUNT as usize);
        for nth in 0..COUNT {
            guards.push(manager.lock(format!("bench:{nth}"), TTL).acquire().await?);
        }
        note(run, "a lease", &before);
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
        note(run, "a waiter, with its task", &before);
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

/// What each of so many takes that were not there before.
fn note(run: &mut Run, what: &str, before: &Reading) {
    if let Some(heap) = Reading::take(&[]).since(before).heap {
        let each = heap.bytes / f64::from(COUNT);
        run.report.note(SCENE, what, "bytes", each);
    }
}
