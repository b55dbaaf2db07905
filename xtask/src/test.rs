//! `cargo xtask test`: everything that a change has to pass.

use std::{path::Path, process::Command};

use crate::{
    examples, faketime, redis,
    step::{Steps, cargo},
};

/// Where the tests look for the server.
pub(crate) const SERVER: &str = "LOCKGUARD_REDIS_SERVER";

pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::new();
    let server = redis::find_or_install(&mut steps)?;
    eprintln!("==> server: {}", server.display());
    let library = faketime::find_or_install(&mut steps);
    steps.run("format", cargo("fmt --all --check"))?;
    steps.run(
        "lint",
        cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
    )?;
    steps.run(
        "lint without features",
        cargo("clippy --package lockguard --all-targets --no-default-features -- -D warnings"),
    )?;
    let mut tests = on(&server, cargo("test --workspace --all-features"));
    if let Some(library) = library {
        tests.env(faketime::LIBRARY, library);
    }
    steps.run("tests and doctests", tests)?;
    // Some tests are about what a feature that is off says.
    for features in ["", "--no-default-features"] {
        let arguments = format!("test --package lockguard --lib {features}");
        let title = format!("unit tests {features}");
        steps.run(title.trim_end(), on(&server, cargo(&arguments)))?;
    }
    for example in examples::all()? {
        let title = format!("example {example}");
        let command = on(&server, examples::command(&example));
        steps.run_within(examples::LIMIT, &title, command)?;
    }
    steps.summarize();
    Ok(())
}

fn on(server: &Path, mut command: Command) -> Command {
    command.env(SERVER, server);
    command
}
