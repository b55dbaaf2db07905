//! What a piece of work costs: processor time, allocations, time on the wall.

use std::{alloc::System, fs, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What the process and its servers have used so far.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    client: Duration,
    servers: Duration,
    allocations: usize,
    bytes: isize,
    switches: u64,
}

/// What was used between two readings.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Processor time of this process.
    pub(crate) client: Duration,
    /// Processor time of all servers.
    pub(crate) servers: Duration,
    pub(crate) allocations: usize,
    /// Bytes on the heap that were not there before.
    pub(crate) bytes: isize,
    /// How often a thread of this process went to sleep.
    pub(crate) switches: u64,
}

impl Reading {
    /// Reads the clocks of this process and of the servers with these ids.
    pub(crate) fn take(servers: &[u32]) -> Self {
        let heap = ALLOCATOR.stats();
        let bytes = heap.bytes_allocated.wrapping_sub(heap.bytes_deallocated);
        Self {
            client: clock(ClockId::ProcessCPUTime),
            servers: servers.iter().filter_map(|pid| running_time(*pid)).sum(),
            allocations: heap.allocations,
            bytes: bytes.cast_signed(),
            switches: switches().unwrap_or_default(),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Usage {
        Usage {
            client: self.client.saturating_sub(before.client),
            servers: self.servers.saturating_sub(before.servers),
            allocations: self.allocations.wrapping_sub(before.allocations),
            bytes: self.bytes.wrapping_sub(before.bytes),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
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
