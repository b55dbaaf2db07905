//! How often a cycle enters the system.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use lockguard_servers::Server;

use crate::{
    contender::Failure,
    driver::{Driver, Work},
    scenes::{FLOOR, IN_BACKGROUND, OURS, Run, cycle::TASKS},
};

/// System calls of the client's process, on one server.
///
/// Each figure is what a run makes, less what a run of no time makes.
pub(crate) fn measure(run: &mut Run) -> Result<(), Failure> {
    let Some(counter) = Counter::find() else {
        println!("system calls are not counted: neither perf nor strace works here");
        return Ok(());
    };
    let server = Server::start();
    let contenders = [
        Driver::ours(FLOOR, "floor")?,
        Driver::ours(OURS, "lockguard")?,
        Driver::ours(IN_BACKGROUND, "background")?,
    ];
    let urls = server.url();
    for tasks in TASKS {
        let scene = format!("system calls, 1 node, {tasks} tasks");
        let work = |time| Work {
            urls: &urls,
            tasks,
            time,
            hold: Duration::ZERO,
        };
        // Counts differ less from round to round than times do.
        let rounds = if run.is_quick { 1 } else { run.rounds };
        for round in 0..rounds {
            run.progress(&scene, round);
            for contender in &contenders {
                let (idle, _) = counter.count(contender, work(Duration::ZERO))?;
                let (calls, cycles) = counter.count(contender, work(COUNTED))?;
                let each = (calls - idle) / cycles.max(1.0);
                run.report
                    .note(&scene, contender.name, counter.what(), each);
            }
        }
    }
    Ok(())
}

/// What counts them.
#[derive(Clone, Copy)]
enum Counter {
    /// Hardly slows what it counts, but may be for the administrator alone.
    Perf,
    /// Slows every call, so that more is done with each.
    Strace,
}

impl Counter {
    /// The first that works here.
    fn find() -> Option<Self> {
        [Self::Perf, Self::Strace].into_iter().find(|counter| {
            let Ok(file) = file() else { return false };
            let words = counter.words(&file);
            let [program, arguments @ ..] = &words[..] else {
                return false;
            };
            let mut command = Command::new(program);
            command.args(arguments).arg("true").stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
                && counter.read(&file).is_some_and(|calls| calls > 0.0)
        })
    }

    fn what(self) -> &'static str {
        match self {
            Self::Perf => "system calls a cycle (perf)",
            Self::Strace => "system calls a cycle (strace, which slows them)",
        }
    }

    /// Calls of the driver's process, and its cycles.
    fn count(self, driver: &Driver, work: Work<'_>) -> Result<(f64, f64), Failure> {
        let file = file()?;
        let cycles = driver.under(self.words(&file)).cycles(work)?;
        let calls = self.read(&file).ok_or("no count of system calls")?;
        Ok((calls, cycles.count))
    }

    /// The command that counts what the command behind it does.
    fn words(self, file: &Path) -> Vec<PathBuf> {
        let words: &[&str] = match self {
            Self::Perf => &["perf", "stat", "-x", ",", "-e", EVENT, "-o"],
            Self::Strace => &["strace", "-f", "-c", "-o"],
        };
        let words = words.iter().map(PathBuf::from);
        words.chain([file.to_owned()]).collect()
    }

    /// The count, from what such a command has written.
    fn read(self, file: &Path) -> Option<f64> {
        let text = fs::read_to_string(file).ok()?;
        match self {
            Self::Perf => {
                let line = text.lines().find(|line| line.contains(EVENT))?;
                line.split(',').next()?.parse().ok()
            }
            Self::Strace => {
                let line = text.lines().rfind(|line| line.ends_with(" total"))?;
                line.split_whitespace().nth(3)?.parse().ok()
            }
        }
    }
}

/// Long enough that what a process does at its start and end hardly counts.
const COUNTED: Duration = Duration::from_millis(500);

const EVENT: &str = "raw_syscalls:sys_enter";

/// Where the counter writes.
fn file() -> Result<PathBuf, Failure> {
    Ok(env::current_exe()?.with_file_name("system-calls.txt"))
}
