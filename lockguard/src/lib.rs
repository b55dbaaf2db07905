//! Distributed locks for async Rust.

// Values: what everything else is made of.
mod error;
mod key;
mod token;

// Decisions: times and votes in, values out.
mod backoff;
mod quorum;
mod validity;

// Backends: where locks are kept.
pub mod backend;
mod background;
mod clock;

pub use crate::{
    backend::BoxFuture,
    error::{LockError, LostCause, NodeError, ReleaseError},
    key::LockKey,
    token::{OwnerToken, ParseOwnerTokenError},
};
