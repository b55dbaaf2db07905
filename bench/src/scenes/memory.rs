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
            let (nanos, allocations) = calls(async |seat| annotated(seat).await).await?;
            run.report.note(SCENE, ANNOTATED, TIME, nanos);
            run.report
                .note(SCENE, ANNOTATED, "allocations a call", allocations);
            let (nanos, allocations) = calls(async |seat| plain(seat).await).await?;
            run.report.note(SCENE, "plain", TIME, nanos);
            run.report
                .note(SCENE, "plain", "allocations a call", allocations);
        }
        Ok(())
    }))
}

async fn calls(call: impl AsyncFn(u64) -> Result<u64, LockError>) -> Result<(f64, f64), Failure> {
    let before = Reading::take(&[]);
    let start = Instant::now();
    for nth in 0..CALLS {
        black_box(call(black_box(u64::from(nth) % KEYS)).await?);
    }
    let nanos = start.elapsed().as_secs_f64() * 1e9;
    let usage = Reading::take(&[]).since(&before);
    let allocations = usage.allocations as f64;
    Ok((nanos / f64::from(CALLS), allocations / f64::from(CALLS)))
}
