//! Clients in processes of their own, to be stopped and killed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::ChildStdin,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use lockguard_servers::Guarded;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a line may be waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client in a process of its own, and the lines that it prints.
///
/// It does not outlive the test process; dropping it kills it, stopped or not.
pub struct Worker {
    process: Guarded,
    input: ChildStdin,
    lines: Mutex<Receiver<String>>,
}

impl Worker {
    /// Runs a program: `env!("CARGO_BIN_EXE_worker")` in a test.
    pub fn start(program: impl AsRef<Path>, args: &[&str]) -> Self {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let (process, input, output) = Guarded::spawn_piped(program.as_ref(), &args);
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            input,
            lines: Mutex::new(lines),
        }
    }

    /// Gives it a line to read.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("write to the worker");
    }

    /// The next line, or `None` when the process has ended.
    ///
    /// # Panics
    ///
    /// When neither comes.
    pub fn next_line(&self) -> Option<String> {
        match self.lines.lock().recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line from a worker within {PATIENCE:?}"),
        }
    }

    /// Skips lines until one begins like this, and returns it.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn line_with(&self, beginning: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.next_line() {
                Some(line) if line.starts_with(beginning) => return line,
                Some(_) => {}
                None => break,
            }
        }
        panic!("a worker ended without a line that begins with {beginning:?}")
    }

    /// Waits until the process has ended, and returns its exit code: `None` when
    /// a signal ended it.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn exit_code(mut self) -> Option<i32> {
        while self.next_line().is_some() {}
        self.process.exit_code()
    }

    /// The lines that have been printed and not been taken.
    pub fn lines_so_far(&self) -> Vec<String> {
        self.lines.lock().try_iter().collect()
    }

    /// The client's process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops the process (`SIGSTOP`), and returns once it stands still.
    pub fn stop(&self) {
        let pid = self.signal(Signal::STOP);
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), options).expect("wait for the worker to stop");
    }

    /// Lets a stopped process go on (`SIGCONT`).
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process (`SIGKILL`), and returns once it is gone.
    pub fn kill(self) {
        drop(self);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let pid = i32::try_from(self.process.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("the pid of a child");
        kill_process(pid, signal).expect("signal the worker");
        pid
    }
}
