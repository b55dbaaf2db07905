//! What a piece of work costs: processor time, allocations, time on the wall.

use std::{fs, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::INSTRUMENTED_SYSTEM;

/// What the process and its servers have used so far.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    client: Duration,
    servers: Duration,
    heap: Option<Heap>,
    switches: u64,
}

/// What an allocator that counts has counted.
#[derive(Clone, Copy)]
pub(crate) struct Heap {
    pub(crate) allocations: f64,
    /// Bytes on the heap; since a reading before, those that were not there.
    pub(crate) bytes: f64,
}

/// What was used between two readings.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Processor time of this process.
    pub(crate) client: Duration,
    /// Processor time of all servers.
    pub(crate) servers: Duration,
    /// `None` where nothing counts.
    pub(crate) heap: Option<Heap>,
    /// How often a thread of this process went to sleep.
    pub(crate) switches: u64,
}

impl Reading {
    /// Reads the clocks of this process and of the servers with these ids.
    pub(crate) fn take(servers: &[u32]) -> Self {
        Self {
            client: clock(ClockId::ProcessCPUTime),
            servers: servers.iter().filter_map(|pid| running_time(*pid)).sum(),
            heap: heap(),
            switches: switches().unwrap_or_default(),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Usage {
        Usage {
            client: self.client.saturating_sub(before.client),
            servers: self.servers.saturating_sub(before.servers),
            heap: self.heap.zip(before.heap).map(|(now, before)| Heap {
                allocations: now.allocations - before.allocations,
                bytes: now.bytes - before.bytes,
            }),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// What has been counted so far; `None` in a program whose allocator does not
/// count.
fn heap() -> Option<Heap> {
    let counted = INSTRUMENTED_SYSTEM.stats();
    (counted.allocations > 0).then_some(Heap {
        allocations: counted.allocations as f64,
        bytes: counted.bytes_allocated as f64 - counted.bytes_deallocated as f64,
    })
}

/// Whether this program counts what it allocates, and times nothing.
pub(crate) fn is_counting() -> bool {
    heap().is_some()
}

/// The monotonic clock, which all processes of a machine share.
pub(crate) fn monotonic() -> Duration {
    clock(ClockId::Monotonic)
}

fn clock(id: ClockId) -> Duration {
    let now = clock_gettime(id);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(now.tv_nsec.unsigned_abs())
}

/// Voluntary context switches of all threads of this process.
fn switches() -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count.map_or(0, |count| count.trim().parse().unwrap_or_default());
    }
    Ok(sum)
}

/// How long the main thread of a process has run; a Redis server works on that
/// one.
fn running_time(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
