//! `cargo xtask doc`: the documentation, with warnings as errors.

use crate::step::{Steps, cargo};

pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::new();
    let mut command = cargo("doc --workspace --no-deps --all-features");
    command.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("documentation", command)?;
    steps.summarize();
    Ok(())
}
