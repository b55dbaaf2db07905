//! What is done to servers and clients, and what may come of it.

use std::{fmt, time::Duration};

/// One row of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing is done.
    None,
    /// Servers are stopped (`SIGSTOP`): connections stay, nothing is answered.
    Hung,
    /// Connections are reset, and new ones refused; the data stays.
    Refused,
    /// Servers are killed, and started again, empty, after the longest ttl.
    Killed,
    /// Servers are killed and started again at once, empty; clients know by
    /// `restart_delay` for how long such a server must not vote.
    RestartedEmpty,
    /// The same, with a `restart_delay` of zero.
    RestartedUnguarded,
    /// Servers that write every command to disk are killed and started again.
    RestartedWithData,
    /// Requests are lost, or replies are.
    PartitionedOneWay,
    /// Requests and replies are lost.
    PartitionedTwoWay,
    /// Requests and replies arrive late.
    Slow,
    /// Connections end at the servers, and clients are not told.
    HalfOpen,
    /// Connections are reset after a few bytes of a reply.
    ResetInReply,
    /// Servers forget their scripts, again and again.
    ScriptFlush,
    /// The clocks of servers jump forwards, by more than the margin.
    ClockForward,
    /// The clocks of servers jump back.
    ClockBack,
    /// Clients are stopped for longer than some ttls, and go on.
    ClientPaused,
    /// Clients are killed, and others take their place.
    ClientKilled,
    /// Callers drop their calls at any time.
    CallerCancelled,
    /// The runtime of a manager is dropped, and another one made.
    RuntimeDropped,
}

impl Fault {
    /// All of them, as the matrix prints them.
    pub const ALL: [Self; 19] = [
        Self::None,
        Self::Hung,
        Self::Refused,
        Self::Killed,
        Self::RestartedEmpty,
        Self::RestartedWithData,
        Self::PartitionedOneWay,
        Self::PartitionedTwoWay,
        Self::Slow,
        Self::HalfOpen,
        Self::ResetInReply,
        Self::ScriptFlush,
        Self::ClockBack,
        Self::ClientPaused,
        Self::ClientKilled,
        Self::CallerCancelled,
        Self::RuntimeDropped,
        Self::RestartedUnguarded,
        Self::ClockForward,
    ];

    /// What it is called in the matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hung => "hung",
            Self::Refused => "refused",
            Self::Killed => "killed",
            Self::RestartedEmpty => "restarted empty",
            Self::RestartedUnguarded => "restarted, no delay",
            Self::RestartedWithData => "restarted with data",
            Self::PartitionedOneWay => "partitioned one way",
            Self::PartitionedTwoWay => "partitioned two ways",
            Self::Slow => "slow",
            Self::HalfOpen => "half open",
            Self::ResetInReply => "reset in a reply",
            Self::ScriptFlush => "script flush",
            Self::ClockForward => "clock forwards",
            Self::ClockBack => "clock back",
            Self::ClientPaused => "client paused",
            Self::ClientKilled => "client killed",
            Self::CallerCancelled => "caller cancelled",
            Self::RuntimeDropped => "runtime dropped",
        }
    }

    /// Whether the promises hold under it, on so many servers.
    pub fn is_promised(self, nodes: usize) -> bool {
        match self {
            // A single server has nobody that remembers for it.
            Self::RestartedEmpty => nodes >= 3,
            Self::RestartedUnguarded | Self::ClockForward => false,
            _ => true,
        }
    }

    /// On how many servers it is run.
    pub fn nodes(self) -> &'static [usize] {
        match self {
            // A single server has no `restart_delay`.
            Self::RestartedUnguarded => &[3, 5],
            _ => &[1, 3, 5],
        }
    }

    /// Whether servers are new ones afterwards, which know nothing.
    pub fn forgets(self) -> bool {
        matches!(
            self,
            Self::Killed | Self::RestartedEmpty | Self::RestartedUnguarded
        )
    }

    /// Whether servers are started again.
    pub fn restarts(self) -> bool {
        self.forgets() || self == Self::RestartedWithData
    }

    /// Whether clients are told that a restarted server may vote at once.
    pub fn has_no_delay(self) -> bool {
        matches!(self, Self::RestartedUnguarded | Self::RestartedWithData)
    }

    /// Whether it needs a library that changes a server's clock.
    pub fn needs_clock(self) -> bool {
        matches!(self, Self::ClockForward | Self::ClockBack)
    }

    /// Whether it takes servers away.
    pub fn hits_servers(self) -> bool {
        match self {
            Self::Hung
            | Self::Refused
            | Self::Killed
            | Self::RestartedEmpty
            | Self::RestartedUnguarded
            | Self::RestartedWithData
            | Self::PartitionedOneWay
            | Self::PartitionedTwoWay
            | Self::Slow
            | Self::HalfOpen
            | Self::ResetInReply => true,
            Self::None
            | Self::ScriptFlush
            | Self::ClockForward
            | Self::ClockBack
            | Self::ClientPaused
            | Self::ClientKilled
            | Self::CallerCancelled
            | Self::RuntimeDropped => false,
        }
    }

    /// Whether calls must have failed while it met a majority for so long as a
    /// window lasts.
    pub fn must_be_felt(self) -> bool {
        matches!(
            self,
            Self::Hung
                | Self::Refused
                | Self::Killed
                | Self::PartitionedOneWay
                | Self::PartitionedTwoWay
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The bounds that calls are held to.
///
/// What lockguard documents, and time for a machine that does other things.
pub mod bounds {
    use super::Duration;

    /// For the machine: a thread or a process that is ready to run waits.
    pub const SLACK: Duration = Duration::from_millis(500);

    /// How long split votes are settled, beyond the wait.
    const SETTLE: Duration = Duration::from_secs(1);

    /// The longest that one node is waited for.
    const NODE: Duration = Duration::from_secs(1);

    /// How long a lease of this ttl may be trusted, from before it was asked
    /// for: the margin is 1 % of the ttl and 2 ms.
    pub fn lifetime(ttl: Duration) -> Duration {
        ttl.saturating_sub(ttl / 100 + Duration::from_millis(2))
    }

    /// What an acquire may take: its wait, the time in which split votes are
    /// settled, and an attempt that begins at the end of that, which half of
    /// the ttl limits.
    pub fn acquire(ttl: Duration, wait: Duration) -> Duration {
        wait + SETTLE + ttl / 2 + SLACK
    }

    /// What a release or an extend may take: a node's budget.
    pub fn answer() -> Duration {
        NODE + SLACK
    }

    /// How long after a fault the servers may still count as gone: a second to
    /// find out that they do not answer, and at most another one until the
    /// next attempt to connect.
    pub const RECOVERY: Duration = Duration::from_millis(2500);

    /// For how long a server that has restarted gives no vote to a fenced
    /// acquire, beyond the longest ttl.
    pub const FENCED_RESTART: Duration = Duration::from_secs(20);

    /// What a client may gain in memory.
    pub const MEMORY: u64 = 32 << 20;
}
