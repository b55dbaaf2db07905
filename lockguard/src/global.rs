//! The managers that annotated functions find.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::Arc,
    time::Duration,
};

use once_cell::sync::OnceCell;
use parking_lot::RwLock;

use crate::{
    backend::BoxFuture, clock::all, drain::Drained, lock_error::LockError, manager::LockManager,
};

static DEFAULT: OnceCell<LockManager> = OnceCell::new();

static NAMED: OnceCell<RwLock<HashMap<&'static str, LockManager>>> = OnceCell::new();

tokio::task_local! {
    static SCOPED: LockManager;
}

/// Registers the manager that annotated functions use, once, at start-up.
///
/// # Errors
///
/// [`AlreadyRegistered`] when there is one: the first stays.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), lockguard::AlreadyRegistered> {
/// use lockguard::LockManager;
///
/// lockguard::register(LockManager::memory())?;
/// assert!(lockguard::register(LockManager::memory()).is_err());
/// # Ok(())
/// # }
/// ```
pub fn register(manager: LockManager) -> Result<(), AlreadyRegistered> {
    let core = Arc::clone(manager.core());
    DEFAULT
        .set(manager)
        .map_err(|_| AlreadyRegistered { name: None })?;
    core.warn_once_if_process_only();
    Ok(())
}

/// Registers a second manager under a name, for `manager =
/// lockguard::named("…")`.
///
/// # Errors
///
/// [`AlreadyRegistered`] when there is one of this name: the first stays.
pub fn register_named(name: &'static str, manager: LockManager) -> Result<(), AlreadyRegistered> {
    let core = Arc::clone(manager.core());
    match NAMED.get_or_init(RwLock::default).write().entry(name) {
        Entry::Occupied(_) => return Err(AlreadyRegistered { name: Some(name) }),
        Entry::Vacant(vacant) => vacant.insert(manager),
    };
    // After the lock: who hears it may look up a manager.
    core.warn_once_if_process_only();
    Ok(())
}

/// The manager that annotated functions use here: that of the innermost
/// [`scope`], else the registered one.
///
/// # Errors
///
/// [`LockError::NotRegistered`], which says what to write and where.
pub fn manager() -> Result<LockManager, LockError> {
    if let Ok(manager) = SCOPED.try_with(LockManager::clone) {
        return Ok(manager);
    }
    DEFAULT
        .get()
        .cloned()
        .ok_or_else(|| LockError::not_registered(None))
}

/// The manager that was registered under a name.
///
/// # Errors
///
/// [`LockError::NotRegistered`], which says what to write and where.
pub fn named(name: &str) -> Result<LockManager, LockError> {
    NAMED
        .get()
        .and_then(|named| named.read().get(name).cloned())
        .ok_or_else(|| LockError::not_registered(Some(name)))
}

/// Runs a future in which annotated functions use this manager.
///
/// For tests that run in parallel, each with a manager of its own.
/// The innermost scope wins, and neither [`named`] nor `manager = …` is
/// overridden.
/// Spawned tasks do not inherit it; hand it on:
/// `tokio::spawn(lockguard::scope(lockguard::manager()?, task))`.
/// A server that is under test spawns its handlers; in axum a layer hands it on:
/// `from_fn(move |request, next: Next| lockguard::scope(manager.clone(),
/// next.run(request)))`.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Examples
///
/// ```
/// use lockguard::{LockError, LockManager, distributed_lock};
///
/// #[distributed_lock(key = "seat:{seat}", ttl = "2s")]
/// async fn book(seat: u64) -> Result<u64, LockError> {
///     Ok(seat)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LockError> {
/// let booked = lockguard::scope(LockManager::memory(), async { book(17).await });
/// assert_eq!(booked.await?, 17);
/// # Ok(())
/// # }
/// ```
pub fn scope<F: Future>(manager: LockManager, future: F) -> impl Future<Output = F::Output> {
    SCOPED.scope(manager, future)
}

/// Drains every manager that is registered, by default and by name, all at
/// once: see [`LockManager::drain`].
///
/// The counts are the sums, and keys of all managers are listed together.
/// Managers that were made and not registered are not drained.
///
/// # Cancel safety
///
/// As [`LockManager::drain`].
///
/// # Examples
///
/// ```no_run
/// # use std::{error::Error, time::Duration};
/// # use lockguard::LockManager;
/// # async fn serve() -> std::io::Result<()> { Ok(()) }
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn Error>> {
///     lockguard::register(LockManager::from_env().await?)?;
///     // Until Ctrl-C, or until an orchestrator says so.
///     serve().await?;
///     let drained = lockguard::drain(Duration::from_secs(10)).await;
///     assert!(drained.is_clean(), "{drained}");
///     Ok(())
/// }
/// ```
pub async fn drain(timeout: Duration) -> Drained {
    let mut managers: Vec<LockManager> = DEFAULT.get().cloned().into_iter().collect();
    if let Some(named) = NAMED.get() {
        managers.extend(named.read().values().cloned());
    }
    // One that is registered under two names is drained once.
    managers.sort_by_key(|manager| Arc::as_ptr(manager.core()));
    managers.dedup_by_key(|manager| Arc::as_ptr(manager.core()));
    let drains = managers.into_iter().map(|manager| {
        let drain = async move { manager.drain(timeout).await };
        Box::pin(drain) as BoxFuture<'static, _>
    });
    let drained = all(drains.collect()).await;
    drained.into_iter().fold(Drained::default(), Drained::and)
}

/// Says that a manager has been registered already.
#[derive(Clone, PartialEq, Eq)]
pub struct AlreadyRegistered {
    /// `None` for the default manager.
    name: Option<&'static str>,
}

impl fmt::Display for AlreadyRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            None => f.write_str(
                "register a lock manager: one is registered already; register once at start-up, \
                 and in tests run each in `lockguard::scope(manager, async { … })`",
            ),
            Some(name) => write!(
                f,
                "register the lock manager `{name}`: one is registered under that name already"
            ),
        }
    }
}

/// As its text, which says what to do: it is what a `main` that returns it prints.
impl fmt::Debug for AlreadyRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlreadyRegistered({self})")
    }
}

impl std::error::Error for AlreadyRegistered {}

/// Logs a lock error and returns nothing: `on_error = lockguard::log`, for
/// jobs that return `()`.
///
/// Busy and draining, which are no mistakes, are told at the level `info`,
/// everything else as an error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is a handler that takes the error"
)]
pub fn log(error: LockError) {
    let key = error.key().unwrap_or_default();
    if matches!(error, LockError::Busy { .. } | LockError::Draining { .. }) {
        tracing::info!(%key, "failed to {error}");
    } else {
        tracing::error!(%key, "failed to {error}");
    }
}
