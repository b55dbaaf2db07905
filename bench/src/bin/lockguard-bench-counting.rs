//! The same program with an allocator that counts.
//!
//! Counting takes time, and most where two threads allocate at once, so that
//! what is timed runs without: what is counted is asked of this program.

use std::{alloc::System, process::ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    lockguard_bench::main()
}
