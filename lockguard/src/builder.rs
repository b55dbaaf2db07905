//! Makes a manager with options.

use std::{fmt, mem, sync::Arc, time::Duration};

#[cfg(feature = "redis")]
use crate::{backend::redis::Timeouts, connect};
use crate::{
    backend::{Backend, Memory},
    connect_error::ConnectError,
    core::Settings,
    key::LockKey,
    manager::LockManager,
    retry::RetryPolicy,
    validity::LONGEST_NODE_BUDGET,
};

/// Makes a [`LockManager`] with options; see
/// [`LockManager::builder`].
///
/// # Default
///
/// | option | default |
/// |---|---|
/// | `node`, `nodes`, `memory` | none: `build` needs servers or `memory` |
/// | `prefix` | none |
/// | `label` | `service@host:pid` |
/// | `default_wait` | twice the ttl, at most 30 s |
/// | `connect_timeout` | 1 s |
/// | `response_timeout` | 1 s |
/// | `restart_delay` | the longest ttl used in this process, at most 60 s |
/// | `retry` | wait as a lock request does |
/// | `token_generator` | the label |
/// | `background_release` | callers wait for the release |
/// | `lazy` | `build` waits for a quorum of servers |
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = LockManager::builder()
///     .memory()
///     .prefix("shop:")
///     .default_wait(Duration::from_secs(5))
///     .build()
///     .await?;
/// let guard = manager.lock("seat:17", Duration::from_secs(2)).acquire().await?;
/// assert_eq!(guard.keys()[0].as_str(), "shop:seat:17");
/// # guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct LockManagerBuilder {
    /// Addresses as they were given, not yet parsed.
    addresses: Vec<String>,
    is_memory: bool,
    is_lazy: bool,
    connect_timeout: Duration,
    response_timeout: Duration,
    restart_delay: Option<Duration>,
    settings: Settings,
}

impl Default for LockManagerBuilder {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            is_memory: false,
            is_lazy: false,
            connect_timeout: Duration::from_secs(1),
            response_timeout: LONGEST_NODE_BUDGET,
            restart_delay: None,
            settings: Settings::default(),
        }
    }
}

impl LockManagerBuilder {
    /// Adds a server, or several that are separated by commas, as
    /// [`LockManager::connect`] takes them.
    pub fn node(mut self, addresses: impl AsRef<str>) -> Self {
        let addresses = addresses.as_ref().split(',');
        self.addresses.extend(addresses.map(str::to_owned));
        self
    }

    /// Adds several servers.
    pub fn nodes(self, addresses: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        addresses.into_iter().fold(self, Self::node)
    }

    /// Keeps locks in this process instead of on servers.
    pub fn memory(mut self) -> Self {
        self.is_memory = true;
        self
    }

