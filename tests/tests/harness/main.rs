//! The harness, tested on itself.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests panic as tests do"
)]

mod contract;
mod proxy;
mod scripted;
mod server;
mod witness;
