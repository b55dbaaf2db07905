//! The servers of lockguard's tests, and whatever else must not outlive a test.
//!
//! A package of its own, which knows nothing of lockguard: the unit tests of
//! `lockguard` start servers too.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic of the harness is the failure of the test that called it"
)]

mod eventually;
mod ports;
mod server;
mod watchdog;

pub use crate::{
    eventually::eventually_blocking,
    ports::free_port,
    server::{Server, Servers},
    watchdog::{Guarded, directory},
};
