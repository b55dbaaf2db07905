//! `cargo xtask …`: the one way to do what takes more than one step.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command-line program talks to whoever typed it"
)]

mod bench;
mod compile_cost;
mod doc;
mod examples;
mod faketime;
mod fuzz;
mod model;
mod msrv;
mod packages;
mod postgres;
mod redis;
mod server;
mod step;
mod test;
mod torture;

use std::{env, process::ExitCode};

const HELP: &str = "\
cargo xtask <command>

  test   check formatting and lints, run every test, doctest and example;
         finds the servers that they need, or installs them
  server redis|postgres
         print where the programs of this server are; installs them where
         there are none
  doc    build the documentation, with warnings as errors
  msrv   check `lockguard` with the oldest Rust that users are promised
  fuzz [--minutes N]
         feed the attribute random options, items, templates and durations
         (default: 1 minute)
  injectivity [--pairs N]
         show that different values never make the same key
         (default: 10,000,000 pairs)
  torture [--minutes N | --short] [--seed N] [--fault NAME]
         run faults against real servers and real client processes, judge
         what they did, and print the matrix (default: 10 minutes)
  torture --bug NAME
         show that the judge finds a seeded bug: grants-twice,
         release-without-compare, deadline-from-reply, fence-by-incr
  loss   measure how long a body goes on after each loss of its lease
  model  search the models of the protocols further than the tests do
         (minutes, and a few GB of memory)
  bench [--quick] [--rounds N] [--plots DIRECTORY] [--markdown FILE] [SCENE…]
         measure lockguard against a user's own code on the redis crate and
         against other libraries, and say which targets are met
  compile-cost
         measure what the attribute costs the compiler, and its futures
  help   show this
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["test"] => test::run(),
        ["server", which] => server::run(which),
        ["doc"] => doc::run(),
        ["bench", ref words @ ..] => bench::run(words),
        ["compile-cost"] => compile_cost::run(),
        ["model"] => model::run(),
        ["msrv"] => msrv::run(),
        ["fuzz"] => fuzz::run(fuzz::MINUTES),
        ["fuzz", "--minutes", minutes] => number(minutes).and_then(fuzz::run),
        ["injectivity"] => fuzz::injectivity(fuzz::PAIRS),
        ["injectivity", "--pairs", pairs] => number(pairs).and_then(fuzz::injectivity),
        ["torture", ref words @ ..] => torture::run(words),
        ["loss"] => torture::loss(),
        ["help" | "--help" | "-h"] | [] => {
            eprint!("{HELP}");
            Ok(())
        }
        _ => Err(format!(
            "`cargo xtask {}` is no command; these are:\n\n{HELP}",
            words.join(" ")
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nerror: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A count, with or without `_` and `,` between its digits.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace(['_', ','], "");
    match digits.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is no number of at least 1")),
    }
}
