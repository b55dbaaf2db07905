//! Tells the story of an example, and holds it to its promises.

#[cfg(any(feature = "axum", feature = "prometheus"))]
pub mod http;
#[cfg(feature = "redis")]
pub mod installed;
#[cfg(feature = "redis")]
pub mod replica;
#[cfg(feature = "redis")]
pub mod server;
#[cfg(any(feature = "axum", feature = "tonic"))]
pub mod stop;

use std::{error::Error, fmt::Display, process::ExitCode};

/// Why an example could not do what it set out to do.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A story told on standard output; its promises are checked as it goes.
#[derive(Debug)]
#[must_use = "a story that is not ended says nothing about its promises"]
pub struct Story {
    chapters: usize,
    broken: usize,
}

#[expect(clippy::print_stdout, reason = "an example is read on a terminal")]
impl Story {
    /// Begins a story with its title.
    pub fn begin(title: impl Display) -> Self {
        println!("{title}");
        Self {
            chapters: 0,
            broken: 0,
        }
    }

    /// Begins the next chapter.
    pub fn chapter(&mut self, title: impl Display) {
        self.chapters += 1;
        println!("\n{}. {title}", self.chapters);
    }

    /// Tells what happened.
    pub fn tell(&self, what: impl Display) {
        println!("     {what}");
    }

    /// Says what must hold, and whether it does.
    pub fn promise(&mut self, holds: bool, what: impl Display) {
        if holds {
            println!("  ✓  {what}");
        } else {
            self.broken += 1;
            println!("  ✗  {what}: DOES NOT HOLD");
        }
    }

    /// Ends the story: a failure if a promise was broken.
    pub fn end(self) -> ExitCode {
        match self.broken {
            0 => {
                println!("\nEvery promise held.");
                ExitCode::SUCCESS
            }
            broken => {
                println!("\n{broken} promise(s) broken.");
                ExitCode::FAILURE
            }
        }
    }
}

/// Says why a story could not be told, and fails.
#[expect(clippy::print_stderr, reason = "an example is read on a terminal")]
#[expect(clippy::needless_pass_by_value, reason = "it ends a chain of results")]
pub fn failed(error: Failure) -> ExitCode {
    eprintln!("failed to {error}");
    ExitCode::FAILURE
}
