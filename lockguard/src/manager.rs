//! Takes locks: the handle that a service registers at start-up.

use std::{
    env::{self, VarError},
    fmt,
    panic::Location,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    adopt::adopt,
    backend::{Backend, Memory},
    builder::LockManagerBuilder,
    connect_error::ConnectError,
    core::{Core, Settings},
    drain::{Drained, drain},
    guard::LockGuard,
    handover::Handover,
    lock_error::LockError,
    node_status::NodeStatus,
    point::Point,
    random,
    request::LockRequest,
};

/// Takes locks on one lock store; cheap to clone, and clones are one manager.
///
/// A service makes one at start-up and registers it with
/// [`register`](crate::register); annotated functions find it there.
///
/// # Runtimes
///
/// A [`memory`](Self::memory) manager spawns nothing and works on any tokio
/// runtime with its timers (`enable_time`), one after another, and without one.
/// One that talks to servers belongs to the tokio runtime that it was made on:
/// once that has ended, every acquire fails at once with
/// [`LockError::RuntimeGone`](crate::LockError::RuntimeGone), and keys that
/// were held then are free by their ttl.
///
/// A process that forks makes its managers afterwards, in each child: tokio and
/// a connection serve one process.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = LockManager::memory();
/// let guard = manager.lock("seat:17", Duration::from_secs(2)).acquire().await?;
/// let second = manager.lock("seat:17", Duration::from_secs(2)).try_acquire().await;
/// assert!(second.unwrap_err().is_busy());
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LockManager {
    core: Arc<Core>,
}

impl LockManager {
    /// Makes a manager whose locks live in this process: the embedded default.
    ///
    /// It guards the tasks of one process only.
    pub fn memory() -> Self {
        Self::new(Memory::new())
    }

    /// Makes a manager over any lock store: a mock, a wrapper, a store of your
    /// own.
    ///
    /// Everything else is as the builder has it by default.
    /// What must go on in the background runs on the tokio runtime that this
    /// is called on; called without one, on the runtime of whoever leaves work
    /// behind.
    pub fn new(backend: impl Backend) -> Self {
        random::seed_process();
        Self::with_settings(Arc::new(backend), Settings::default())
    }

