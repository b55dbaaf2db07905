//! Distributed locks for async Rust.

// Values: what everything else is made of.
mod error;
mod key;
mod token;

// Backends: where locks are kept.
pub mod backend;

pub use crate::{
    backend::BoxFuture,
    error::{LockError, LostCause, NodeError, ReleaseError},
    key::LockKey,
    token::{OwnerToken, ParseOwnerTokenError},
};
