//! Another process of the same program, from the inside and from the outside.

use std::{
    env,
    ffi::OsStr,
    fmt::Display,
    io::{self, Write as _, stdin, stdout},
    process::{self, ExitStatus, Stdio},
    thread,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
};

use crate::Failure;

/// A process that was started; killed when it is dropped.
#[derive(Debug)]
pub struct Replica {
    process: Child,
    pid: u32,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Replica {
    /// Starts this program with other arguments.
    ///
    /// # Errors
    ///
    /// The process could not be started.
    pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Self, Failure> {
        let mut process = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (pid, orders, out) = process
            .id()
            .zip(process.stdin.take())
            .zip(process.stdout.take())
            .map(|((pid, orders), out)| (pid, orders, out))
            .ok_or("start a process: it ended at once")?;
        Ok(Self {
            process,
            pid,
            orders,
            said: BufReader::new(out).lines(),
        })
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Gives an order: a line, for [`orders`] of the other process.
    ///
    /// # Errors
    ///
    /// The process has ended.
    ///
    /// # Cancel safety
    ///
    /// The order may be given by half: end the process.
    pub async fn tell(&mut self, order: &str) -> io::Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await
    }

    /// Waits for a line that begins with this, and returns the rest of it.
    ///
    /// # Errors
    ///
    /// The process ended before it said so.
    ///
    /// # Cancel safety
    ///
    /// No line is lost but those that were waited past.
    pub async fn hear(&mut self, beginning: &str) -> Result<String, Failure> {
        while let Some(line) = self.next().await? {
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.trim_start().to_owned());
            }
        }
        Err(format!("hear `{beginning}` from a process: it ended before").into())
    }

    /// The next line that the process says; `None` when it has ended.
    ///
    /// # Errors
    ///
    /// What it said is no text.
    ///
    /// # Cancel safety
    ///
    /// No line is lost.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        self.said.next_line().await
    }

    /// Kills the process (`SIGKILL`), and waits until it is gone.
    ///
    /// # Errors
    ///
    /// The process cannot be killed.
    ///
    /// # Cancel safety
    ///
    /// The process is killed.
    pub async fn kill(mut self) -> io::Result<()> {
        self.process.kill().await
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    ///
    /// The process cannot be waited for.
    ///
    /// # Cancel safety
    ///
    /// The process is killed.
    pub async fn ended(mut self) -> io::Result<ExitStatus> {
        // The pipe of orders stays open: a process ends when that closes.
        let (process, _orders) = (&mut self.process, &self.orders);
        process.wait().await
    }
}

/// The orders of the process that has started this one.
///
/// This process ends when nobody is left to give orders, whether they are read
/// or not: no replica outlives its example.
pub fn orders() -> mpsc::Receiver<String> {
    let (give, orders) = mpsc::channel(16);
    // A thread, for tokio would wait for its own reader before it ends.
    thread::spawn(move || {
        for order in stdin().lines().map_while(Result::ok) {
            let _ = give.blocking_send(order);
        }
        process::exit(1);
    });
    orders
}

/// Says a line to the process that has started this one.
///
/// # Errors
///
/// Nobody listens.
pub fn say(line: impl Display) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
