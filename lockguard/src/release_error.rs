//! What can go wrong while a lock is given back.

use std::{fmt, sync::Arc};

use crate::{
    lost_cause::LostCause,
    node_error::{NodeError, write_nodes},
};

/// Why a lock was not given back by its owner.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Another owner holds the key; it was left alone.
    #[non_exhaustive]
    NotOwner {
        /// The key, as stored.
        key: Arc<str>,
    },
    /// The lease had ended before the release.
    #[non_exhaustive]
    Lost {
        /// The key, as stored.
        key: Arc<str>,
        /// What ended it.
        cause: LostCause,
    },
    /// Too few servers answered; the key is free by its ttl at the latest.
    #[non_exhaustive]
    Unavailable {
        /// The key, as stored.
        key: Arc<str>,
        /// The nodes that did not answer, and why.
        nodes: Vec<NodeError>,
    },
}

impl ReleaseError {
    /// Another owner holds the key.
    pub fn not_owner(key: impl Into<Arc<str>>) -> Self {
        Self::NotOwner { key: key.into() }
    }

    /// The lease had ended before the release.
    pub fn lost(key: impl Into<Arc<str>>, cause: LostCause) -> Self {
        Self::Lost {
            key: key.into(),
            cause,
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

    /// The key this error is about.
    pub fn key(&self) -> &str {
        match self {
            Self::NotOwner { key } | Self::Lost { key, .. } | Self::Unavailable { key, .. } => key,
        }
    }

    /// Whether another owner holds the key.
    pub fn is_not_owner(&self) -> bool {
        matches!(self, Self::NotOwner { .. })
    }

    /// Whether the lease had ended before the release.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether too few servers answered.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOwner { key } => {
                write!(f, "release lock `{key}`: another owner holds it")
            }
            Self::Lost { key, cause } => write!(f, "release lock `{key}`: {cause}"),
            Self::Unavailable { key, nodes } => {
                write!(f, "release lock `{key}`: too few servers answered")?;
                write_nodes(f, nodes)
            }
        }
    }
}

impl std::error::Error for ReleaseError {}
