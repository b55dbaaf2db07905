//! What is known of a cell when it is over.

use std::time::Duration;

use super::{clock::Stamp, fault::Fault, journal::Record};

/// All that is known of a cell.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What was done.
    pub fault: Fault,
    /// On how many servers.
    pub nodes: usize,
    /// The longest ttl of the clients' locks.
    pub longest_ttl: Duration,
    /// When it was done.
    pub windows: Vec<Window>,
    /// What the clients wrote.
    pub records: Vec<Record>,
    /// When processes did not get to run, but for the fault.
    pub standstills: Vec<Standstill>,
    /// By how much servers' clocks were set back.
    pub set_back: Duration,
    /// Keys that were on a server when their owners had been gone for a ttl.
    pub keys_left: Vec<String>,
    /// Servers with other connections than one of each client.
    pub connections: Vec<String>,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub begin: Stamp,
    /// Its end.
    pub end: Stamp,
}

impl Span {
    pub(super) fn length(self) -> Duration {
        self.end - self.begin
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.begin <= other.end && other.begin <= self.end
    }
}

/// A process did not get to run, although it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standstill {
    /// Which client; `None`: a server, or the proxies.
    pub client: Option<u16>,
    /// When that was.
    pub span: Span,
    /// How much of that time its threads have lost, added up.
    pub lost: Duration,
}

/// When the fault was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From its beginning to the end of what undid it.
    pub span: Span,
    /// Which servers it took away.
    pub victims: Vec<usize>,
}
