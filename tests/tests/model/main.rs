//! The protocols' models: that promises hold in them, that broken rules break
//! them, and that servers and `Redlock` do as they do.
//!
//! `docs/decisions/0013-models.md` says what the models are.

mod fencing;
