//! `cargo xtask model`: the protocols' models, searched further than the tests
//! do.

use crate::step::{Steps, cargo};

pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::new();
    let command = cargo("run --release --package lockguard-models -- --long");
    steps.run("models", command)?;
    steps.summarize();
    Ok(())
}
