//! What a process uses, and when it stood still.

use std::{fs, time::Duration};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{clock::Stamp, journal::Usage};

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
