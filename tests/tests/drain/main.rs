//! A manager that is drained ends every lease within its time, and leaves
//! nothing.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

mod leases;
mod left;
mod newcomers;
mod servers;
mod time;

use std::{
    array,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    thread,
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockGuard, LockKey, LockManager, LostCause, OnLost, ReleaseError,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, CloseReply, ExtendReply,
        ExtendRequest, Redlock, ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{
    Fate, Operation, Scripted, Servers, Step, Worker, eventually, eventually_blocking, forward,
    managers, over_1_3_5_nodes, redlock_over,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Runtime,
    sync::oneshot,
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep, timeout},
};

const TTL: Duration = Duration::from_secs(2);

/// Long: a key that is gone before was released, and did not expire.
const LONG: Duration = Duration::from_secs(600);

const TIMEOUT: Duration = Duration::from_secs(10);

const PATIENCE: Duration = Duration::from_secs(10);

/// Long enough for every task to stand where it waits.
const A_MOMENT: Duration = Duration::from_millis(20);

fn is_draining<T>(result: &Result<T, LockError>) -> bool {
    matches!(result, Err(LockError::Draining { .. }))
}

fn is_drained<T>(result: &Result<T, LockError>) -> bool {
    let cause = LostCause::Drained;
    matches!(result, Err(LockError::Lost { cause: found, .. }) if *found == cause)
}

/// A body that runs until it is told to end, or dropped.
struct Body {
    end: oneshot::Sender<()>,
    ended: JoinHandle<Result<u32, LockError>>,
}

/// Returns once it runs.
async fn body(manager: &LockManager, key: &str) -> Body {
    let (end, told) = oneshot::channel();
    let (begins, running) = oneshot::channel();
    let ended = tokio::spawn(manager.lock(key, LONG).run(async move |_| {
        begins.send(()).expect("the test waits");
        told.await.map_or(0, |()| 7)
    }));
    running.await.expect("the body runs");
    Body { end, ended }
}

async fn guard(manager: &LockManager, key: &str) -> LockGuard {
    let guard = manager.lock(key, LONG).acquire().await;
    guard.expect("a free key")
}

#[tokio::test(start_paused = true)]
async fn the_registered_managers_are_drained_together_and_each_once() {
    let [default, named] = [(), ()].map(|()| LockManager::memory());
    lockguard::register(default.clone()).unwrap();
    lockguard::register_named("also the default", default.clone()).unwrap();
    lockguard::register_named("another", named.clone()).unwrap();
    let _held = [guard(&default, "k").await, guard(&named, "k").await];
    let running = body(&named, "j").await;
    let asked = Instant::now();
    let drained = lockguard::drain(TIMEOUT).await;
    assert!(asked.elapsed() <= TIMEOUT);
    assert_eq!((drained.released(), drained.cancelled()), (3, 1));
    assert!(is_drained(&running.ended.await.unwrap()));
}
