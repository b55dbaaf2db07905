//! What can go wrong while a lock is taken or held.

use std::{fmt, io, sync::Arc, time::Duration};

use crate::{
    lost_cause::LostCause,
    node_error::{NodeError, write_nodes},
};

/// Why a lock was not taken, or did not last.
///
/// *Busy*, *unavailable* and *lost* are three different things: another owner
/// holds the key; too few servers answered to know; the lock was held, and
/// ended before the body did.
///
/// Texts name the key and never an owner token, and fit after "failed to".
#[derive(Clone)]
#[non_exhaustive]
pub enum LockError {
    /// No manager is registered under this name (`None`: the default one).
    #[non_exhaustive]
    NotRegistered {
        /// The name that was asked for.
        name: Option<Arc<str>>,
    },
    /// Another owner holds the key, and did so until `wait` had passed.
    #[non_exhaustive]
    Busy {
        /// The key, as stored.
        key: Arc<str>,
        /// How long the caller waited.
        waited: Duration,
        /// The holder's label; `None` when it is not known, or when the holder
        /// is a client of another library.
        holder: Option<Arc<str>>,
        /// When the key may be free at the latest, unless its holder extends
        /// it; [`Duration::MAX`] when the key has no expiry at all.
        ///
        /// Most holders give it back long before: cap it at a second or so
        /// where it becomes a `Retry-After` header.
        retry_after: Option<Duration>,
    },
    /// Too few servers answered to know whether the key is free.
    #[non_exhaustive]
    Unavailable {
        /// The key, as stored.
        key: Arc<str>,
        /// The nodes that did not answer, and why.
        nodes: Vec<NodeError>,
    },
    /// The lock was held and ended before the body did.
    ///
    /// The body was dropped part-way: what it had done by then is done.
    #[non_exhaustive]
    Lost {
        /// The key, as stored.
        key: Arc<str>,
        /// What ended the lease.
        cause: LostCause,
        /// How long it had been held; zero when that is not known.
        held: Duration,
    },
    /// The task that asks holds the key already and would wait for itself.
    #[non_exhaustive]
    Reentrant {
        /// The key, as stored.
        key: Arc<str>,
        /// The lock point that holds it.
        held_by: Arc<str>,
        /// The lock point that asked for it again.
        wanted_by: Arc<str>,
    },
    /// The key cannot be locked.
    #[non_exhaustive]
    InvalidKey {
        /// The key, prefix included; of one that is too long, its beginning.
        key: Arc<str>,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// An option has a value that makes no sense.
    #[non_exhaustive]
    InvalidOptions {
        /// The key, prefix included.
        key: Arc<str>,
        /// What is wrong, and what is accepted.
        reason: Arc<str>,
    },
    /// The manager is being drained and gives no new leases.
    #[non_exhaustive]
    Draining {
        /// The key, as stored.
        key: Arc<str>,
    },
    /// The runtime that the manager was made on has ended.
    #[non_exhaustive]
    RuntimeGone {
        /// The key, as stored.
        key: Arc<str>,
    },
}

// Small errors keep `Result`s, and the futures that hold them, small.
const _: () = assert!(size_of::<LockError>() <= 64);

/// Constructors for mocks and tests; the variants themselves may grow fields.
impl LockError {
    /// No manager is registered; `name` is `None` for the default one.
    pub fn not_registered(name: Option<&str>) -> Self {
        Self::NotRegistered {
            name: name.map(Arc::from),
        }
    }

    /// Another owner holds the key.
    pub fn busy(key: impl Into<Arc<str>>, waited: Duration) -> Self {
        Self::Busy {
            key: key.into(),
            waited,
            holder: None,
            retry_after: None,
        }
    }

    /// Too few nodes answered.
    pub fn unavailable(
        key: impl Into<Arc<str>>,
        nodes: impl IntoIterator<Item = NodeError>,
    ) -> Self {
        Self::Unavailable {
            key: key.into(),
            nodes: nodes.into_iter().collect(),
        }
    }

    /// The lock was lost.
    pub fn lost(key: impl Into<Arc<str>>, cause: LostCause) -> Self {
        Self::Lost {
            key: key.into(),
            cause,
            held: Duration::ZERO,
        }
    }

    /// The lock point `wanted_by` asked for a key that `held_by` holds in the
    /// same task.
    pub fn reentrant(
        key: impl Into<Arc<str>>,
        held_by: impl Into<Arc<str>>,
        wanted_by: impl Into<Arc<str>>,
    ) -> Self {
        Self::Reentrant {
            key: key.into(),
            held_by: held_by.into(),
            wanted_by: wanted_by.into(),
        }
    }

