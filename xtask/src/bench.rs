//! `cargo xtask bench`: what lockguard costs, beside what it is compared with.

use crate::{
    redis,
    step::{Steps, cargo},
};

pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new();
    let server = redis::find_or_install(&mut steps)?;
    // Both of its programs: one times, and asks the other what is allocated.
    let build = cargo("build --release --package lockguard-bench");
    steps.run("build the bench", build)?;
    let mut bench = cargo("run --release --package lockguard-bench --");
    bench.args(words).env(redis::VARIABLE, &server);
    steps.run("bench", bench)?;
    steps.summarize();
    Ok(())
}
