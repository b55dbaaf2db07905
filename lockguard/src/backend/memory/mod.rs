//! Locks in this process: the embedded default, and the store for tests.

mod store;

use std::{
    borrow::Cow,
    fmt,
    future::{poll_fn, ready},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use self::store::Store;
use crate::{
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, BoxFuture, ExtendReply, ExtendRequest,
        ReleaseReply, ReleaseRequest,
    },
    key::LockKey,
    node_status::{NodeRole, NodeStatus},
};

/// Keeps locks in this process.
///
/// A real backend, with ttl, owner tokens and waiting, that passes the same
/// contract as the networked ones; it guards the tasks of one process only.
///
/// It spawns nothing: keys expire when they are next looked at, and every
/// operation is done when it is asked for, so that one store serves any
/// runtime, one after another, and callers without one.
///
/// Clones share one store.
#[derive(Clone, Default)]
pub struct Memory {
    store: Arc<Store>,
}

impl Memory {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for Memory {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let now = request.asked.unwrap_or_else(Instant::now);
        match self.store.acquire(request, now) {
            // What captures nothing takes no memory.
            Ok(AcquireReply::Granted) => {
                Box::pin(poll_fn(|_| Poll::Ready(Ok(AcquireReply::Granted))))
            }
            reply => Box::pin(ready(reply)),
        }
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let now = Instant::now();
        let extend = |request: &ExtendRequest| Ok(self.store.extend(request, now));
        let replies: Vec<_> = requests.iter().map(extend).collect();
        Box::pin(ready(replies))
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let now = request.asked.unwrap_or_else(Instant::now);
        match self.store.release(request, now) {
            // As above.
            ReleaseReply::Freed => Box::pin(poll_fn(|_| Poll::Ready(Ok(ReleaseReply::Freed)))),
            reply => Box::pin(ready(Ok(reply))),
        }
    }

    fn freed(&self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let (waker, wake) = oneshot::channel();
        self.store.watch(key, waker, Instant::now());
        Some(Box::pin(async move {
            // A dropped sender is a wake as well: the key is free already.
            let _ = wake.await;
        }))
    }

    fn nodes(&self) -> BoxFuture<'static, Vec<NodeStatus>> {
        let status = NodeStatus::new(self.address(), NodeRole::Memory)
            .with_round_trip(Duration::ZERO)
            .with_push();
        Box::pin(ready(vec![status]))
    }

    fn is_immediate(&self) -> bool {
        true
    }

    fn address(&self) -> Cow<'_, str> {
        Cow::Borrowed("memory")
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
