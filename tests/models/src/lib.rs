//! Models of lockguard's protocols, searched by machine.
//!
//! A model leaves out time, threads and bytes, and keeps what may happen in
//! which order; the search visits every order there is, within bounds.
//! `docs/decisions/0013-models.md` says what is searched and what was found.
//!
//! A package of its own, so that searches are compiled with optimisation while
//! nothing else is.
#![expect(
    clippy::indexing_slicing,
    reason = "indices of nodes and clients come from the model's own ranges"
)]

pub mod fencing;
mod graph;
mod search;
pub mod waiting;

pub use crate::{
    graph::{ENDLESS, Graph},
    search::Found,
};
