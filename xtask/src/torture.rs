//! `cargo xtask torture` and `cargo xtask loss`: the fault matrix, and how long
//! bodies go on after a loss.

use crate::{
    faketime, redis,
    step::{Steps, cargo},
};

/// Runs the fault matrix; what the program is told, it takes as it stands.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    program("the fault matrix", words)
}

/// Measures how long bodies go on after a loss.
pub(crate) fn loss() -> Result<(), String> {
    program("losses of a lease", &["--loss"])
}

fn program(title: &str, words: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new();
    let server = redis::find_or_install(&mut steps)?;
    let library = faketime::find_or_install(&mut steps);
    let mut command = cargo("run --release --quiet --package lockguard-tests --bin torture --");
    command.args(words).env(redis::VARIABLE, server);
    if let Some(library) = library {
        command.env(faketime::VARIABLE, library);
    }
    steps.run(title, command)?;
    steps.summarize();
    Ok(())
}
