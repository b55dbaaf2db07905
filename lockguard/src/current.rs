//! Which leases the running task holds.

use std::{cell::RefCell, sync::Arc};

use tokio::time::Instant;
use tracing::{Span, debug_span};

use crate::{core::Core, holding::Holding, key::LockKey, lease::Lease, metrics::Polls};

thread_local! {
    /// The bodies that this thread polls now, each inside the one before.
    static BODIES: RefCell<Vec<Arc<Holding>>> = const { RefCell::new(Vec::new()) };
}

/// The span of a body, and how it is polled.
pub(crate) struct Body {
    span: Span,
    polls: Polls,
}

impl Body {
    pub(crate) fn new(lease: &Lease) -> Self {
        Self {
            span: debug_span!("lock.body", key = %lease.key(), point = %lease.point()),
            polls: Polls::at(lease.point()),
        }
    }

    /// Polls as the body of this lease, which is [`current`] meanwhile.
    ///
    /// The clock was read `now`, just before.
    pub(crate) fn poll<T>(
        &mut self,
        holding: &Arc<Holding>,
        now: Instant,
        poll: impl FnOnce() -> T,
    ) -> T {
        let _entered = self.span.enter();
        let _inside = Inside::enter(holding);
        self.polls.timed(now, poll)
    }
}

/// A body is polled for as long as this lives.
struct Inside;

impl Inside {
    fn enter(holding: &Arc<Holding>) -> Self {
        // A thread that is ending has lost its own, and polls nothing inside.
        let _ = BODIES.try_with(|bodies| bodies.borrow_mut().push(Arc::clone(holding)));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let left = BODIES.try_with(|bodies| bodies.borrow_mut().pop());
        // What it may drop with it can look here again.
        drop(left);
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
    let innermost = BODIES.try_with(|bodies| Some(bodies.borrow().last()?.lease.clone()));
    innermost.ok().flatten()
}

/// The lease of this task's bodies that holds the key under this manager.
pub(crate) fn held_in_this_task(core: &Arc<Core>, key: &LockKey) -> Option<Lease> {
    let holds = |holding: &&Arc<Holding>| {
        let Holding {
            core: its, lease, ..
        } = &***holding;
        Arc::ptr_eq(its, core) && lease.keys().contains(key) && lease.is_held()
    };
    let held =
        BODIES.try_with(|bodies| Some(bodies.borrow().iter().rev().find(holds)?.lease.clone()));
    held.ok().flatten()
}
