//! Which leases the running task holds.

use std::{
    iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{core::Core, holding::Holding, key::LockKey, lease::Lease};

tokio::task_local! {
    /// What the innermost body that is being polled holds; what its outer ones
    /// hold hangs on it.
    static INNERMOST: Arc<Holding>;
}

/// What the body holds that calls this, if one does.
pub(crate) fn innermost() -> Option<Arc<Holding>> {
    INNERMOST.try_with(Arc::clone).ok()
}

/// Polls the body under this lease: meanwhile [`current`] is its lease.
pub(crate) fn poll_within<F: Future>(
    holding: &Arc<Holding>,
    body: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    INNERMOST.sync_scope(Arc::clone(holding), || body.poll(cx))
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
    INNERMOST.try_with(|holding| holding.lease.clone()).ok()
}

/// The lease of this task's bodies that holds the key under this manager.
pub(crate) fn held_in_this_task(core: &Arc<Core>, key: &LockKey) -> Option<Lease> {
    let held = |innermost: &Arc<Holding>| {
        let mut all = iter::successors(Some(innermost), |holding| holding.outer());
        let holding = all.find(|holding| {
            let (its, lease) = (&holding.core, &holding.lease);
            let is_same = Arc::ptr_eq(its, core) && lease.keys().binary_search(key).is_ok();
            // A body that has ended may still be the outer one of a task that it
            // left behind.
            is_same && lease.is_held()
        });
        holding.map(|holding| holding.lease.clone())
    };
    INNERMOST.try_with(held).ok().flatten()
}
