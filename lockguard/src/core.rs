//! What the clones of a manager share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::{
        Backend, BackendError, BoxFuture, Epoch, Epochs, ReleaseReply, ReleaseRequest, asked,
    },
    background::{Background, Uncancelled},
    contended::Contended,
    fences::Fences,
    key::LockKey,
    keys::LockKeys,
    live::Live,
    lock_error::LockError,
    metrics,
    queue::Queue,
    renewal::Renewal,
    retry::RetryPolicy,
    token::OwnerToken,
};

/// Makes the label of a token from the user's key.
pub(crate) type TokenGenerator = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The longest wait that nobody asked for.
const LONGEST_DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// What the clones of a manager share.
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) background: Background,
    pub(crate) queue: Arc<Queue>,
    pub(crate) live: Arc<Live>,
    pub(crate) renewal: Renewal,
    pub(crate) fences: Fences,
    pub(crate) contended: Contended,
    /// Where all leases can end at once.
    epochs: Option<Epochs>,
    pub(crate) settings: Settings,
    pub(crate) finished_late: AtomicU64,
    has_warned: AtomicBool,
}

/// What a builder sets.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) label: String,
    pub(crate) default_wait: Option<Duration>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) token_generator: Option<TokenGenerator>,
    pub(crate) background_release: bool,
    /// The address said `memory://` where a server's could stand.
    pub(crate) is_memory_by_address: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            label: default_label(),
            default_wait: None,
            retry: None,
            token_generator: None,
            background_release: false,
            is_memory_by_address: false,
        }
    }
}

impl Core {
    pub(crate) fn new(backend: Arc<dyn Backend>, settings: Settings) -> Self {
        metrics::describe();
        let background = Background::new(backend.is_immediate());
        Self {
            renewal: Renewal::new(Arc::clone(&backend), background.clone()),
            background,
            epochs: backend.epochs(),
            backend,
            queue: Arc::default(),
            live: Arc::default(),
            fences: Fences::default(),
            contended: Contended::default(),
            settings,
            finished_late: AtomicU64::new(0),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The lock store's epoch of now: a lease ends with the one that it was asked
    /// for in; `None` where leases end one by one.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epochs.as_ref().map(Epochs::current)
    }

    /// When the backend is asked; see [`asked`].
    pub(crate) fn asked(&self, now: Instant) -> Option<Instant> {
        asked(&*self.backend, now)
    }

    /// The key as the servers store it.
    pub(crate) fn key(&self, key: &str) -> Result<LockKey, LockError> {
        if self.settings.prefix.is_empty() || key.is_empty() {
            LockKey::new(key)
        } else {
            LockKey::new(format!("{}{key}", self.settings.prefix))
        }
    }

    /// Several keys as the servers store them.
    pub(crate) fn keys(
        &self,
        keys: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<LockKeys, LockError> {
        let keys = keys.into_iter().map(|key| self.key(key.as_ref()));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        LockKeys::new(keys)
            .ok_or_else(|| LockError::invalid_options("", "no key is given; name at least one"))
    }

    /// How long to wait where nobody said.
    ///
    /// Twice the ttl, so that a crashed holder fails no waiter, and at most
    /// 30 s.
    pub(crate) fn default_wait(&self, ttl: Duration) -> Duration {
        let derived = ttl.saturating_mul(2).min(LONGEST_DEFAULT_WAIT);
        self.settings.default_wait.unwrap_or(derived)
    }

    /// A release that goes on in the background if its caller leaves.
    pub(crate) fn release(
        &self,
        key: LockKey,
        token: OwnerToken,
    ) -> Uncancelled<BoxFuture<'static, Result<ReleaseReply, BackendError>>> {
        let release = self.backend.release(ReleaseRequest::new(key, token));
        self.background.uncancelled(release)
    }

    /// Warns that `memory://` stands where a server's address could, once.
    pub(crate) fn warn_once_if_process_only(&self) {
        let is_news = !self.has_warned.swap(true, Ordering::Relaxed);
        if self.settings.is_memory_by_address && is_news {
            tracing::warn!(
                "the lock manager being registered is `memory://`: it guards this process only, \
                 and other replicas of the service are not kept out"
            );
        }
    }

    /// The backend did not answer in time.
    pub(crate) fn no_answer(&self, within: Duration) -> BackendError {
        BackendError::no_answer(self.backend.address(), within)
    }

    pub(crate) fn count_finished_late(&self) {
        self.finished_late.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockManager")
            .field("backend", &self.backend.address())
            .field("prefix", &self.settings.prefix)
            .field("label", &self.settings.label)
            .field("queue", &self.queue)
            .field("renewal", &self.renewal)
            .field("background", &self.background)
            .finish_non_exhaustive()
    }
}

/// `service@host:pid`: who holds a lock, for whoever reads it on a server.
fn default_label() -> String {
    let service = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| String::from("unknown"));
    let host = hostname::get().unwrap_or_else(|_| "unknown".into());
    format!("{service}@{}:{}", host.display(), std::process::id())
}