    /// Connects to one server, or to a majority of several independent ones.
    ///
    /// Addresses are separated by commas, and spaces are ignored:
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://…` (with the
    /// feature `tls`), `redis+unix:///path/to/socket[?db=0&user=…&password=…]`;
    /// or `memory://` alone.
    /// What is special in a password is percent-encoded: `%2F` for `/`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]: an address that does not parse, fewer than a quorum of
    /// servers that answer, the same server twice, or one that cannot keep
    /// locks.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the connections are closed.
    ///
    /// # Default
    ///
    /// Waits for a quorum for one second at most, and then a moment for the
    /// others.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = lockguard::LockManager::connect("redis://a, redis://b, redis://c").await?;
    /// lockguard::register(manager)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(addresses: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder().node(addresses).build().await
    }

    /// Connects to what the environment variable `LOCKGUARD_URL` says.
    ///
    /// It is read as [`connect`](Self::connect) reads its argument.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], also when the variable is not set.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_env() -> Result<Self, ConnectError> {
        match env::var(URL_VARIABLE) {
            Ok(addresses) => {
                let connected = Self::connect(addresses).await;
                connected.map_err(|error| error.of_variable(URL_VARIABLE))
            }
            Err(VarError::NotPresent) => Err(ConnectError::missing_variable(URL_VARIABLE)),
            Err(VarError::NotUnicode(_)) => Err(ConnectError::invalid_address(format!(
                "the environment variable `{URL_VARIABLE}` is not UTF-8"
            ))),
        }
    }

    /// Starts a manager with options.
    pub fn builder() -> LockManagerBuilder {
        LockManagerBuilder::default()
    }

    pub(crate) fn with_settings(backend: Arc<dyn Backend>, settings: Settings) -> Self {
        Self {
            core: Arc::new(Core::new(backend, settings)),
        }
    }

    /// Asks for the lock of `key`, kept for `ttl` unless it is extended.
    ///
    /// The ttl (10 ms to 24 h) is how long a crashed holder's lock stays taken,
    /// and the time limit of a body that runs under it.
    /// Nothing happens before the request is awaited.
    #[track_caller]
    pub fn lock(&self, key: impl AsRef<str>, ttl: Duration) -> LockRequest {
        let key = self.core.key(key.as_ref());
        let target = key.map(|key| (Arc::clone(&self.core), key.into()));
        LockRequest::new(target, ttl, Point::At(Location::caller()))
    }

    /// Asks for the locks of several keys: all of them, or none.
    ///
    /// They are one lease: one owner token, one deadline, one guard.
    /// Keys are sorted, and repetitions left out, so that callers that name
    /// them in different orders do not wait for each other in a circle; a
    /// request that waits holds none of its keys meanwhile.
    /// It is served in order among those of this manager that want several keys
    /// too, and in none beside others: where its keys are in demand one by one,
    /// it may wait for long.
    ///
    /// No key at all is [`LockError::InvalidOptions`](crate::LockError) at the
    /// first await.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lockguard::LockManager;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let manager = LockManager::memory();
    /// let accounts = ["account:7", "account:3"];
    /// let guard = manager.lock_all(accounts, Duration::from_secs(2)).acquire().await?;
    /// assert_eq!(guard.keys()[0].as_str(), "account:3");
    /// // Move the money from one account to the other.
    /// guard.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lock_all<I>(&self, keys: I, ttl: Duration) -> LockRequest
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let target = self.core.keys(keys);
        let target = target.map(|keys| (Arc::clone(&self.core), keys));
        LockRequest::new(target, ttl, Point::At(Location::caller()))
    }

    /// Finds out how each node is: whether it answers, and what endangers locks
    /// there.
    ///
    /// Asks all of them at once, and waits for each for the response timeout at
    /// most; never fails.
    /// In the order in which they were given.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub async fn nodes(&self) -> Vec<NodeStatus> {
        self.core.backend.nodes().await
    }

    /// How many bodies have finished after their lease was lost, inside one
    /// long poll or because [`OnLost::Finish`](crate::OnLost::Finish) let them:
    /// their values were returned, and they may not have been alone.
    pub fn finished_late(&self) -> u64 {
        self.core.finished_late.load(Ordering::Relaxed)
    }

    /// Takes over a lock that was
    /// [given away](crate::LockGuard::into_handover), by another task or
    /// another process.
    ///
    /// The lock is extended by its ttl, and its deadline counts from before
    /// that was asked for.
    /// It gets a new owner token, of this manager, so that a handover is
    /// adopted once, whoever knows its text.
    /// The guard has no `max_hold` and no `min_hold`; a fencing token goes on
    /// as it is.
    /// Its keys are those of the handover, whatever this manager's prefix.
    ///
    /// # Errors
    ///
    /// - [`LockError::Lost`](crate::LockError::Lost) when the lock is not the
    ///   handover's any more: its ttl has passed, it was adopted already, or
    ///   it was never held on these servers;
    /// - [`LockError::Unavailable`](crate::LockError::Unavailable) when too few
    ///   servers answered; nothing is released, and a clone of the handover
    ///   can be adopted again until its ttl has passed, unless servers that
    ///   took the new owner token cannot be told so: then the lock is nobody's
    ///   until its ttl has passed;
    /// - [`LockError::Draining`](crate::LockError::Draining) and
    ///   [`LockError::RuntimeGone`](crate::LockError::RuntimeGone); nothing is
    ///   released.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, nothing is released, and a clone of the
    /// handover can be adopted again until its ttl has passed.
    ///
    /// # Examples
    ///
    /// See [`Handover`].
    #[track_caller]
    pub fn adopt(
        &self,
        handover: Handover,
    ) -> impl Future<Output = Result<LockGuard, LockError>> + Send + 'static {
        let (core, point) = (Arc::clone(&self.core), Point::At(Location::caller()));
        async move { adopt(&core, handover, point).await }
    }

    /// Ends every lease of this manager within `timeout`, and closes its
    /// connections: the last thing that a service does.
    ///
    /// - From now on nobody gets a lease: newcomers and whoever waits get
    ///   [`LockError::Draining`](crate::LockError::Draining) at once, and so do
    ///   bodies that want another lock.
    /// - Bodies that run, and guards that are held, go on, and may still
    ///   [extend](crate::LockGuard::extend) their leases, until a quarter of
    ///   the timeout is left, at most two seconds.
    /// - The rest is lost, with
    ///   [`LostCause::Drained`](crate::LostCause::Drained): bodies are dropped
    ///   at their next poll, guards' leases end, and both are given back.
    ///   The lock of a body that nothing stops, because it never yields or is
    ///   to [finish](crate::OnLost::Finish), is left to its ttl: nobody else
    ///   gets in while it runs.
    /// - What goes on in the background is waited for, releases that a server
    ///   has missed are sent to it if it comes back in time, and connections
    ///   are closed.
    ///   A minority of servers that hangs is waited for no longer than a moment:
    ///   locks are free without it, and what it keeps goes with its ttl.
    ///
    /// It returns as soon as all that is done, and within the timeout, whatever
    /// bodies and servers do, unless bodies block the runtime's threads, so
    /// that no timer rings.
    /// Callers hear of all that when they are polled next: a server that has
    /// to answer for them needs a moment more.
    /// A [`min_hold`](LockRequest::min_hold) is kept.
    /// Locks that were taken by key and token are their callers', and are left
    /// alone; release them before.
    ///
    /// Inside a body it would wait for that body, and be dropped with it.
    ///
    /// A drained manager stays so.
    /// It can be drained again, also at the same time: the shorter timeout
    /// counts, and both tell what came of all leases.
    ///
    /// A manager that is not drained goes with its last clone, guard and
    /// request: what is being given back is finished then as long as its
    /// runtime lives, and connections are closed.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the manager gives no more leases; those that
    /// are held go on as long as the drain has not ended them, and it can be
    /// drained again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use lockguard::LockManager;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let manager = LockManager::memory();
    /// // When the server takes no requests any more:
    /// let drained = manager.drain(Duration::from_secs(10)).await;
    /// if !drained.is_clean() {
    ///     eprintln!("{drained}");
    /// }
    /// # assert!(drained.is_clean());
    /// # }
    /// ```
    pub async fn drain(&self, timeout: Duration) -> Drained {
        drain(&self.core, timeout).await
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn into_core(self) -> Arc<Core> {
        self.core
    }
}

impl fmt::Debug for LockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.core, f)
    }
}

const URL_VARIABLE: &str = "LOCKGUARD_URL";
