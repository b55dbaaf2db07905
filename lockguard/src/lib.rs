//! Distributed locks for async Rust.

// Values: what everything else is made of.
mod connect_error;
mod error;
mod key;
mod retry;
mod token;

// Decisions: times and votes in, values out.
mod backoff;
mod quorum;
mod template;
mod validity;

// Backends: where locks are kept.
pub mod backend;

// Mechanism: from a request to a release.
mod acquire;
mod background;
mod builder;
mod clock;
#[cfg(feature = "redis")]
mod connect;
mod core;
mod current;
mod guard;
mod lease;
mod manager;
mod queue;
mod request;
mod run;
mod token_lock;

// Entry: what programs and expansions call.
#[doc(hidden)]
pub mod __private;
mod global;

pub use crate::{
    backend::BoxFuture,
    builder::LockManagerBuilder,
    connect_error::ConnectError,
    current::current,
    error::{LockError, LostCause, NodeError, ReleaseError},
    global::{AlreadyRegistered, log, manager, named, register, register_named, scope},
    guard::LockGuard,
    key::LockKey,
    lease::Lease,
    manager::LockManager,
    request::LockRequest,
    retry::RetryPolicy,
    token::{OwnerToken, ParseOwnerTokenError},
    token_lock::{Released, TokenLock},
};

pub use lockguard_macros::distributed_lock;
