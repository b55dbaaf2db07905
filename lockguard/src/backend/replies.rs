//! What backends answer.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    backend::Holder,
    fencing_token::FencingToken,
    key::LockKey,
    node_error::{NodeError, write_nodes},
};

/// What an acquire came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireReply {
    /// The token holds the keys.
    Granted,
    /// The token holds the keys, with this fencing token: the reply to a
    /// fenced request.
    GrantedWith(FencingToken),
    /// Another owner holds one of the keys: the one that the holder names, and
    /// where it names none, the first.
    Busy(Holder),
    /// Nobody holds the keys, and neither does the token: several asked at once
    /// and no one got a quorum, or the holder left between two questions.
    /// Worth another attempt, with a new token.
    Split,
}

/// What an extend came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtendReply {
    /// The key is kept at least for the new ttl.
    Extended,
    /// Nobody holds the key.
    NotHeld,
    /// Another owner holds the key.
    NotOwner,
}

/// What a release came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseReply {
    /// The token held the key, and it is free now, or after the rest that was
    /// to be kept.
    Freed,
    /// Nobody held the key.
    NotHeld,
    /// Another owner holds the key; it was left alone.
    NotOwner,
}

/// What closing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReply {
    /// Connections are closed, and nothing is known of releases that failed.
    Closed,
    /// And every release that was ever asked for has been done.
    Flushed,
}

/// Why a backend gave no answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BackendError {
    /// Too few servers answered.
    Unavailable {
        /// The servers that did not answer, and why.
        nodes: Vec<NodeError>,
    },
    /// The key exists and is no lock; the reason says what it holds.
    InvalidKey {
        /// Which of several keys it is; `None` for the first.
        key: Option<LockKey>,
        /// Fits after the key's name: "holds a hash, not a lock".
        reason: Arc<str>,
    },
    /// The runtime that drives the connections has ended.
    RuntimeGone,
}

impl BackendError {
    /// One server did not answer.
    pub fn unavailable(node: NodeError) -> Self {
        Self::Unavailable { nodes: vec![node] }
    }

    /// One server did not answer in time.
    pub(crate) fn no_answer(node: impl Into<Arc<str>>, within: Duration) -> Self {
        let reason = format!("no answer within {within:?}");
        Self::unavailable(NodeError::new(node, reason))
    }

    /// The key holds something that is no lock.
    pub fn invalid_key(reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidKey {
            key: None,
            reason: reason.into(),
        }
    }

    /// This one of several keys holds something that is no lock.
    pub fn invalid_key_of(key: LockKey, reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidKey {
            key: Some(key),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { nodes } => {
                f.write_str("reach a quorum of servers")?;
                write_nodes(f, nodes)
            }
            Self::InvalidKey { reason, .. } => write!(f, "use the key: it {reason}"),
            Self::RuntimeGone => f.write_str("use a connection whose runtime has ended"),
        }
    }
}

impl std::error::Error for BackendError {}
