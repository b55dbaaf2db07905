//! What is asked of a manager before a lock is taken.

use std::{borrow::Cow, fmt, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use crate::{
    acquire::{self, Want},
    core::Core,
    guard::LockGuard,
    keys::LockKeys,
    lease::Lease,
    lock_error::LockError,
    observe,
    point::Point,
    retry::Patience,
    run::Watch,
    terms::{OnLost, Terms},
};

/// A lock to be taken, made by [`LockManager::lock`](crate::LockManager::lock)
/// or [`LockManager::lock_all`](crate::LockManager::lock_all).
///
/// Building a request neither fails nor asks a server; a bad key or option is
/// an error of the first await.
///
/// # Default
///
/// Without [`wait`](Self::wait), [`acquire`](Self::acquire) and
/// [`run`](Self::run) wait for a busy key as long as the builder's
/// `default_wait` says, or else twice the ttl and at most 30 s.
#[derive(Clone)]
#[must_use = "a request takes no lock until `acquire`, `try_acquire` or `run` is awaited"]
pub struct LockRequest {
    target: Result<(Arc<Core>, LockKeys), LockError>,
    ttl: Duration,
    wait: Option<Duration>,
    terms: Terms,
    point: Point,
    is_fenced: bool,
}

impl LockRequest {
    pub(crate) fn new(
        target: Result<(Arc<Core>, LockKeys), LockError>,
        ttl: Duration,
        point: Point,
    ) -> Self {
        Self {
            target,
            ttl,
            wait: None,
            terms: Terms::default(),
            point,
            is_fenced: false,
        }
    }

    /// Sets how long to queue for a busy key; zero: not for another holder.
    ///
    /// Votes that are merely split between contenders are settled all the
    /// same, within a bounded time.
    ///
    /// Who waits is served in the order of arrival.
    /// A future that waits and is not polled any more, such as an arm of a
    /// `select!` that is kept and never returned to, keeps its place, and those
    /// behind it wait for as long as they may, or some seconds where it wants
    /// several keys: spawn it, or drop it.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Renews the lease while it is held, for at most this long from its
    /// start; then it is lost, with
    /// [`LostCause::MaxHold`](crate::LostCause::MaxHold).
    ///
    /// For work that may take longer than others should wait when a holder
    /// crashes: the ttl is how long a crashed holder's lock stays taken, and
    /// `max_hold` the time limit of the body, or of the guard.
    ///
    /// The lease is renewed at a third of the ttl, until it is given back or
    /// lost.
    /// A renewal that fails is a warning and is tried again: the lease is lost
    /// at its deadline, and not before.
    /// Where a quorum of servers says that the lock is not ours any more, it is
    /// lost at once, with [`LostCause::Taken`](crate::LostCause::Taken).
    /// [`Lease::deadline`] and [`Lease::remaining`] follow the renewals.
    /// While the runtime that the manager was made on is blocked, or has ended,
    /// nothing is renewed; the memory manager needs none.
    ///
    /// Refused: less than the ttl.
    ///
    /// # Default
    ///
    /// No renewal: the lease lasts for its ttl.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lockguard::LockManager;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockguard::LockError> {
    /// # let manager = LockManager::memory();
    /// // Others wait 100 ms after a crash, and the export may take a minute.
    /// let request = manager.lock("export:daily", Duration::from_millis(100));
    /// let export = request.max_hold(Duration::from_secs(60)).run(async |lease| {
    ///     tokio::time::sleep(Duration::from_millis(250)).await;
    ///     lease.is_held()
    /// });
    /// assert!(export.await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.terms.max_hold = Some(max_hold);
        self
    }

    /// Keeps the lock for at least this long from the lease's start, without
    /// keeping the caller.
    ///
    /// For scheduled jobs on machines whose clocks differ: a job that is done
    /// in a second must not be found undone by a machine whose clock is two
    /// seconds behind.
    /// A release before that time shortens what is left of the lock's ttl to
    /// the rest, and returns at once; whoever waits sees the rest.
    /// It holds after errors, panics and cancellation too.
    /// A lease that is lost is kept no longer than the servers keep it.
    ///
    /// Refused: more than the ttl where there is no
    /// [`max_hold`](Self::max_hold), and more than that where there is.
    ///
    /// # Default
    ///
    /// Zero: the lock is free when it is released.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lockguard::LockManager;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockguard::LockError> {
    /// # let manager = LockManager::memory();
    /// let nightly = || {
    ///     let request = manager.lock("job:nightly", Duration::from_secs(60));
    ///     request.min_hold(Duration::from_secs(10)).wait(Duration::ZERO)
    /// };
    /// nightly().run(async |_lease| "done").await?;
    /// let late = nightly().run(async |_lease| "done twice").await;
    /// assert!(late.unwrap_err().is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn min_hold(mut self, min_hold: Duration) -> Self {
        self.terms.min_hold = min_hold;
        self
    }

    /// Sets what becomes of the body when its lease is lost.
    ///
    /// A guard has no body: ask [`Lease::check`], or wait for [`Lease::lost`].
    ///
    /// # Default
    ///
    /// [`OnLost::Cancel`]: the body is dropped.
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.terms.on_lost = on_lost;
        self
    }

    /// Asks for a [`FencingToken`](crate::FencingToken), which the lease has
    /// then: see [`Lease::fencing_token`].
    ///
    /// It is greater than those of all leases of its keys that were granted
    /// before, also over several independent servers, and whatever clocks say.
    /// Servers remember the greatest one beside the lock for a day or longer;
    /// one that loses its data forgets it, and then only clocks keep tokens
    /// rising.
    ///
    /// Costs a script in place of a plain `SET`, and no further round trip
    /// unless servers disagree.
    /// Fenced and other leases of one key exclude each other.
    pub fn fenced(mut self) -> Self {
        self.is_fenced = true;
        self
    }

    /// Names the lock point, for errors and events.
    ///
    /// # Default
    ///
    /// The file and line of the call to
    /// [`LockManager::lock`](crate::LockManager::lock).
    pub fn named(mut self, point: impl Into<Cow<'static, str>>) -> Self {
        self.point = Point::Named(point.into());
        self
    }

    /// Takes the lock, waiting for a busy key.
    ///
    /// Waiters of one process for a single key are served first come, first
    /// served.
    /// Between processes whoever asked the servers first is next, and is told
    /// when the key is given back.
    ///
    /// # Errors
    ///
    /// - [`LockError::Busy`] when another owner held the key until the wait had
    ///   passed;
    /// - [`LockError::Unavailable`] when too few servers answered, after the
    ///   first round that showed it;
    /// - [`LockError::Reentrant`] when a body of this task holds the key;
    /// - [`LockError::InvalidKey`] and [`LockError::InvalidOptions`];
    /// - [`LockError::Draining`] once the manager is being
    ///   [drained](crate::LockManager::drain), also while it waits;
    /// - [`LockError::RuntimeGone`] when the runtime that the manager was made
    ///   on has ended.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the caller leaves the queue, and what a
    /// server may have granted is given back in the background.
    pub async fn acquire(self) -> Result<LockGuard, LockError> {
        let (core, want) = self.into_want()?;
        acquire::acquire(core, want).await
    }

    pub(crate) fn into_want(self) -> Result<(Arc<Core>, Want), LockError> {
        let refused = |error: &LockError| observe::refused(&self.point, error);
        let (core, keys) = self.target.inspect_err(refused)?;
        let want = Want {
            keys,
            ttl: self.ttl,
            terms: self.terms,
            patience: Patience::Wait(self.wait.unwrap_or_else(|| core.default_wait(self.ttl))),
            label: None,
            point: self.point,
            is_fenced: self.is_fenced,
        };
        Ok((core, want))
    }

    /// Takes the lock, or fails at once when another owner holds the key.
    ///
    /// Split votes are settled first: of several that try at the same time,
    /// one gets the lock.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(self) -> Result<LockGuard, LockError> {
        self.wait(Duration::ZERO).acquire().await
    }

    /// Runs the body under the lock: what the attribute does.
    ///
    /// The body is dropped at its first poll after the lease's deadline, unless
    /// [`on_lost`](Self::on_lost) lets it finish.
    /// A value that it has produced is returned, however late.
    /// Whether it returns, panics or is cancelled, the lock is given back; on a
    /// normal way out, before this returns.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`LockError::Lost`] when the body was
    /// dropped part-way: what it had done by then is done.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, so is the body, and the lock is given back
    /// in the background.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lockguard::LockManager;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lockguard::LockError> {
    /// let manager = LockManager::memory();
    /// let request = manager.lock("report:daily", Duration::from_secs(30));
    /// let rows = request.run(async |_lease| 42).await?;
    /// assert_eq!(rows, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<T>(self, body: impl AsyncFnOnce(Lease) -> T) -> Result<T, LockError> {
        // Declared before the body, so that the body is dropped first,
        // however this future ends.
        let guard = self.acquire().await?;
        let mut watch = Watch::default();
        let value = {
            // Its first part, which a closure may do before it gives a future, is
            // the body too.
            let mut body = pin!(async { body(guard.lease().clone()).await });
            poll_fn(|cx| watch.poll(&guard, body.as_mut(), cx)).await
        };
        let ended = watch.end(&guard);
        guard.release_after_body(ended).await;
        value
    }
}

impl fmt::Debug for LockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("LockRequest");
        match &self.target {
            Ok((_, keys)) => debug.field("keys", keys),
            Err(error) => debug.field("error", error),
        };
        debug
            .field("ttl", &self.ttl)
            .field("wait", &self.wait)
            .field("terms", &self.terms)
            .field("point", &format_args!("{}", self.point))
            .field("fenced", &self.is_fenced)
            .finish()
    }
}
