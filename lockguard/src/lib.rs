//! Distributed locks for async Rust: one line above a function takes the lock,
//! runs the body, and gives the lock back however the body ends.
//!
//! ```
//! use lockguard::{LockError, LockManager, distributed_lock};
//!
//! #[distributed_lock(key = "seat:{seat_id}", ttl = "2s", wait = "5s")]
//! async fn book(seat_id: u64, user: &str) -> Result<String, LockError> {
//!     // One caller at a time for each seat, in all processes.
//!     Ok(format!("seat {seat_id} for {user}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // In production: `LockManager::connect("redis://a,redis://b,redis://c").await?`
//!     lockguard::register(LockManager::memory())?;
//!     assert_eq!(book(17, "ann").await?, "seat 17 for ann");
//!     Ok(())
//! }
//! ```
//!
//! A lock is kept on one Redis or Valkey server, on a majority of several
//! independent ones (Redlock), or in memory.
//! A body that outlives its lease is dropped at its first poll after the
//! deadline, and its caller gets [`LockError::Lost`]: the deadline is local,
//! and no reply is needed to notice it.
//!
//! # Where to go from here
//!
//! - [`distributed_lock`](macro@distributed_lock): every option of the
//!   attribute, and what a lost lease does not stop.
//! - [`LockManager`]: connecting, and locks without the attribute.
//! - [`LockManager::lock_all`]: several keys, all or none.
//! - [`FencingToken`]: for resources that must refuse an owner that comes too
//!   late.
//! - [`drain`]: a shutdown that leaves no lock behind.
//! - [`Handover`]: a lock that goes on in another task or process.
//! - [`LockError`]: busy, unavailable and lost are three different things.
//! - [`scope`]: a manager of its own for each test.
//! - [`TokenLock`]: locks by key and token, as in Go's `LockManager`.
//! - [`backend::Backend`]: other stores, wrappers and mocks.
//!
//! # Features
//!
//! - `redis` (default): locks on Redis and Valkey servers.
//! - `tls`: `rediss://` addresses, through rustls, trusting whom the system
//!   trusts, or the authority in the file that `SSL_CERT_FILE` names.
//! - `serde`: [`FencingToken`], [`LockKey`] and [`Handover`] in messages.
//! - `metrics`: what operators want to see, through the
//!   [`metrics`](https://docs.rs/metrics) facade; the module `metrics` lists
//!   all of it, and the alerts.
//!
//! Spans and events go through [`tracing`](https://docs.rs/tracing), at the
//! level debug: the span `lock.acquire` is around the wait, `lock.body` around
//! the body, and events tell what was granted, busy and released.
//! Warnings tell what an operator has to know.

// Values: what everything else is made of.
mod connect_error;
mod fencing_token;
mod key;
mod keys;
mod lock_error;
mod lost_cause;
mod node_error;
mod node_status;
mod point;
mod random;
mod release_error;
mod retry;
mod scratch;
mod token;

// Decisions: times and votes in, values out.
mod backoff;
mod cadence;
mod fence;
mod opening;
mod quorum;
mod template;
mod terms;
mod validity;

// Backends: where locks are kept.
pub mod backend;

// What may be watched: anybody may tell it, and it knows nobody.
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;

// Mechanism. From addresses to a manager, and what is asked of one.
mod builder;
#[cfg(feature = "redis")]
mod connect;
mod core;
mod manager;
mod request;
mod token_lock;

// From a request to a grant.
mod acquire;
mod contended;
mod contest;
mod crowd;
mod fences;
mod grant;
mod line;
mod queue;

// While a lock is held, and how it is given back.
mod current;
mod extend;
mod guard;
mod holding;
mod lease;
mod renewal;
mod run;
mod successor;

// How leases end with their process, or outlive it.
mod adopt;
mod drain;
mod handover;
mod live;
#[cfg(feature = "serde")]
mod serialized;

// What all of these use.
mod backend_error;
mod background;
mod bell;
mod clock;
mod observe;
mod sharded;

// Entry: what programs and expansions call.
#[doc(hidden)]
pub mod __private;
mod global;
mod locked;

pub use crate::{
    backend::BoxFuture,
    builder::LockManagerBuilder,
    connect_error::ConnectError,
    current::current,
    drain::Drained,
    fencing_token::FencingToken,
    global::{AlreadyRegistered, drain, log, manager, named, register, register_named, scope},
    guard::LockGuard,
    handover::{Handover, ParseHandoverError},
    key::LockKey,
    keys::LockKeys,
    lease::Lease,
    lock_error::LockError,
    lost_cause::LostCause,
    manager::LockManager,
    node_error::NodeError,
    node_status::{NodeRole, NodeStatus},
    release_error::ReleaseError,
    request::LockRequest,
    retry::RetryPolicy,
    terms::OnLost,
    token::{OwnerToken, ParseOwnerTokenError},
    token_lock::{Released, TokenLock},
};

#[doc = include_str!("distributed_lock.md")]
pub use lockguard_macros::distributed_lock;

/// Runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
