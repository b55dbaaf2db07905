//! A process that undoes something when the example is gone, however it went.

use std::{
    env,
    ffi::OsStr,
    io::{self, Read as _},
    process::Stdio,
    time::Duration,
};

use lockguard_examples::Failure;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// How long it may take to undo what it keeps.
const PATIENCE: Duration = Duration::from_secs(10);

/// This program in another role, which ends when its standard input is closed.
pub(crate) struct Keeper(Child);

impl Keeper {
    /// Starts this program with other arguments.
    pub(crate) fn start(
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self, Failure> {
        let process = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of reach of a Ctrl-C, which ends the example: somebody has to
            // tidy up.
            .process_group(0)
            .spawn()?;
        Ok(Self(process))
    }

    /// Tells it a line.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let pipe = self.0.stdin.as_mut().ok_or("tell a keeper: it has ended")?;
        Ok(pipe.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Waits until it says a line.
    pub(crate) async fn hear(&mut self) -> Result<String, Failure> {
        let pipe = self.0.stdout.as_mut().ok_or("hear a keeper: it is mute")?;
        let mut line = String::new();
        match BufReader::new(pipe).read_line(&mut line).await? {
            0 => Err("hear a keeper: it has ended".into()),
            _ => Ok(line),
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Lets it undo what it keeps, and waits until it has.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        let status = timeout(PATIENCE, self.0.wait()).await??;
        if status.success() {
            Ok(())
        } else {
            Err(format!("end a keeper: it ended with {status}").into())
        }
    }
}

/// Returns when the example is gone, or has ended this keeper.
pub(crate) fn until_the_end() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
