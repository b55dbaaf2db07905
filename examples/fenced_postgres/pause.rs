//! The pause of a process, which no process outlasts.

use std::process::ExitCode;

use lockguard_examples::{Failure, replica::say};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::keeper::{Keeper, until_the_end};

/// The first argument of this program as the keeper of a pause; then comes the
/// process.
pub(crate) const ROLE: &str = "pause";

/// A process that stands still, as under a debugger, or in a machine that is
/// being moved.
pub(crate) struct Pause(Keeper);

impl Pause {
    /// Stops a process that this one has started (`SIGSTOP`).
    pub(crate) async fn of(process: u32) -> Result<Self, Failure> {
        let mut keeper = Keeper::start([ROLE, &process.to_string()])?;
        keeper.hear().await?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid(process)?), options)?;
        Ok(Self(keeper))
    }

    /// Lets it go on (`SIGCONT`); it knows nothing of the time that has passed.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.0.end().await
    }
}

/// Pauses a process until standard input is closed, as the process that
/// [`Pause::of`] has started: a process that is stopped cannot end by itself.
pub(crate) fn keep(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [_, process] = arguments else {
        return Err("pause a process: its id is needed".into());
    };
    let process = pid(process.parse()?)?;
    kill_process(process, Signal::STOP)?;
    say("paused")?;
    until_the_end()?;
    kill_process(process, Signal::CONT)?;
    Ok(ExitCode::SUCCESS)
}

fn pid(process: u32) -> Result<Pid, Failure> {
    let pid = Pid::from_raw(i32::try_from(process)?);
    Ok(pid.ok_or("pause a process: it has no id")?)
}
