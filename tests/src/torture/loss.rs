//! From the loss of a lease to the end of its body.

use std::{
    path::Path,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use lockguard::{Lease, LockManager};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

use super::clock::Stamp;
use crate::{Server, Servers, Worker};

/// The ttl of the leases that are lost.
const TTL: Duration = Duration::from_millis(500);

/// How often each loss is measured.
const ROUNDS: usize = 20;

/// How long after its deadline a body may end: a timer's tick, and time for the
/// machine to get to it.
const TOLERANCE: Duration = Duration::from_millis(100);

/// What is locked.
const KEY: &str = "torture:loss";

/// How a lease is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    DeletedWhileRenewed,
    Deleted,
    ServersStopped,
    ProcessPaused,
}

impl Cause {
    const ALL: [Self; 4] = [
        Self::DeletedWhileRenewed,
        Self::Deleted,
        Self::ServersStopped,
        Self::ProcessPaused,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::DeletedWhileRenewed => "key deleted, lease renewed",
            Self::Deleted => "key deleted, no renewal",
            Self::ServersStopped => "servers stopped, lease renewed",
            Self::ProcessPaused => "process paused past the deadline",
        }
    }

    fn is_renewed(self) -> bool {
        matches!(self, Self::DeletedWhileRenewed | Self::ServersStopped)
    }
}

/// One loss.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// From the loss; of a process that is paused, from when it goes on.
    to_end: Duration,
    /// From the deadline, or from when the process went on.
    late: Duration,
    /// Polls of the body that began after the deadline.
    late_polls: u64,
}

/// Measures each loss on one and on three servers, and prints a table.
///
/// # Errors
///
/// Names the bodies that went on after their deadlines.
///
/// # Panics
///
/// When servers or the client cannot be started.
pub async fn run(program: &Path, seed: u64) -> Result<(), String> {
    println!("seed {seed}; ttl {TTL:?}, {ROUNDS} rounds each; the client's body polls every 1 ms");
    println!(
        "{:<34}{:>5} |{:>9}{:>9} |{:>9}{:>9}{:>11}",
        "loss", "nodes", "median", "longest", "median", "longest", "late polls"
    );
    println!(
        "{:<34}{:>5} |{:>18} |{:>18}",
        "", "", "loss to end", "beyond deadline"
    );
    let mut late = Vec::new();
    for cause in Cause::ALL {
        for nodes in [1, 3] {
            let servers = block_in_place(|| Servers::start(nodes));
            let rounds = measure(cause, &servers, program, seed).await;
            if !print(cause, nodes, &rounds) {
                late.push(format!("{}, {nodes} nodes", cause.name()));
            }
        }
    }
    println!(
        "beyond deadline: at most {TOLERANCE:?}, and one poll that had begun; \
         of a paused process, from when it goes on"
    );
    if late.is_empty() {
        Ok(())
    } else {
        Err(format!("bodies went on after: {}", late.join("; ")))
    }
}

/// Prints a line; whether no body went on.
fn print(cause: Cause, nodes: usize, rounds: &[Round]) -> bool {
    let ends = spread(rounds.iter().map(|round| round.to_end));
    let late = spread(rounds.iter().map(|round| round.late));
    let polls = rounds.iter().map(|round| round.late_polls).max();
    let polls = polls.unwrap_or_default();
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    println!(
        "{:<34}{nodes:>5} |{:>9}{:>9} |{:>9}{:>9}{polls:>11}",
        cause.name(),
        millis(ends.0),
        millis(ends.1),
        millis(late.0),
        millis(late.1),
    );
    late.1 <= TOLERANCE && polls <= 1
}

/// Median and maximum.
fn spread(times: impl Iterator<Item = Duration>) -> (Duration, Duration) {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

async fn measure(cause: Cause, servers: &Servers, program: &Path, seed: u64) -> Vec<Round> {
    let mut random = StdRng::seed_from_u64(seed);
    let renewed = cause.is_renewed().to_string();
    let holder = Worker::start(program, &["hold", &servers.urls(), &renewed]);
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS {
        let held = numbers(&block_in_place(|| holder.line_with("held")));
        // Some renewals go well, where there are any.
        let most = if cause.is_renewed() { TTL } else { TTL / 2 };
        sleep(most.mul_f64(random.random_range(0.1..1.0))).await;
        let mut lost = Stamp::now();
        match cause {
            Cause::DeletedWhileRenewed | Cause::Deleted => block_in_place(|| {
                for server in servers {
                    server.del(KEY);
                }
            }),
            Cause::ServersStopped => block_in_place(|| servers.iter().for_each(Server::stop)),
            Cause::ProcessPaused => {
                block_in_place(|| holder.stop());
                sleep(Stamp::from_nanos(held[0]) - Stamp::now() + TTL / 10).await;
                lost = Stamp::now();
                holder.cont();
            }
        }
        let ended = numbers(&block_in_place(|| holder.line_with("ended")));
        servers.iter().for_each(Server::cont);
        let (end, deadline) = (Stamp::from_nanos(ended[0]), Stamp::from_nanos(ended[1]));
        let due = match cause {
            Cause::ProcessPaused => deadline.max(lost),
            _ => deadline,
        };
        rounds.push(Round {
            to_end: end - lost,
            late: end - due,
            late_polls: ended[2],
        });
    }
    rounds
}

/// The numbers after the first word of a line.
fn numbers(line: &str) -> Vec<u64> {
    let words = line.split(' ').skip(1);
    words.map(|word| word.parse().expect("a number")).collect()
}

/// The client: holds the key until it is lost, and tells of it, again and
/// again.
///
/// # Errors
///
/// When these are not its arguments.
pub fn hold(args: &[&str]) -> Result<(), String> {
    let [urls, renewed] = args else {
        return Err("hold takes addresses, and whether the lease is renewed".to_owned());
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let manager = LockManager::connect(urls).await;
        let manager = manager.map_err(|error| format!("{error}"))?;
        loop {
            let mut request = manager.lock(KEY, TTL);
            if *renewed == "true" {
                request = request.max_hold(100 * TTL);
            }
            // Whatever it is, it has been told of by the body, or it passes.
            let _ = request
                .run(async |lease| Held::new(lease).tick().await)
                .await;
            sleep(Duration::from_millis(10)).await;
        }
    })
}

/// A body that tells when it is dropped.
struct Held {
    lease: Lease,
    late_polls: AtomicU64,
}

impl Held {
    fn new(lease: Lease) -> Self {
        println!("held {}", Stamp::of(lease.deadline()).nanos());
        Self {
            lease,
            late_polls: AtomicU64::new(0),
        }
    }

    /// Goes on for ever, and counts the polls that it should not have had.
    async fn tick(&self) {
        loop {
            let mut pause = pin!(sleep(Duration::from_millis(1)));
            std::future::poll_fn(|cx| {
                if Instant::now() > self.lease.deadline() {
                    self.late_polls.fetch_add(1, Ordering::Relaxed);
                }
                pause.as_mut().poll(cx)
            })
            .await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        println!(
            "ended {} {} {}",
            Stamp::now().nanos(),
            Stamp::of(self.lease.deadline()).nanos(),
            self.late_polls.load(Ordering::Relaxed),
        );
    }
}
