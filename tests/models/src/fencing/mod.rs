//! Fencing tokens and exclusion over three independent nodes.
//!
//! The network loses, repeats, delays and reorders: what was sent once may
//! arrive at any node, at any time, any number of times, or never.
//! So the state has no messages in flight, only what was ever asked and ever
//! answered.
//! Clients stop anywhere, since no step is ever due.

mod answers;
mod fault;
mod model;
mod node;
mod state;

use self::model::Fencing;
pub use self::{
    answers::Answers,
    fault::Fault,
    node::{Ask, Bounds, Node, Owner, Reply},
};
use crate::search::{Found, search};

/// How many nodes there are.
pub const NODES: usize = 3;

/// One attempt of a client to acquire.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whose it is.
    pub client: u8,
    /// The client's attempt that is over when this one starts.
    pub after: Option<usize>,
    /// Whether it takes the lock over from that one (`from`), if that one got
    /// it; otherwise it is a retry.
    pub takes_over: bool,
}

impl Plan {
    /// The only attempt of a client.
    pub const fn by(client: u8) -> Self {
        Self {
            client,
            after: None,
            takes_over: false,
        }
    }

    /// The client's next attempt after this one.
    #[must_use]
    pub const fn retry(self, previous: usize) -> Self {
        Self {
            after: Some(previous),
            ..self
        }
    }

    /// An attempt that takes the lock over from this one.
    #[must_use]
    pub const fn successor(self, previous: usize) -> Self {
        Self {
            after: Some(previous),
            takes_over: true,
            ..self
        }
    }
}

/// Two clients.
pub fn two() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(1)]
}

/// Three clients.
pub fn three() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(1), Plan::by(2)]
}

/// Two clients, the first of which tries again.
pub fn with_a_retry() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(0).retry(0), Plan::by(1)]
}

/// Two clients, the first of which has the lock taken over.
pub fn with_a_successor() -> Vec<Plan> {
    vec![Plan::by(0), Plan::by(0).successor(0), Plan::by(1)]
}

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proposals {
    /// Anything first; then, once a quorum has granted, the greatest token
    /// that it answered.
    ThenRaises,
    /// Anything at any time: more than any client does.
    Anything,
}

/// When locks end that nobody gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// At any time, also while their owner believes to hold them.
    Anytime,
    /// Not before the deadline of their lease.
    AfterTheDeadline,
    /// Never, and nobody gives up: what must then come to an end does.
    Never,
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The attempts that may be made.
    attempts: Vec<Plan>,
    /// What they ask for.
    proposals: Proposals,
    /// The greatest token there is; beyond it a fence is spoilt.
    greatest: u64,
    /// The greatest proposal that a new owner is given.
    cap: u64,
    /// Fences start anywhere from zero to this.
    fences: u64,
    /// When locks end by themselves.
    expiry: Expiry,
    /// How many nodes decide.
    quorum: usize,
    /// How often a node loses its lock and its fence.
    losses: u8,
    /// What is wrong.
    fault: Option<Fault>,
}

impl Scope {
    /// Locks that end at any time, and tokens up to a greatest one.
    pub fn new(attempts: Vec<Plan>, greatest: u64) -> Self {
        Self {
            attempts,
            proposals: Proposals::ThenRaises,
            greatest,
            cap: greatest,
            fences: 0,
            expiry: Expiry::Anytime,
            quorum: NODES / 2 + 1,
            losses: 0,
            fault: None,
        }
    }

    /// Clients that may ask for anything at any time.
    #[must_use]
    pub fn asking_anything(self) -> Self {
        let proposals = Proposals::Anything;
        Self { proposals, ..self }
    }

    /// Locks that outlive the lease of their owner.
    #[must_use]
    pub fn on_time(self) -> Self {
        let expiry = Expiry::AfterTheDeadline;
        Self { expiry, ..self }
    }

    /// So many nodes decide, and nodes lose everything so often.
    #[must_use]
    pub fn losing(self, quorum: usize, losses: u8) -> Self {
        Self {
            quorum,
            losses,
            ..self
        }
    }

    /// One attempt that nothing disturbs, over fences that disagree.
    pub fn alone() -> Self {
        Self {
            cap: 2,
            fences: 3,
            expiry: Expiry::Never,
            ..Self::new(vec![Plan::by(0)], 5)
        }
    }

    /// With one rule broken.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        let quorum = match fault {
            Fault::NeedsOneNode => 1,
            _ => self.quorum,
        };
        Self {
            quorum,
            fault: Some(fault),
            ..self
        }
    }

    /// Searches it to the end, or until a promise is broken.
    pub fn search(self) -> Found {
        search(Fencing::new(self))
    }
}

/// What a resource that compares tokens relies on.
pub const RISES: &str = "an acquire gets a token beyond all that completed before it started";
/// Also among acquires at the same time.
pub const UNIQUE: &str = "no two acquires get the same token";
/// Promised while no lock ends before its lease.
pub const ORDERS: &str = "tokens order the critical sections";
/// Promised under the same condition.
pub const EXCLUDES: &str = "no two leases are held at once";
/// What no disturbance prevents.
pub const COMPLETES: &str = "an acquire that nothing disturbs completes";
/// The first attempt.
pub const ONE_DONE: &str = "an acquire completes";
/// Every attempt.
pub const ALL_DONE: &str = "every acquire completes";
