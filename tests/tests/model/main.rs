//! The protocols' models: that promises hold in them, that broken rules break
//! them, and that servers and `Redlock` do as they do.
//!
//! `docs/decisions/0013-models.md` says what the models are.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests panic as tests do"
)]

mod fencing;
mod redlock;
mod scripts;
mod waiting;