    /// The key cannot be locked.
    pub fn invalid_key(key: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidKey {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// An option is refused.
    pub fn invalid_options(key: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidOptions {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// The manager gives no new leases.
    pub fn draining(key: impl Into<Arc<str>>) -> Self {
        Self::Draining { key: key.into() }
    }

    /// The manager's runtime has ended.
    pub fn runtime_gone(key: impl Into<Arc<str>>) -> Self {
        Self::RuntimeGone { key: key.into() }
    }
}

/// What a caller decides by.
impl LockError {
    /// The key this error is about: `None` for [`LockError::NotRegistered`], and
    /// where no key was given.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::NotRegistered { .. } => None,
            Self::InvalidOptions { key, .. } if key.is_empty() => None,
            Self::Busy { key, .. }
            | Self::Unavailable { key, .. }
            | Self::Lost { key, .. }
            | Self::Reentrant { key, .. }
            | Self::InvalidKey { key, .. }
            | Self::InvalidOptions { key, .. }
            | Self::Draining { key }
            | Self::RuntimeGone { key } => Some(key),
        }
    }

    /// Whether another owner holds the key.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether too few servers answered to know.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the lock was held and lost, so that the body was dropped
    /// part-way.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the same call may succeed later without a change: busy and
    /// unavailable only, since after a loss the body ran part-way.
    pub fn is_retryable(&self) -> bool {
        self.is_busy() || self.is_unavailable()
    }

    /// The HTTP status that fits: 409 for busy; 503 for unavailable, draining
    /// and a runtime that has ended; 500 for the rest.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Busy { .. } => 409,
            Self::Unavailable { .. } | Self::Draining { .. } | Self::RuntimeGone { .. } => 503,
            _ => 500,
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegistered { name } => write_not_registered(f, name.as_deref()),
            Self::Busy {
                key,
                waited,
                holder,
                retry_after,
            } => write_busy(f, key, *waited, holder.as_deref(), *retry_after),
            Self::Unavailable { key, nodes } => {
                write!(f, "lock `{key}`: too few servers answered")?;
                write_nodes(f, nodes)
            }
            Self::Lost { key, cause, held } => {
                write!(f, "keep lock `{key}`: {cause}")?;
                if !held.is_zero() {
                    write!(f, " after {held:.1?}")?;
                }
                f.write_str("; what ran under it may be half done")
            }
            Self::Reentrant {
                key,
                held_by,
                wanted_by,
            } => write!(
                f,
                "lock `{key}` in `{wanted_by}`: `{held_by}` holds it in the same task, which \
                 would wait for itself; move the shared part into a function without a lock \
                 and call that from both"
            ),
            Self::InvalidOptions { key, reason } if key.is_empty() => {
                write!(f, "lock several keys: {reason}")
            }
            Self::InvalidKey { key, reason } | Self::InvalidOptions { key, reason } => {
                // It may contain anything.
                write!(f, "lock `{}`: {reason}", key.escape_debug())
            }
            Self::Draining { key } => {
                write!(f, "lock `{key}`: the lock manager is shutting down")
            }
            Self::RuntimeGone { key } => write!(
                f,
                "lock `{key}`: the tokio runtime that made this lock manager has ended; in \
                 tests, make the manager inside each test and run the test in \
                 `lockguard::scope(manager, async {{ … }})`, or use `LockManager::memory()`"
            ),
        }
    }
}

/// As its text, which says what to do: it is what a `main` that returns it prints.
impl fmt::Debug for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockError({self})")
    }
}

