//! The attribute on token streams, without a compiler.

mod expansions;
mod misuses;
mod soup;
mod uses;
