//! Runs the fault matrix, and is each of its clients.
//!
//! `cargo xtask torture` starts it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to whoever typed it"
)]

use std::{
    env,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockguard_tests::torture::{
    bugs::Bug,
    client::{self, Job},
    fault::Fault,
    loss,
    matrix::{self, Settings},
};

const HELP: &str = "\
torture [--minutes N | --short] [--seed N] [--fault NAME]
torture --bug NAME
torture --loss";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.split_first() {
        Some((&"client", args)) => Job::from_args(args)
            .map(|job| client::run(&job))
            .ok_or_else(|| "these are no arguments of a client".to_owned()),
        Some((&"hold", args)) => loss::hold(args),
        _ => orchestrate(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// What was typed.
#[derive(Default)]
struct Options {
    minutes: Option<u64>,
    is_short: bool,
    seed: Option<u64>,
    fault: Option<String>,
    bug: Option<Bug>,
    is_loss: bool,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--minutes" => options.minutes = Some(number(value()?)?),
                "--seed" => options.seed = Some(number(value()?)?),
                "--fault" => options.fault = Some((*value()?).to_owned()),
                "--bug" => options.bug = Some(value()?.parse()?),
                "--short" => options.is_short = true,
                "--loss" => options.is_loss = true,
                other => return Err(format!("`{other}` is no option; these are:\n{HELP}")),
            }
        }
        Ok(options)
    }

    fn settings(&self) -> Result<Settings, String> {
        let seed = self.seed.unwrap_or_else(seed_of_now);
        let program = env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        let mut settings = if self.is_short || self.bug.is_some() {
            Settings::short(seed, program)
        } else {
            let minutes = self.minutes.unwrap_or(10);
            Settings::within(Duration::from_secs(60 * minutes), seed, program)
        };
        if let Some(name) = &self.fault {
            settings.faults.retain(|fault| fault.name() == name);
            if settings.faults.is_empty() {
                let names = Fault::ALL.map(Fault::name).join("`, `");
                return Err(format!("`{name}` is no fault; these are: `{names}`"));
            }
        }
        Ok(settings)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs())
}

#[tokio::main(worker_threads = 4)]
async fn orchestrate(words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let settings = options.settings()?;
    if options.is_loss {
        return loss::run(&settings.program, settings.seed).await;
    }
    if let Some(bug) = options.bug {
        return seed_bug(bug, &settings).await;
    }
    let report = matrix::run(&settings).await;
    if !report.broken.is_empty() {
        return Err(format!("{} violations", report.broken.len()));
    }
    match report.not_run.first() {
        Some(row) if !options.is_short => Err(format!("the matrix is incomplete: {row}")),
        _ => Ok(()),
    }
}

/// Passes where the checker finds the bug, by name.
async fn seed_bug(bug: Bug, settings: &Settings) -> Result<(), String> {
    let verdict = matrix::with_bug(bug, settings).await;
    for violation in verdict.violations.iter().take(10) {
        println!("{violation}");
    }
    let (flaw, count) = (bug.flaw(), verdict.count_of(bug.flaw()));
    if count == 0 {
        return Err(format!("{}: not caught", bug.name()));
    }
    println!("{}: caught: {} ×{count}", bug.name(), flaw.name());
    Ok(())
}
