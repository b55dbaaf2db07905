//! The attribute on token streams, without a compiler.

mod dice;
mod expansions;
mod injectivity;
mod misuses;
mod soup;
mod uses;
