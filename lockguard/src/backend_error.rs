//! What a backend's error is to whoever called.

use crate::{
    backend::BackendError, key::LockKey, lock_error::LockError, node_error::NodeError,
    release_error::ReleaseError,
};

/// The error of an acquire or an extend.
pub(crate) fn lock_error(key: &LockKey, error: BackendError) -> LockError {
    match error {
        BackendError::Unavailable { nodes } => LockError::unavailable(key, nodes),
        BackendError::InvalidKey { key: one, reason } => {
            LockError::invalid_key(one.as_ref().unwrap_or(key), format!("it {reason}"))
        }
        BackendError::RuntimeGone => LockError::runtime_gone(key),
    }
}

/// The error of a release.
pub(crate) fn release_error(key: &LockKey, error: BackendError) -> ReleaseError {
    let node = |problem| NodeError::new("lock store", problem);
    match error {
        BackendError::Unavailable { nodes } => ReleaseError::unavailable(key, nodes),
        BackendError::InvalidKey { reason, .. } => {
            ReleaseError::unavailable(key, [node(format!("the key {reason}"))])
        }
        BackendError::RuntimeGone => {
            let gone = "the tokio runtime that made this lock manager has ended; the key is free \
                        by its ttl";
            ReleaseError::unavailable(key, [node(gone.to_owned())])
        }
    }
}
