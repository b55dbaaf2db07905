//! What an annotated call costs where locks live in this process.

use std::{hint::black_box, time::Instant};

use lockguard::{LockError, LockManager, distributed_lock};

use crate::{contender::Failure, meter::Reading, scenes::Run};

pub(crate) const SCENE: &str = "in memory, annotated call, 1 task";
pub(crate) const ANNOTATED: &str = "annotated";
pub(crate) const TIME: &str = "time a call, ns";

const CALLS: u32 = 200_000;

/// Enough keys that none is hot, few enough that all stay in the cache.
const KEYS: u64 = 64;

#[distributed_lock(key = "seat:{seat}", ttl = "10s")]
async fn annotated(seat: u64) -> Result<u64, LockError> {
    Ok(seat)
}

#[expect(clippy::unused_async, reason = "the same call without the attribute")]
async fn plain(seat: u64) -> Result<u64, LockError> {
    Ok(seat)
}

/// One task on one thread, nobody waiting.
pub(crate) fn measure(run: &mut Run) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let manager = LockManager::memory();
    runtime.block_on(lockguard::scope(manager, async {
        for round in 0..run.rounds {
            run.progress(SCENE, round);
            calls(run, ANNOTATED, async |seat| annotated(seat).await).await?;
            calls(run, "plain", async |seat| plain(seat).await).await?;
        }
        Ok(())
    }))
}

async fn calls(
    run: &mut Run,
    name: &str,
    call: impl AsyncFn(u64) -> Result<u64, LockError>,
) -> Result<(), Failure> {
    let before = Reading::take(&[]);
    let start = Instant::now();
    for nth in 0..CALLS {
        black_box(call(black_box(u64::from(nth) % KEYS)).await?);
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9;
    let usage = Reading::take(&[]).since(&before);
    let mut note = |what, value| run.report.note(SCENE, name, what, value / f64::from(CALLS));
    note(TIME, nanos);
    if let Some(heap) = usage.heap {
        note("allocations a call", heap.allocations);
    }
    Ok(())
}
