//! The test harness of lockguard.
//!
//! Everything here is test code: it panics where a test would fail, and says
//! what was expected.
//! `docs/TESTING.md` shows how to use it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic of the harness is the failure of the test that called it"
)]

// Waiting for what must become true.
mod eventually;

// What can go wrong on the way to servers.
mod proxy;

// Clients in processes of their own, and tests over several servers.
mod over_nodes;
mod worker;

// The fault matrix.
pub mod torture;

// Backends that answer as told, and what every backend owes.
pub mod contract;
mod forward;
mod managers;
mod quorums;
mod redlock_over;
mod scripted;

// What happened: in the log, in metrics, and across processes.
mod heed;
#[cfg(feature = "metrics")]
mod measured;
mod traces;
mod warnings;
mod witness;

#[cfg(feature = "metrics")]
pub use crate::measured::{Description, Measured};
pub use crate::{
    eventually::{eventually, eventually_locks},
    heed::hear,
    managers::managers,
    proxy::{Flow, Proxy},
    quorums::tokens_over_random_quorums,
    redlock_over::redlock_over,
    scripted::{Call, Fate, Operation, Scripted, Step},
    traces::{Trace, Traces},
    warnings::Warnings,
    witness::{Interval, Section, Violation, Witness},
    worker::Worker,
};
pub use lockguard_servers::{Server, Servers, eventually_blocking};
