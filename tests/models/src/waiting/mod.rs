//! Waiting for a lock that is passed on: tickets, passes and claims.
//!
//! Each client wants the lock once, holds it, and gives it back.
//! Requests to a node stay in their order; passes overtake everything.
//! A reservation and a dead client's lock end, and timers fire, only when
//! nothing else can happen: such states are the ones that need a timer.

mod fault;
mod fifo;
mod model;
mod node;
mod state;

pub use self::fault::Fault;
use self::{model::Waiting, state::State};
use crate::graph::{Graph, Kind, explore, find};

/// The most clients.
const CLIENTS: usize = 3;

/// When a node's answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// At once: fewer states.
    AtOnce,
    /// At any time.
    AtAnyTime,
}

/// What a pass says, and what comes of one that is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// The attempt that the lock is reserved for. Who no longer waits gives the
    /// pass on.
    GivenOn,
    /// The attempt. Whoever has the lock leaves the lines of the other nodes,
    /// and minds no pass.
    Left,
    /// The ticket, and every pass begins a round or is remembered; else as
    /// [`Left`](Self::Left).
    ForTickets,
    /// The attempt, which has the lock, if it is heard in time; else as
    /// [`Left`](Self::Left). Of one node alone.
    Grants,
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Scope {
    nodes: usize,
    clients: usize,
    replies: Replies,
    passes: Passes,
    do_newcomers_barge: bool,
    do_passes_overtake: bool,
    faults: Budget,
    fault: Option<Fault>,
}

/// How often what goes wrong does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// Passes that nobody hears.
    pub lost_passes: u8,
    /// Clients that die.
    pub crashes: u8,
    /// Clients that wait no longer.
    pub give_ups: u8,
    /// Reservations that end before the claim arrives.
    pub slow_claims: u8,
    /// Nodes that lose their line.
    pub lost_lines: u8,
}

impl Budget {
    const NOTHING: Self = Self {
        lost_passes: 0,
        crashes: 0,
        give_ups: 0,
        slow_claims: 0,
        lost_lines: 0,
    };

    /// One pass is lost.
    pub const LOST_PASS: Self = Self {
        lost_passes: 1,
        ..Self::NOTHING
    };

    /// One client dies.
    pub const CRASH: Self = Self {
        crashes: 1,
        ..Self::NOTHING
    };

    /// One client gives up.
    pub const GIVE_UP: Self = Self {
        give_ups: 1,
        ..Self::NOTHING
    };

    /// One claim is slow.
    pub const SLOW_CLAIM: Self = Self {
        slow_claims: 1,
        ..Self::NOTHING
    };

    /// One node loses its line.
    pub const LOST_LINE: Self = Self {
        lost_lines: 1,
        ..Self::NOTHING
    };
}

impl Scope {
    /// Nothing goes wrong.
    pub fn new(nodes: usize, clients: usize) -> Self {
        Self {
            nodes,
            clients,
            replies: Replies::AtOnce,
            passes: Passes::GivenOn,
            do_newcomers_barge: false,
            do_passes_overtake: false,
            faults: Budget::default(),
            fault: None,
        }
    }

    /// Answers that arrive at any time.
    #[must_use]
    pub fn with_late_replies(self) -> Self {
        let replies = Replies::AtAnyTime;
        Self { replies, ..self }
    }

    /// Passes that name a ticket and no attempt.
    #[must_use]
    pub fn with_passes_for_tickets(self) -> Self {
        let passes = Passes::ForTickets;
        Self { passes, ..self }
    }

    /// Rounds that may be left once a pass for the next attempt is there, and
    /// lines that are left at a grant: the product's way.
    #[must_use]
    pub fn as_built(self) -> Self {
        Self {
            passes: Passes::Left,
            do_newcomers_barge: true,
            do_passes_overtake: true,
            ..self
        }
    }

    /// As built, on one node, where passes are grants.
    #[must_use]
    pub fn with_grants(self) -> Self {
        Self {
            nodes: 1,
            passes: Passes::Grants,
            ..self.as_built()
        }
    }

    /// First attempts that take a free lock whoever is in line.
    #[must_use]
    pub fn with_newcomers_that_barge(self) -> Self {
        Self {
            do_newcomers_barge: true,
            ..self
        }
    }

    /// So much goes wrong.
    #[must_use]
    pub fn under(self, faults: Budget) -> Self {
        Self { faults, ..self }
    }

    /// One rule is broken.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        let fault = Some(fault);
        Self { fault, ..self }
    }

    /// Visits every state.
    pub fn explore(self) -> Graph {
        explore(&Waiting { scope: self }, &KINDS)
    }

    /// A shortest way to a state of this kind, if there is one.
    pub fn find(self, kind: &str) -> Option<Vec<String>> {
        let (_, is_one) = KINDS.iter().find(|(name, _)| *name == kind)?;
        find(&Waiting { scope: self }, is_one)
    }
}

/// Two clients hold the lock.
pub const TWO_HOLD: &str = "two hold the lock";
/// Somebody waits, and nothing but a timer helps.
pub const NEEDS_A_TIMER: &str = "somebody waits, and only a timer helps";
/// A lock that nobody will give back.
pub const LEFT_OVER: &str = "a lock is left to run out";
/// Everybody held the lock, or left.
pub const ALL_SERVED: &str = "everybody is served";

const KINDS: [Kind<Waiting, State>; 4] = [
    (TWO_HOLD, |_, state| state.holders() > 1),
    (NEEDS_A_TIMER, |_, state| {
        state.is_quiet() && state.is_awaited()
    }),
    (LEFT_OVER, |_, state| state.is_quiet() && state.is_locked()),
    (ALL_SERVED, |_, state| state.is_over()),
];
