//! The fault matrix: real servers, real client processes, and a checker.
//!
//! `cargo xtask torture` runs it; `docs/TESTING.md` says what it judges.
//!
//! Client processes ([`client`]) take locks by each interface and write what
//! they do to a [`journal`] that outlives them.
//! A [`cell`] does one [`fault`] to so many nodes meanwhile; the [`checker`]
//! then judges the journal, and the [`matrix`] prints what it found.
#![expect(
    clippy::print_stdout,
    reason = "the matrix and its clients talk by their output"
)]

// What is recorded, and on which clock.
pub mod clock;
pub mod journal;

// What is done to servers and clients, and what may come of it.
pub mod bugs;
pub mod fault;

// Who does it.
pub mod cell;
pub mod client;
mod plan;
mod probes;
mod work;

// What is made of it.
pub mod checker;
pub mod evidence;
pub mod loss;
pub mod matrix;
pub mod verdict;
