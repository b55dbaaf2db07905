//! Measures lockguard against a user's own code on the redis crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockguard_bench::main()
}
