//! How a node is.

use std::{fmt, sync::Arc, time::Duration};

use crate::node_error::NodeError;

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
/// let nodes = manager.nodes().await;
/// for node in &nodes {
///     println!("{node}");
/// }
/// // A health check asks whether locks can be had: a majority answers.
/// let reachable = nodes.iter().filter(|node| node.is_reachable()).count();
/// assert!(reachable > nodes.len() / 2);
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

impl fmt::Display for NodeStatus {
    /// For a log: `a:6379: primary, answered in 0.3ms`, or why it did not
    /// answer, and then the warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, role) = (&self.address, self.role);
        match (&self.error, self.round_trip) {
            (Some(error), _) => fmt::Display::fmt(error, f)?,
            (None, None) => write!(f, "{address}: {role}")?,
            (None, Some(took)) => write!(f, "{address}: {role}, answered in {took:.1?}")?,
        }
        for warning in self.warnings() {
            write!(f, "; {warning}")?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_on_one_line_with_its_warnings() {
        let node = NodeStatus::new("a:6379", NodeRole::Primary)
            .with_round_trip(Duration::from_micros(1500))
            .with_warning("it evicts keys")
            .with_warning("it has no RESP3");
        assert_eq!(
            node.to_string(),
            "a:6379: primary, answered in 1.5ms; it evicts keys; it has no RESP3"
        );
    }

    #[test]
    fn a_node_that_does_not_answer_is_told_with_the_reason() {
        let node = NodeStatus::new("a:6379", NodeRole::Primary)
            .with_error(NodeError::new("a:6379", "connection refused"));
        assert_eq!(node.to_string(), "a:6379: connection refused");
    }
}
