//! What can go wrong while a manager is made.

use std::{fmt, sync::Arc};

use crate::node_error::{NodeError, write_nodes};

/// Why a manager was not made.
///
/// No text contains a password; each fits after "failed to".
#[derive(Clone)]
#[non_exhaustive]
pub enum ConnectError {
    /// An address does not parse, or names what this build cannot do.
    #[non_exhaustive]
    InvalidAddress {
        /// What is wrong, and what a right address looks like.
        reason: Arc<str>,
    },
    /// An option of the builder has a value that makes no sense.
    #[non_exhaustive]
    InvalidOptions {
        /// What is wrong, and what is accepted.
        reason: Arc<str>,
    },
    /// The environment variable that should hold the addresses is not set.
    #[non_exhaustive]
    MissingVariable {
        /// Its name.
        name: &'static str,
    },
    /// Fewer than a quorum of servers answered.
    #[non_exhaustive]
    Unavailable {
        /// The nodes that did not answer, and why.
        nodes: Vec<NodeError>,
    },
    /// Two addresses lead to one server, whose vote would count twice.
    #[non_exhaustive]
    SameNode {
        /// The two addresses, as host and port.
        addresses: [Arc<str>; 2],
    },
    /// A server cannot keep locks: a replica, or a cluster node.
    #[non_exhaustive]
    Unsuitable {
        /// The server, and what is wrong with it.
        node: NodeError,
    },
}

impl ConnectError {
    pub(crate) fn invalid_address(reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidAddress {
            reason: reason.into(),
        }
    }

    pub(crate) fn invalid_options(reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidOptions {
            reason: reason.into(),
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn same_node(one: &str, other: &str) -> Self {
        Self::SameNode {
            addresses: [Arc::from(one), Arc::from(other)],
        }
    }

    pub(crate) fn missing_variable(name: &'static str) -> Self {
        Self::MissingVariable { name }
    }

    /// The same error, which says where a wrong address came from.
    pub(crate) fn of_variable(self, name: &str) -> Self {
        match self {
            Self::InvalidAddress { reason } => {
                Self::invalid_address(format!("in the environment variable `{name}`, {reason}"))
            }
            other => other,
        }
    }

    /// Whether too few servers answered, which may change by itself.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidAddress { reason } | Self::InvalidOptions { reason } => {
                write!(f, "make a lock manager: {reason}")
            }
            Self::MissingVariable { name } => write!(
                f,
                "make a lock manager: the environment variable `{name}` is not set; set it to \
                 `redis://host:6379`, to several such addresses separated by commas, or to \
                 `memory://`"
            ),
            Self::Unavailable { nodes } => {
                f.write_str("connect a lock manager: too few servers answered")?;
                write_nodes(f, nodes)
            }
            Self::SameNode {
                addresses: [one, other],
            } if one == other => write!(
                f,
                "connect a lock manager: `{one}` is given twice, and its vote would count twice; \
                 give each server once, whatever its database"
            ),
            Self::SameNode {
                addresses: [one, other],
            } => write!(
                f,
                "connect a lock manager: `{one}` and `{other}` are one server, whose vote would \
                 count twice; give each server once"
            ),
            Self::Unsuitable { node } => write!(f, "connect a lock manager: {node}"),
        }
    }
}

/// As its text, which says what to do: it is what a `main` that returns it prints.
impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectError({self})")
    }
}

impl std::error::Error for ConnectError {}
