//! What a process uses, and when it stood still.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep},
};

use super::{
    clock::Stamp,
    evidence::{Span, Standstill},
    journal::Usage,
};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

/// What counts as a stall.
pub(super) const STALL: Duration = Duration::from_millis(8);

/// What this process uses now; zero where the system has no `/proc`.
pub(super) fn usage(client: u16, is_last: bool) -> Usage {
    const PAGE: u64 = 4096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Usage {
        client,
        is_last,
        memory: pages.unwrap_or(0_u64) * PAGE,
        files: files as u64,
        tasks: Handle::current().metrics().num_alive_tasks() as u64,
    }
}

/// Tells of each time in which this runtime, or the whole process, did not get
/// to run a task that was ready.
pub(super) async fn watch_for_stalls(tell: impl Fn(Stamp, Stamp)) {
    loop {
        let due = Instant::now() + INTERVAL;
        sleep(INTERVAL).await;
        let late = Instant::now().saturating_duration_since(due);
        if late > STALL {
            tell(Stamp::of(due), Stamp::now());
        }
    }
}

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// A client's, by its number.
    Client(u16),
    /// A server's, by its number.
    Server(usize),
    /// Our own, in which the proxies are.
    Proxies,
}

type Standstills = Arc<Mutex<Vec<(Whose, Standstill)>>>;

/// Finds out when processes of a cell did not get to run, although they could.
pub(super) struct Probes {
    found: Standstills,
    watched: Arc<Mutex<Vec<(Whose, u32)>>>,
    is_over: Arc<AtomicBool>,
    watch: AbortHandle,
    pings: Vec<JoinHandle<()>>,
}

impl Probes {
    /// Watches the processes of servers, by their addresses and pids, and this
    /// one.
    pub(super) fn start(servers: Vec<(String, u32)>) -> Self {
        let found = Standstills::default();
        let note = |whose| {
            let found = Arc::clone(&found);
            move |begin, end| {
                let span = Span { begin, end };
                let standstill = Standstill {
                    client: None,
                    span,
                    lost: end - begin,
                };
                found.lock().push((whose, standstill));
            }
        };
        let watch = tokio::spawn(watch_for_stalls(note(Whose::Proxies)));
        let mut watched = vec![(Whose::Proxies, std::process::id())];
        let mut pings = Vec::new();
        for (nth, (url, pid)) in servers.into_iter().enumerate() {
            watched.push((Whose::Server(nth), pid));
            pings.push(tokio::spawn(ping(url, note(Whose::Server(nth)))));
        }
        let probes = Self {
            found,
            watched: Arc::new(Mutex::new(watched)),
            is_over: Arc::default(),
            watch: watch.abort_handle(),
            pings,
        };
        let (found, watched) = (Arc::clone(&probes.found), Arc::clone(&probes.watched));
        let is_over = Arc::clone(&probes.is_over);
        thread::spawn(move || sample(&found, &watched, &is_over));
        probes
    }

    /// Watches one more process.
    pub(super) fn watch(&self, whose: Whose, pid: u32) {
        let mut watched = self.watched.lock();
        watched.retain(|(other, _)| *other != whose);
        watched.push((whose, pid));
    }

    /// Closes the connections of the probes.
    pub(super) async fn stop_pinging(&mut self) {
        for ping in self.pings.drain(..) {
            ping.abort();
            let _ = ping.await;
        }
    }

    /// What was found so far.
    pub(super) fn found(&self) -> Vec<(Whose, Standstill)> {
        self.found.lock().clone()
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.watch.abort();
        for ping in &self.pings {
            ping.abort();
        }
        self.is_over.store(true, Ordering::Release);
    }
}

/// How often the system is asked how long threads had to wait.
const SAMPLE: Duration = Duration::from_millis(15);

/// What a process may lose between two samples without a word.
const NOTHING: Duration = Duration::from_micros(500);

/// Asks the system how long the threads of each process could have run and did
/// not; where it does not say, nothing is found.
fn sample(found: &Standstills, watched: &Mutex<Vec<(Whose, u32)>>, is_over: &AtomicBool) {
    let mut before: HashMap<u32, (Stamp, Duration)> = HashMap::new();
    while !is_over.load(Ordering::Acquire) {
        let now = watched.lock().clone();
        for (whose, pid) in now {
            let waited = waited(pid);
            let end = Stamp::now();
            let Some((begin, by_then)) = before.insert(pid, (end, waited)) else {
                continue;
            };
            let lost = waited.saturating_sub(by_then);
            if lost < NOTHING {
                continue;
            }
            let client = match whose {
                Whose::Client(client) => Some(client),
                Whose::Server(_) | Whose::Proxies => None,
            };
            let span = Span { begin, end };
            let standstill = Standstill { client, span, lost };
            found.lock().push((whose, standstill));
        }
        thread::sleep(SAMPLE);
    }
}

/// How long threads of this process have waited for a processor.
fn waited(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    let of_threads = threads.flatten().map(|thread| {
        let statistics = fs::read_to_string(thread.path().join("schedstat"));
        let statistics = statistics.unwrap_or_default();
        let waited = statistics.split(' ').nth(1).map(str::parse);
        Duration::from_nanos(waited.and_then(Result::ok).unwrap_or(0))
    });
    of_threads.sum()
}

/// How often a server is asked whether it gets to run.
const PING: Duration = Duration::from_millis(10);

/// Asks a server for nothing, again and again, and tells when it was slow.
async fn ping(url: String, tell: impl Fn(Stamp, Stamp)) {
    let client = redis::Client::open(url).expect("the address of a server");
    loop {
        // A server that is gone is the fault's doing, and comes back.
        if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
            loop {
                let begin = Stamp::now();
                let pong: redis::RedisResult<()> =
                    redis::cmd("PING").query_async(&mut connection).await;
                let end = Stamp::now();
                if end - begin > STALL {
                    tell(begin, end);
                }
                if pong.is_err() {
                    break;
                }
                sleep(PING).await;
            }
        }
        sleep(PING).await;
    }
}
