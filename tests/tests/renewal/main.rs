//! Leases that are renewed: `max_hold`.
//!
//! Time is paused where there is no server.

#![expect(clippy::panic, reason = "helpers of tests panic as tests do")]

mod ends;
mod failures;
mod max_hold;
mod runtimes;
mod servers;
mod together;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use lockguard::{
    BoxFuture, Lease, LockError, LockKey, LockManager, LostCause,
    backend::{
        Backend, BackendError, ExtendReply, ExtendRequest, Memory, ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{
    Call, Fate, Operation, Scripted, Servers, Step, Warnings, eventually, forward, managers,
    over_1_3_5_nodes, redlock_over,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    task::yield_now,
    time::{Instant, advance, sleep, sleep_until, timeout},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const TTL: Duration = ms(2000);

/// The ttl less the drift margin: 1 % of it and 2 ms.
const LIFETIME: Duration = ms(1978);

const MINUTE: Duration = ms(60_000);

/// The latest that a first renewal goes out: a third of the ttl, a tick, and
/// a timer's millisecond.
const FIRST_RENEWAL: Duration = ms(667 + 50 + 1);

fn scripted<const N: usize>() -> [Scripted; N] {
    std::array::from_fn(|_| Scripted::new())
}

fn lost_cause<T: std::fmt::Debug>(result: Result<T, LockError>) -> LostCause {
    match result {
        Err(LockError::Lost { cause, .. }) => cause,
        other => panic!("not lost: {other:?}"),
    }
}

fn extends(node: &Scripted) -> usize {
    node.calls_of(Operation::Extend).len()
}