    /// Puts this before every key, so that services can share servers.
    ///
    /// It counts towards the 512 bytes of a key, is not escaped, and is not
    /// shown to the token generator.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Sets who the holder says it is, for whoever reads a lock on a server or
    /// gets [`LockError::Busy`](crate::LockError::Busy).
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.settings.label = label.into();
        self
    }

    /// Sets how long to wait for a busy key where nobody says; zero: not for
    /// another holder.
    pub fn default_wait(mut self, wait: Duration) -> Self {
        self.settings.default_wait = Some(wait);
        self
    }

    /// Sets how long a connection may take to be made.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets after how long without an answer a server counts as bad; it is
    /// skipped then until it answers again.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Sets for how long a server that has restarted gives no vote.
    ///
    /// For three servers or more.
    /// A server that restarts empty has forgotten which locks it had granted,
    /// and would grant them again; so this process, once it sees that a server
    /// runs anew, acquires without it until those locks have expired.
    /// Releases and extensions go to it all the same.
    /// Set the longest ttl in the fleet: by default it is the longest that this
    /// process has used, at most a minute.
    /// Fenced acquires wait 20 seconds longer, twice the clock skew that they
    /// allow.
    ///
    /// A server that restarts with its data cannot be told from one without.
    /// Zero says that no server ever forgets (`appendfsync always`): then all
    /// votes count at once, those for fenced acquires too.
    ///
    /// A process that did not see the server before its restart, or does not
    /// see it again yet, knows nothing: the guarantee is the operator's, who
    /// starts it after the longest ttl, or has it persist every write.
    ///
    /// A single server is never kept out: when it has restarted all leases end
    /// at once, and new ones are granted.
    pub fn restart_delay(mut self, delay: Duration) -> Self {
        self.restart_delay = Some(delay);
        self
    }

    /// Sets how often the token interface tries a busy key.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = Some(policy);
        self
    }

    /// Sets what makes the label of the token interface's owner tokens from
    /// the key; it is called once for each acquire.
    ///
    /// It may return the same text for everybody: ownership is proved by a
    /// random part that is added for each attempt.
    pub fn token_generator(
        mut self,
        generate: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        self.settings.token_generator = Some(Arc::new(generate));
        self
    }

    /// Lets callers of locked functions go on without waiting for the release.
    ///
    /// Saves a round trip.
    /// The lock may be held for a moment after the call has returned, and for
    /// its ttl when the program ends in that moment.
    /// [`LockGuard::release`](crate::LockGuard::release) waits all the same.
    pub fn background_release(mut self) -> Self {
        self.settings.background_release = true;
        self
    }

    /// Makes the manager without waiting for any server.
    ///
    /// What is wrong with a server shows when it is first connected to, as a
    /// warning, and as the reason why it gives no vote: a replica, or one that
    /// is another of the servers under a second name.
    pub fn lazy(mut self) -> Self {
        self.is_lazy = true;
        self
    }

    /// Makes the manager, and unless it is [`lazy`](Self::lazy), waits until a
    /// quorum of servers answers.
    ///
    /// Waits for the connect timeout at most, and a moment longer for the last
    /// servers once a quorum has answered.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::InvalidAddress`]: an address that does not parse, none
    ///   at all, or `memory` beside servers;
    /// - [`ConnectError::InvalidOptions`]: a prefix that cannot begin a key, or
    ///   a timeout of zero;
    /// - [`ConnectError::Unavailable`]: fewer than a quorum of servers answer;
    /// - [`ConnectError::SameNode`]: a server is given twice;
    /// - [`ConnectError::Unsuitable`]: a server is a replica, a cluster node or
    ///   a sentinel.
    ///
    /// A manager that is [`lazy`](Self::lazy) asks no server, and so has only
    /// the errors that can be seen in the options.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the connections are closed.
    pub async fn build(mut self) -> Result<LockManager, ConnectError> {
        self.check()?;
        let addresses = mem::take(&mut self.addresses);
        let is_memory_by_address = addresses.iter().any(|address| is_memory(address));
        if !is_memory_by_address && !self.is_memory {
            let backend = self.connect(&addresses).await?;
            return Ok(LockManager::with_settings(backend, self.settings));
        }
        if addresses.len() + usize::from(self.is_memory) > 1 {
            return Err(ConnectError::invalid_address(
                "a memory store stands alone: give `memory://`, or only addresses of servers",
            ));
        }
        self.settings.is_memory_by_address = is_memory_by_address;
        let backend = Arc::new(Memory::new());
        Ok(LockManager::with_settings(backend, self.settings))
    }

    fn check(&self) -> Result<(), ConnectError> {
        let prefix = &self.settings.prefix;
        if !prefix.is_empty() && LockKey::new(prefix).is_err() {
            return Err(ConnectError::invalid_options(format!(
                "the prefix {prefix:?} cannot begin a key: it has white space or control \
                 characters, or is longer than {} bytes",
                LockKey::MAX_BYTES
            )));
        }
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
        ] {
            if timeout.is_zero() {
                return Err(ConnectError::invalid_options(format!(
                    "`{name}` is zero, and no server can answer in no time; give for instance 1 s"
                )));
            }
        }
        Ok(())
    }

    #[cfg(feature = "redis")]
    async fn connect(&self, addresses: &[String]) -> Result<Arc<dyn Backend>, ConnectError> {
        let timeouts = Timeouts {
            connect: self.connect_timeout,
            response: self.response_timeout,
        };
        let nodes = connect::open(addresses, timeouts, self.restart_delay)?;
        if !self.is_lazy {
            nodes.ready().await?;
        }
        Ok(nodes.into_backend())
    }

    #[cfg(not(feature = "redis"))]
    #[expect(
        clippy::unused_async,
        reason = "the same shape with and without the feature"
    )]
    async fn connect(&self, _: &[String]) -> Result<Arc<dyn Backend>, ConnectError> {
        Err(ConnectError::invalid_address(
            "this build talks to no servers; enable the feature `redis` of lockguard, or use \
             `memory://`",
        ))
    }
}

impl fmt::Debug for LockManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses are not shown: they may contain passwords.
        f.debug_struct("LockManagerBuilder")
            .field("nodes", &self.addresses.len())
            .field("memory", &self.is_memory)
            .field("prefix", &self.settings.prefix)
            .field("label", &self.settings.label)
            .field("restart_delay", &self.restart_delay)
            .finish_non_exhaustive()
    }
}

fn is_memory(address: &str) -> bool {
    address.trim().eq_ignore_ascii_case("memory://")
}
