//! Finishes what no caller waits for.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::{runtime::Handle, sync::Notify, task::AbortHandle};

use crate::{backend::BoxFuture, clock::all, metrics::PendingRelease};

/// Runs futures to their end after their callers have gone: late grants,
/// give-backs, and the releases of dropped guards.
///
/// It remembers the runtime it was made on, so that a guard can be dropped on
/// any thread.
/// Spawning cannot be refused: there is no queue that could be full, and a
/// lease has at most one release.
#[derive(Clone)]
pub(crate) struct Background {
    shared: Arc<Shared>,
}

struct Shared {
    /// Futures are ready at their first poll; nothing is ever spawned.
    is_immediate: bool,
    home: Option<Home>,
    unfinished: AtomicUsize,
    /// Told when none is unfinished.
    idle: Notify,
}

/// The runtime that this was made on.
struct Home {
    handle: Handle,
    is_alive: Arc<AtomicBool>,
    sentinel: AbortHandle,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.sentinel.abort();
    }
}

/// Cleared when its task is dropped, which happens when the runtime ends.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Background {
    /// For a backend whose futures are ready at their first poll, or not.
    pub(crate) fn new(is_immediate: bool) -> Self {
        let home = (!is_immediate).then(Home::here).flatten();
        Self {
            shared: Arc::new(Shared {
                is_immediate,
                home,
                unfinished: AtomicUsize::new(0),
                idle: Notify::new(),
            }),
        }
    }

    /// Whether the runtime that this was made on has ended.
    pub(crate) fn is_homeless(&self) -> bool {
        self.shared
            .home
            .as_ref()
            .is_some_and(|home| !home.is_alive())
    }

    /// Runs the future to its end; never blocks, never panics.
    ///
    /// Where no runtime is left to run it, it is dropped, and its keys are
    /// free by their ttl.
    pub(crate) fn finish(&self, mut future: BoxFuture<'static, ()>) {
        if self.shared.is_immediate {
            let mut nobody = Context::from_waker(Waker::noop());
            if future.as_mut().poll(&mut nobody).is_ready() {
                return;
            }
        }
        let Some(handle) = self.shared.runtime() else {
            tracing::warn!("no tokio runtime is left to give a lock back; it is free by its ttl");
            return;
        };
        let counted = Counted::new(&self.shared);
        handle.spawn(async move {
            future.await;
            drop(counted);
        });
    }

    /// Runs a task that nobody waits for; `false` where no runtime is left, or
    /// the task is dropped with one that is just ending.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let runtime = self.shared.runtime();
        runtime.map(|runtime| runtime.spawn(task)).is_some()
    }

    /// Runs all these futures to their end, whatever they come to.
    pub(crate) fn finish_all<T: Send + 'static>(&self, futures: Vec<BoxFuture<'static, T>>) {
        if !futures.is_empty() {
            self.finish(Box::pin(async move {
                all(futures).await;
            }));
        }
    }

    /// How many futures are still running.
    fn unfinished(&self) -> usize {
        self.shared.unfinished.load(Ordering::Acquire)
    }

    /// Resolves when no future is running.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub(crate) async fn idle(&self) {
        loop {
            let mut idle = pin!(self.shared.idle.notified());
            // From here on no change is missed.
            idle.as_mut().enable();
            if self.unfinished() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Wraps a future that runs to its end here if its caller drops it.
    pub(crate) fn uncancelled<F: Finished>(&self, future: F) -> Uncancelled<F> {
        Uncancelled {
            future: Some(future),
            background: self.clone(),
        }
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("unfinished", &self.unfinished())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The runtime of old while it lives, else the one we are called on.
    fn runtime(&self) -> Option<Handle> {
        let home = self.home.as_ref().filter(|home| home.is_alive());
        home.map_or_else(
            || Handle::try_current().ok(),
            |home| Some(home.handle.clone()),
        )
    }
}

impl Home {
    fn here() -> Option<Self> {
        let handle = Handle::try_current().ok()?;
        let is_alive = Arc::new(AtomicBool::new(true));
        let alive = Alive(Arc::clone(&is_alive));
        let sentinel = handle.spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        Some(Self {
            handle,
            is_alive,
            sentinel: sentinel.abort_handle(),
        })
    }

    fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Acquire)
    }
}

/// One unfinished future, counted until it is dropped.
struct Counted {
    shared: Arc<Shared>,
    _pending: PendingRelease,
}

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.unfinished.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: Arc::clone(shared),
            _pending: PendingRelease::begin(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.shared.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.idle.notify_waiters();
        }
    }
}

/// A future that the background finishes if its caller does not.
pub(crate) struct Uncancelled<F: Finished> {
    future: Option<F>,
    background: Background,
}

impl<F: Finished> Uncancelled<F> {
    /// The future, until it has ended.
    pub(crate) fn future(&self) -> Option<&F> {
        self.future.as_ref()
    }
}

/// What [`Uncancelled`] may wrap; boxed only when its caller drops it.
pub(crate) trait Finished: Future<Output: Send> + Send + Unpin + 'static {}

impl<F: Future<Output: Send> + Send + Unpin + 'static> Finished for F {}

impl<F: Finished> Future for Uncancelled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = self.future.as_mut() else {
            return Poll::Pending;
        };
        let poll = Pin::new(future).poll(cx);
        if poll.is_ready() {
            self.future = None;
        }
        poll
    }
}

impl<F: Finished> Drop for Uncancelled<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.background.finish(Box::pin(async move {
                future.await;
            }));
        }
    }
}
