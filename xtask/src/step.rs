//! Commands that are announced, timed, and listed at the end.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a command with a time limit is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// What was done, and how long it took.
pub(crate) struct Steps {
    start: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&mut self, title: &str, command: Command) -> Result<(), String> {
        self.run_within(Duration::MAX, title, command)
    }

    /// Runs a command, and ends it when the limit has passed.
    pub(crate) fn run_within(
        &mut self,
        limit: Duration,
        title: &str,
        mut command: Command,
    ) -> Result<(), String> {
        eprintln!("\n==> {title}: {}", spelled(&command));
        let start = Instant::now();
        let status = command
            .stdin(Stdio::null())
            .spawn()
            .and_then(|mut child| wait(&mut child, limit));
        let took = start.elapsed();
        self.done.push((title.to_owned(), took));
        let problem = match status {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => status.to_string(),
            Ok(None) => format!("still running after {} s", limit.as_secs()),
            Err(error) => error.to_string(),
        };
        self.summarize();
        Err(format!(
            "{title} failed ({problem}); to repeat it:\n  {}",
            spelled(&command)
        ))
    }

    /// Lists what was done.
    pub(crate) fn summarize(&self) {
        eprintln!();
        for (title, took) in &self.done {
            eprintln!("{:>8.1} s  {title}", took.as_secs_f64());
        }
        eprintln!("{:>8.1} s  in all", self.start.elapsed().as_secs_f64());
    }
}

/// Cargo, in the root of the workspace.
pub(crate) fn cargo(words: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(words.split(' ')).current_dir(root());
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    // Set by `cargo run`, which runs us.
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|package| package.parent().map(PathBuf::from));
    root.unwrap_or_else(|| PathBuf::from("."))
}

/// Whether the command ends well; what it says is nobody's business.
pub(crate) fn succeeds(mut command: Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// `None` when the limit has passed, and the child is gone.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    if limit == Duration::MAX {
        return child.wait().map(Some);
    }
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(INTERVAL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// The command as one would type it.
fn spelled(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value)))
    });
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let arguments = command
        .get_args()
        .map(|argument| quoted(&argument.to_string_lossy()));
    variables
        .chain([program.into_owned()])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(' ') {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}
