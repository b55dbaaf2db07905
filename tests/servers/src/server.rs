//! Redis and Valkey servers of a test's own.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    ops::Index,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redis::{Client, Cmd, Connection, ConnectionLike as _, FromRedisValue, RedisResult, Value};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::{
    eventually_blocking, ports,
    watchdog::{self, Guarded},
};

/// Names the server program; `cargo xtask test` sets it.
const VARIABLE: &str = "LOCKGUARD_REDIS_SERVER";

/// How long a server may take to start, or to answer a check.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a start may meet a port that was taken in between.
const STARTS: usize = 10;

/// A Redis or Valkey server: a process, a port and a directory of its own.
///
/// It keeps nothing on disk unless it was started by
/// [`start_persistent`](Self::start_persistent).
/// Dropping it kills it and waits until it is gone, stopped or not; it does
/// not outlive the test process either, not even one that is killed.
///
/// The checks (`get`, `keys`, …) open a connection of their own each time, go
/// past every proxy, and block: they are for tests.
pub struct Server {
    port: u16,
    is_persistent: bool,
    args: Vec<String>,
    /// The library that changes its clock, if it is to be changed.
    clock: Option<PathBuf>,
    directory: TempDir,
    process: Mutex<Option<Guarded>>,
}

impl Server {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::launch(&[], false, None)
    }

    /// Starts a server with more arguments, as on its command line.
    pub fn start_with(args: &[&str]) -> Self {
        Self::launch(args, false, None)
    }

    /// Starts a server that writes every command to disk before it answers.
    pub fn start_persistent() -> Self {
        Self::launch(&[], true, None)
    }

    /// Starts a server whose clock [`set_clock`](Self::set_clock) changes, by
    /// libfaketime: `library` is the path of `libfaketimeMT.so.1`.
    pub fn start_with_clock(library: &Path) -> Self {
        Self::launch(&[], false, Some(library.to_owned()))
    }

    fn launch(args: &[&str], is_persistent: bool, clock: Option<PathBuf>) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("server-")
            .tempdir_in(watchdog::directory())
            .expect("make a directory for a server");
        let mut server = Self {
            port: 0,
            is_persistent,
            args: args.iter().map(ToString::to_string).collect(),
            clock,
            directory,
            process: Mutex::new(None),
        };
        if server.clock.is_some() {
            server.set_clock(0.0);
        }
        for _ in 0..STARTS {
            server.port = ports::free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!(
            "no server after {STARTS} starts; its log ends:\n{}",
            server.log()
        );
    }

    /// The server's address: `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Host and port, as errors name the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port the server listens on; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    ///
    /// # Panics
    ///
    /// When it was killed.
    pub fn pid(&self) -> u32 {
        self.process.lock().as_ref().expect("the server runs").pid()
    }

    /// Stops the process (`SIGSTOP`), and returns once it stands still.
    ///
    /// Connections stay open, new ones are accepted by the system, and nothing
    /// is answered.
    pub fn stop(&self) {
        let pid = self.signal(Signal::STOP);
        // Left in the waitable state, so that the child can still be waited for.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), options).expect("wait for the server to stop");
    }

    /// Lets a stopped process go on (`SIGCONT`).
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process (`SIGKILL`), and returns once it is gone.
    pub fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// Kills the process and starts it again on the same port, empty.
    pub fn restart(&self) {
        self.kill();
        self.remove_data();
        self.start_again();
    }

    /// Kills the process and starts it again on the same port, with its data.
    ///
    /// # Panics
    ///
    /// When the server was not started by
    /// [`start_persistent`](Self::start_persistent).
    pub fn restart_with_data(&self) {
        assert!(
            self.is_persistent,
            "only a server of `start_persistent` has data to restart with"
        );
        self.kill();
        self.start_again();
    }

    /// Sets the server's wall clock so many seconds off, at once.
    ///
    /// # Panics
    ///
    /// When the server was not started by
    /// [`start_with_clock`](Self::start_with_clock).
    pub fn set_clock(&self, seconds: f64) {
        assert!(self.clock.is_some(), "only some servers have such a clock");
        let file = self.clock_file();
        let new = file.with_extension("new");
        let written = fs::write(&new, format!("{seconds:+.3}\n"));
        // Never seen half written.
        written
            .and_then(|()| fs::rename(&new, &file))
            .expect("write the server's clock");
    }

    fn clock_file(&self) -> PathBuf {
        self.directory.path().join("clock")
    }

    /// Whether the process is there, stopped or not.
    pub fn is_running(&self) -> bool {
        let mut process = self.process.lock();
        process.as_mut().is_some_and(Guarded::is_running)
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Starts the process again after [`kill`](Self::kill), with what is on
    /// disk.
    pub fn start_again(&self) {
        eventually_blocking(PATIENCE, || self.try_run());
    }

    /// Whether the process came up; not so when somebody else has the port.
    fn try_run(&self) -> bool {
        let mut process = match &self.clock {
            None => Guarded::spawn(&program(), &self.arguments()),
            Some(library) => Guarded::spawn(Path::new("env"), &self.with_clock(library)),
        };
        let end = Instant::now() + PATIENCE;
        while process.is_running() {
            // Somebody else's server may have the port, and answer.
            if self.answering_pid() == Some(process.pid()) && self.is_ready() {
                *self.process.lock() = Some(process);
                return true;
            }
            assert!(
                Instant::now() < end,
                "no answer from the server within {PATIENCE:?}; its log ends:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// The arguments of `env` that start the server with a clock of its own.
    fn with_clock(&self, library: &Path) -> Vec<String> {
        let own = [
            // The library's start asks for memory, whose allocator asks for the
            // time: with the system's own allocator this comes to an end.
            format!("LD_PRELOAD={} libc.so.6", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.clock_file().display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            program().display().to_string(),
        ];
        own.into_iter().chain(self.arguments()).collect()
    }

    fn arguments(&self) -> Vec<String> {
        let port = self.port.to_string();
        let directory = self.directory.path().to_str().expect("a path in UTF-8");
        let appendonly = if self.is_persistent { "yes" } else { "no" };
        let own = [
            ("--port", port.as_str()),
            ("--bind", "127.0.0.1"),
            ("--dir", directory),
            ("--logfile", "server.log"),
            ("--daemonize", "no"),
            ("--save", ""),
            ("--appendonly", appendonly),
            ("--appendfsync", "always"),
        ];
        own.iter()
            .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
            .chain(self.args.iter().cloned())
            .collect()
    }

    fn answering_pid(&self) -> Option<u32> {
        let info: String = self.ask(redis::cmd("INFO").arg("server")).ok()?;
        field(&info, "process_id")?.parse().ok()
    }

    /// Whether the server has loaded its data: until then it answers with
    /// errors.
    fn is_ready(&self) -> bool {
        self.ask::<()>(&redis::cmd("PING")).is_ok()
    }

    fn remove_data(&self) {
        for entry in fs::read_dir(self.directory.path()).expect("read the server's directory") {
            let path = entry.expect("read the server's directory").path();
            if path.is_dir() {
                fs::remove_dir_all(path).expect("remove the server's data");
            } else {
                fs::remove_file(path).expect("remove the server's data");
            }
        }
    }

    fn signal(&self, signal: Signal) -> Pid {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("the pid of a child");
        kill_process(pid, signal).expect("signal the server");
        pid
    }
}

/// Checks, past every proxy.
impl Server {
    /// Sends one command, and converts the reply.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or answers with an error.
    pub fn cli<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_cli(words)
            .unwrap_or_else(|error| panic!("{words:?} to {}: {error}", self.address()))
    }

    /// Sends one command, and converts the reply or gives the error.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or answers with an error.
    pub fn try_cli<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        self.ask(&command)
    }

    /// The string under the key.
    pub fn get(&self, key: &str) -> Option<String> {
        self.cli(&["GET", key])
    }

    /// What is left of the key's ttl; `None` without the key or its expiry.
    pub fn pttl(&self, key: &str) -> Option<Duration> {
        let left: i64 = self.cli(&["PTTL", key]);
        u64::try_from(left).ok().map(Duration::from_millis)
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.cli(&["KEYS", "*"]);
        keys.sort_unstable();
        keys
    }

    /// Sets the key as any other library's lock does; whether it was free.
    pub fn set_nx_px(&self, key: &str, value: &str, ttl: Duration) -> bool {
        let ttl = ttl.as_millis().to_string();
        let reply: Value = self.cli(&["SET", key, value, "NX", "PX", &ttl]);
        reply == Value::Okay
    }

    /// Deletes the key, as by hand; whether it was there.
    pub fn del(&self, key: &str) -> bool {
        self.cli(&["DEL", key])
    }

    /// Deletes every key.
    pub fn flush(&self) {
        self.cli::<()>(&["FLUSHALL"]);
    }

    /// Forgets every script.
    pub fn script_flush(&self) {
        self.cli::<()>(&["SCRIPT", "FLUSH"]);
    }

    /// Closes the connections of all clients; how many there were.
    pub fn client_kill(&self) -> usize {
        ["normal", "pubsub"]
            .iter()
            .map(|kind| self.cli::<usize>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]))
            .sum()
    }

    /// How many clients are connected, this check not counted.
    pub fn client_count(&self) -> usize {
        let list: String = self.cli(&["CLIENT", "LIST"]);
        list.lines().count().saturating_sub(1)
    }

    /// How often the command was run since the start, inside scripts too.
    pub fn command_count(&self, command: &str) -> u64 {
        let counts = self.command_counts();
        counts.get(&command.to_lowercase()).copied().unwrap_or(0)
    }

    /// How often each command was run since the start, inside scripts too.
    pub fn command_counts(&self) -> BTreeMap<String, u64> {
        let info: String = self.cli(&["INFO", "commandstats"]);
        let count = |line: &str| {
            let (command, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = stats.split(',').next()?;
            Some((command.to_owned(), calls.parse().ok()?))
        };
        info.lines().filter_map(count).collect()
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let reply = self.connection()?.req_command(command)?;
        Ok(T::from_redis_value(reply.extract_error()?)?)
    }

    fn connection(&self) -> RedisResult<Connection> {
        let connection = Client::open(self.url())?.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// A set of independent servers.
#[derive(Debug)]
pub struct Servers(Vec<Server>);

impl Servers {
    /// Starts `n` servers that keep nothing on disk.
    pub fn start(n: usize) -> Self {
        std::thread::scope(|scope| {
            let starting: Vec<_> = (0..n).map(|_| scope.spawn(Server::start)).collect();
            let started = starting
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join);
            Self(started.map(|server| server.expect("a server")).collect())
        })
    }

    /// Every address, joined by commas.
    pub fn urls(&self) -> String {
        let urls: Vec<_> = self.iter().map(Server::url).collect();
        urls.join(",")
    }

    /// Whether there is no key on any of them.
    pub fn are_empty(&self) -> bool {
        self.iter().all(|server| server.keys().is_empty())
    }

    /// The servers, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Server> {
        self.0.iter()
    }

    /// How many servers there are.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Index<usize> for Servers {
    type Output = Server;

    fn index(&self, nth: usize) -> &Server {
        &self.0[nth]
    }
}

impl<'a> IntoIterator for &'a Servers {
    type Item = &'a Server;
    type IntoIter = std::slice::Iter<'a, Server>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The server program.
fn program() -> PathBuf {
    if let Some(named) = env::var_os(VARIABLE) {
        return PathBuf::from(named);
    }
    ["redis-server", "valkey-server"]
        .iter()
        .find_map(|name| on_path(name))
        .unwrap_or_else(|| {
            panic!(
                "these tests need a Redis server: run `cargo xtask test`, which finds or installs \
                 one, or install redis-server, or set {VARIABLE} to its path"
            )
        })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The value of `name:value` in an `INFO` reply.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
