//! How a node is.

use std::{fmt, sync::Arc, time::Duration};

use crate::error::NodeError;

/// How one node is, as [`LockManager::nodes`](crate::LockManager::nodes) found
/// it.
///
/// # Examples
///
/// ```
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let manager = LockManager::memory();
/// for node in manager.nodes().await {
///     println!("{}: {}", node.address(), node.role());
///     for warning in node.warnings() {
///         println!("  {warning}");
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeStatus {
    address: Arc<str>,
    role: NodeRole,
    round_trip: Option<Duration>,
    has_push: bool,
    error: Option<NodeError>,
    warnings: Vec<Arc<str>>,
}

impl NodeStatus {
    /// A node that nothing more is known of.
    pub fn new(address: impl Into<Arc<str>>, role: NodeRole) -> Self {
        Self {
            address: address.into(),
            role,
            round_trip: None,
            has_push: false,
            error: None,
            warnings: Vec::new(),
        }
    }

    /// The same node, which answered after so long.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = Some(round_trip);
        self
    }

    /// The same node, which can tell waiters that a lock is free.
    #[must_use]
    pub fn with_push(mut self) -> Self {
        self.has_push = true;
        self
    }

    /// The same node, which did not answer.
    #[must_use]
    pub fn with_error(mut self, error: NodeError) -> Self {
        self.error = Some(error);
        self
    }

    /// The same node, about which there is this to say.
    #[must_use]
    pub fn with_warning(mut self, warning: impl Into<Arc<str>>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// The node's host and port, without user and password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What kind of node it is, as far as it says so.
    pub fn role(&self) -> NodeRole {
        self.role
    }

    /// Whether it answered within the response timeout; a backend that cannot
    /// tell is taken to have answered.
    pub fn is_reachable(&self) -> bool {
        self.error.is_none()
    }

    /// Why it did not answer, if it did not.
    pub fn error(&self) -> Option<&NodeError> {
        self.error.as_ref()
    }

    /// How long a question and its answer took, if there was one.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether it can tell waiters that a lock is free, so that they need not
    /// ask: for a server, whether it speaks RESP3.
    pub fn has_push(&self) -> bool {
        self.has_push
    }

    /// What endangers locks there, and what to do about it.
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = &str> {
        self.warnings.iter().map(|warning| &**warning)
    }
}

/// What kind of node keeps locks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeRole {
    /// It does not say what it is.
    #[default]
    Unknown,
    /// A store in this process.
    Memory,
    /// A primary by itself.
    Primary,
    /// A replica, which copies a primary and keeps no locks.
    Replica,
    /// A node of a cluster, which is not independent and keeps no locks.
    ClusterNode,
    /// A sentinel, which watches over servers and keeps no keys.
    Sentinel,
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Memory => "memory",
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::ClusterNode => "cluster node",
            Self::Sentinel => "sentinel",
        })
    }
}
