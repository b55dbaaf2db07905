//! `cargo xtask fuzz` and `cargo xtask injectivity`: the macro crate's random
//! tests, for as long as one likes.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::step::{Steps, cargo};

/// How many random tests share the time; each has a thread of its own.
const TARGETS: u64 = 4;

pub(crate) const MINUTES: u64 = 1;

/// Feeds the attribute random options, items, templates and durations.
pub(crate) fn run(minutes: u64) -> Result<(), String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u64::try_from(threads).unwrap_or(TARGETS).min(TARGETS);
    // What does not fit beside the others comes after them.
    let seconds = (minutes * 60 * threads / TARGETS).max(1);
    let mut command = random("tests::soup");
    command.env("LOCKGUARD_FUZZ_SECONDS", seconds.to_string());
    repeatable(&format!("fuzz for {minutes} min"), command)
}

pub(crate) const PAIRS: u64 = 10_000_000;

/// Makes keys of pairs of values, which must differ where the values do.
pub(crate) fn injectivity(pairs: u64) -> Result<(), String> {
    let mut command = random("tests::injectivity");
    command.env("LOCKGUARD_PAIRS", pairs.to_string());
    repeatable(&format!("{pairs} pairs of values"), command)
}

fn random(tests: &str) -> Command {
    cargo(&format!(
        "test --release --package lockguard-macros --lib -- {tests} --nocapture"
    ))
}

/// Runs it from a new seed, which a failure shows.
fn repeatable(title: &str, mut command: Command) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = now.map_or(1, |now| now.as_secs());
    command.env("LOCKGUARD_FUZZ_SEED", seed.to_string());
    let mut steps = Steps::new();
    steps.run(title, command)?;
    steps.summarize();
    Ok(())
}
