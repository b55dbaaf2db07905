//! `cargo xtask test`: everything that a change has to pass.

use std::{path::PathBuf, process::Command};

use crate::{
    examples, faketime, postgres, redis,
    step::{Steps, cargo},
};

/// What is started by tests and examples.
struct Servers {
    redis: PathBuf,
    postgres: PathBuf,
    /// Without it two faults of the matrix are not run.
    faketime: Option<PathBuf>,
}

pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::new();
    let servers = Servers::find_or_install(&mut steps)?;
    steps.run("format", cargo("fmt --all --check"))?;
    steps.run(
        "lint",
        cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
    )?;
    steps.run(
        "lint without features",
        cargo("clippy --package lockguard --all-targets --no-default-features -- -D warnings"),
    )?;
    // As `torture` and the benches use it.
    steps.run(
        "lint the harness without features",
        cargo("clippy --package lockguard-tests --all-targets -- -D warnings"),
    )?;
    steps.run(
        "tests and doctests",
        servers.told_to(cargo("test --workspace --all-features")),
    )?;
    // Some tests are about what a feature that is off says.
    for features in ["", "--no-default-features"] {
        let arguments = format!("test --package lockguard --lib {features}");
        let title = format!("unit tests {features}");
        steps.run(title.trim_end(), servers.told_to(cargo(&arguments)))?;
    }
    for example in examples::all()? {
        let title = format!("example {example}");
        let command = servers.told_to(examples::command(&example));
        steps.run_within(examples::LIMIT, &title, command)?;
    }
    steps.summarize();
    Ok(())
}

impl Servers {
    fn find_or_install(steps: &mut Steps) -> Result<Self, String> {
        let redis = redis::find_or_install(steps)?;
        redis::check_version(&redis)?;
        let servers = Self {
            redis,
            postgres: postgres::find_or_install(steps)?,
            faketime: faketime::find_or_install(steps),
        };
        eprintln!("==> Redis: {}", servers.redis.display());
        eprintln!("==> PostgreSQL: {}", servers.postgres.display());
        Ok(servers)
    }

    fn told_to(&self, mut command: Command) -> Command {
        command
            .env(redis::VARIABLE, &self.redis)
            .env(postgres::VARIABLE, &self.postgres);
        if let Some(faketime) = &self.faketime {
            command.env(faketime::VARIABLE, faketime);
        }
        command
    }
}
