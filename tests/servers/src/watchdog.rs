//! Kills what a test process leaves behind, however that process ends.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::LazyLock,
};

use parking_lot::Mutex;

/// Reads `+ pid` and `- pid` lines; once the pipe ends, which it does when the
/// test process is gone, kills what is left and removes its directory.
///
/// `prctl(PR_SET_PDEATHSIG)` would have to be called between fork and exec,
/// which takes unsafe code, and fires when the *thread* that forked ends.
const SCRIPT: &str = r#"
root=$1
pids=
while read -r op pid; do
  case $op in
    +) pids="$pids $pid" ;;
    -) kept=
       for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done
       pids=$kept ;;
  esac
done
for p in $pids; do kill -KILL "$p" 2>/dev/null; done
rm -rf -- "$root"
"#;

/// Waits for a line before it turns into the real program, so that the
/// watchdog knows the pid before there is anything to leave behind.
const GATE: &str = r#"read -r go && exec "$@""#;

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(Watchdog::start);

struct Watchdog {
    root: PathBuf,
    pipe: Mutex<ChildStdin>,
}

impl Watchdog {
    #[expect(
        clippy::zombie_processes,
        reason = "the watchdog outlives this process on purpose"
    )]
    fn start() -> Self {
        let root = tempfile::Builder::new()
            .prefix("lockguard-")
            .tempdir()
            .expect("make a temporary directory")
            .keep();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("lockguard-watchdog")
            .arg(&root)
            // Out of reach of a Ctrl-C or a kill that is meant for the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a shell");
        let pipe = child.stdin.take().expect("the pipe was asked for");
        Self {
            root,
            pipe: Mutex::new(pipe),
        }
    }

    fn tell(&self, op: char, pid: u32) {
        writeln!(self.pipe.lock(), "{op} {pid}").expect("write to the watchdog");
    }
}

/// A directory that is gone when this process is.
pub fn directory() -> &'static Path {
    &WATCHDOG.root
}

/// A child that does not outlive this process, not even if it is killed.
///
/// `Drop` kills it and waits until it is gone.
pub struct Guarded(Child);

impl Guarded {
    /// Runs the program with these arguments and no input.
    pub fn spawn(program: &Path, args: &[String]) -> Self {
        Self::spawn_with_output(program, args, Stdio::null()).0
    }

    /// As [`spawn`](Self::spawn), with what the program reads and prints.
    pub fn spawn_piped(program: &Path, args: &[String]) -> (Self, ChildStdin, ChildStdout) {
        let (mut guarded, input) = Self::spawn_with_output(program, args, Stdio::piped());
        let output = guarded.0.stdout.take().expect("the pipe was asked for");
        (guarded, input, output)
    }

    /// The input is what the gate leaves of it, which is all but its own line.
    fn spawn_with_output(program: &Path, args: &[String], output: Stdio) -> (Self, ChildStdin) {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(GATE)
            .arg("lockguard-gate")
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .expect("start a shell");
        let mut gate = child.stdin.take().expect("the pipe was asked for");
        let guarded = Self(child);
        WATCHDOG.tell('+', guarded.pid());
        writeln!(gate, "go").expect("open the gate");
        (guarded, gate)
    }

    /// The child's process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the child has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        let status = self.0.wait().expect("wait for a child");
        status.code()
    }

    /// Whether the child has not ended, stopped or not.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Told before the pid is free for another process.
        WATCHDOG.tell('-', self.pid());
        // Ends a stopped process too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