impl std::error::Error for LockError {}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> Self {
        let kind = match &error {
            LockError::Busy { .. } => io::ErrorKind::ResourceBusy,
            LockError::Lost { .. } => io::ErrorKind::TimedOut,
            LockError::InvalidKey { .. } | LockError::InvalidOptions { .. } => {
                io::ErrorKind::InvalidInput
            }
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

fn write_not_registered(f: &mut fmt::Formatter<'_>, name: Option<&str>) -> fmt::Result {
    // Two versions of the crate in one program have two globals: the version
    // tells which of them was asked.
    let version = env!("CARGO_PKG_VERSION");
    match name {
        None => write!(
            f,
            "find a lock manager (lockguard {version}): none is registered; call \
             `lockguard::register(LockManager::connect(\"redis://…\").await?)?` once at \
             start-up, before the first locked function runs; in tests, run each in \
             `lockguard::scope(manager, async {{ … }})`, which tasks that are spawned there do \
             not inherit"
        ),
        Some(name) => write!(
            f,
            "find the lock manager `{name}` (lockguard {version}): none is registered under \
             that name; call `lockguard::register_named(\"{name}\", manager)?` once at \
             start-up, before the first locked function runs"
        ),
    }
}

fn write_busy(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    waited: Duration,
    holder: Option<&str>,
    retry_after: Option<Duration>,
) -> fmt::Result {
    write!(f, "lock `{key}`: busy")?;
    if let Some(holder) = holder {
        // It is whatever the holder has written.
        write!(f, ", held by `{}`", holder.escape_debug())?;
    }
    if waited >= Duration::from_millis(1) {
        write!(f, ", waited {waited:.1?}")?;
    }
    match retry_after {
        None => Ok(()),
        Some(Duration::MAX) => f.write_str(
            "; the key has no expiry and never expires by itself: whoever set it must delete it",
        ),
        Some(left) => write!(f, ", free in {left:.1?} at the latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_names_each_node_and_its_error() {
        let error = LockError::unavailable(
            "seat:1",
            [
                NodeError::new("a:6379", "connection refused"),
                NodeError::new("b:6379", "no answer within 50ms"),
            ],
        );
        assert_eq!(
            error.to_string(),
            "lock `seat:1`: too few servers answered: a:6379: connection refused; \
             b:6379: no answer within 50ms"
        );
    }

    #[test]
    fn unavailable_without_nodes_compiles_and_reads_well() {
        let error = LockError::unavailable("k", []);
        assert_eq!(error.to_string(), "lock `k`: too few servers answered");
    }

    #[test]
    fn busy_on_a_key_without_expiry_says_that_it_never_expires() {
        let error = LockError::Busy {
            key: Arc::from("k"),
            waited: Duration::ZERO,
            holder: None,
            retry_after: Some(Duration::MAX),
        };
        assert!(error.to_string().contains("never expires"), "{error}");
    }

    #[test]
    fn busy_says_who_holds_the_key_and_how_long_was_waited_on_one_line() {
        let error = LockError::Busy {
            key: Arc::from("k"),
            waited: Duration::from_millis(1500),
            holder: Some(Arc::from("a\nb")),
            retry_after: Some(Duration::from_secs(2)),
        };
        assert_eq!(
            error.to_string(),
            r"lock `k`: busy, held by `a\nb`, waited 1.5s, free in 2.0s at the latest"
        );
    }

    #[test]
    fn a_loss_says_why_and_after_how_long() {
        let error = LockError::Lost {
            key: Arc::from("k"),
            cause: LostCause::Expired,
            held: Duration::from_millis(1500),
        };
        assert_eq!(
            error.to_string(),
            "keep lock `k`: its lease has ended after 1.5s; what ran under it may be half done"
        );
    }

    #[test]
    fn options_of_no_key_are_those_of_several_and_name_none() {
        let error = LockError::invalid_options("", "there is none");
        assert_eq!(error.to_string(), "lock several keys: there is none");
        assert_eq!(error.key(), None);
    }

    #[test]
    fn an_invalid_key_is_shown_on_one_line() {
        let error = LockError::invalid_key("a\nb\0", "it contains a control character");
        assert!(error.to_string().contains(r"`a\nb\0`"), "{error}");
    }

    #[test]
    fn not_registered_says_what_to_call() {
        let default = LockError::not_registered(None).to_string();
        assert!(default.contains("lockguard::register("), "{default}");
        assert!(default.contains(env!("CARGO_PKG_VERSION")), "{default}");
        assert!(default.contains("`lockguard::scope("), "{default}");
        assert!(default.contains("spawned"), "{default}");
        let named = LockError::not_registered(Some("payments")).to_string();
        assert!(named.contains("register_named(\"payments\""), "{named}");
    }

    #[test]
    fn kinds_map_to_http_and_io() {
        let busy = LockError::busy("k", Duration::ZERO);
        assert_eq!(busy.http_status(), 409);
        assert_eq!(io::Error::from(busy).kind(), io::ErrorKind::ResourceBusy);

        let lost = LockError::lost("k", LostCause::Expired);
        assert_eq!(lost.http_status(), 500);
        assert!(!lost.is_retryable());
        let io = io::Error::from(lost);
        assert_eq!(io.kind(), io::ErrorKind::TimedOut);
        assert!(io.downcast::<LockError>().is_ok());

        let down = LockError::unavailable("k", []);
        assert_eq!(down.http_status(), 503);
        assert!(down.is_retryable());
        assert_eq!(LockError::draining("k").http_status(), 503);
        assert_eq!(LockError::runtime_gone("k").http_status(), 503);
        assert_eq!(
            io::Error::from(LockError::invalid_key("", "it is empty")).kind(),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            io::Error::from(LockError::invalid_options("k", "its ttl is 0ns")).kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
