//! Which leases the running task holds.

use std::{sync::Arc, task::Poll};

use tokio::time::Instant;
use tracing::{Span, debug_span};

use crate::{core::Core, holding::Holding, key::LockKey, lease::Lease, metrics::Polls};

tokio::task_local! {
    /// The innermost body that is being polled; its outer ones hang on it.
    static BODY: Arc<Body>;
}

/// A running body, and the one that called it.
pub(crate) struct Body {
    holding: Arc<Holding>,
    outer: Option<Arc<Body>>,
    span: Span,
    polls: Polls,
}

impl Body {
    /// A body that starts inside those of the task that calls this.
    pub(crate) fn new(holding: Arc<Holding>) -> Arc<Self> {
        let lease = &holding.lease;
        Arc::new(Self {
            outer: BODY.try_with(Arc::clone).ok(),
            span: debug_span!("lock.body", key = %lease.key(), point = %lease.point()),
            polls: Polls::at(lease.point()),
            holding,
        })
    }

    /// Polls as this body: meanwhile [`current`] is its lease.
    ///
    /// The clock was read `now`, just before.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        now: Instant,
        poll: impl FnOnce() -> Poll<T>,
    ) -> Poll<T> {
        let _entered = self.span.enter();
        self.polls
            .timed(now, || BODY.sync_scope(Arc::clone(self), poll))
    }
}

/// The lease of the innermost body that runs in this task.
///
/// `None` outside bodies, in tasks that a body has spawned, and for guards
/// from [`LockRequest::acquire`](crate::LockRequest::acquire), which have no
/// body.
/// Tasks of a [`LocalSet`](tokio::task::LocalSet) that a body drives count as
/// part of that body.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::{LockError, LockManager};
/// fn may_go_on() -> bool {
///     lockguard::current().is_none_or(|lease| lease.is_held())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LockError> {
/// # let manager = LockManager::memory();
/// assert!(lockguard::current().is_none());
/// let inside = manager.lock("k", Duration::from_secs(2)).run(async |_| {
///     lockguard::current().is_some() && may_go_on()
/// });
/// assert!(inside.await?);
/// # Ok(())
/// # }
/// ```
pub fn current() -> Option<Lease> {
    BODY.try_with(|body| body.holding.lease.clone()).ok()
}

/// The lease of this task's bodies that holds the key under this manager.
pub(crate) fn held_in_this_task(core: &Arc<Core>, key: &LockKey) -> Option<Lease> {
    let mut next = BODY.try_with(Arc::clone).ok();
    while let Some(body) = next.clone() {
        let Holding {
            core: its, lease, ..
        } = &*body.holding;
        let is_same = Arc::ptr_eq(its, core) && lease.keys().binary_search(key).is_ok();
        // A body that has ended may still be the outer one of a task that it
        // left behind.
        if is_same && lease.is_held() {
            return Some(lease.clone());
        }
        next.clone_from(&body.outer);
    }
    None
}
