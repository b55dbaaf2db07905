//! A waiter's place in the line of a key.

use std::{
    cmp::Ordering,
    fmt,
    sync::{
        Arc,
        atomic::{self, AtomicBool},
    },
    time::Duration,
};

use crate::{clock::wall_clock, random, token::OwnerToken};

/// Orders the waiters of a key, alike on every server: by the wall clock when
/// the waiter first tried, then by 64 random bits.
///
/// A waiter keeps its ticket over all its attempts; clones are one ticket.
/// A clock that is wrong moves a waiter forward or back in line, and harms
/// nothing else.
#[derive(Clone)]
pub struct Ticket(Arc<Shared>);

struct Shared {
    stamp: u64,
    number: u64,
    is_over: AtomicBool,
}

/// Above this a server's sorted set loses digits.
const LATEST: u64 = (1 << 53) - 1;

impl Ticket {
    /// Draws a ticket for a waiter that tries for the first time now.
    pub fn draw() -> Self {
        Self::new(wall_clock())
    }

    pub(crate) fn new(stamp: u64) -> Self {
        Self(Arc::new(Shared {
            stamp: stamp.min(LATEST),
            number: random::number(),
            is_over: AtomicBool::new(false),
        }))
    }

    /// The wall clock in µs since 1970 when the waiter first tried; below 2⁵³.
    pub fn stamp(&self) -> u64 {
        self.0.stamp
    }

    /// Orders tickets with the same stamp.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Says that the waiter has the key or has given up: a server that enters
    /// the ticket nevertheless, since it was asked before, is told to take it
    /// out again.
    pub fn close(&self) {
        self.0.is_over.store(true, atomic::Ordering::Release);
    }

    /// Whether the waiter waits no longer.
    pub fn is_closed(&self) -> bool {
        self.0.is_over.load(atomic::Ordering::Acquire)
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ticket {}

impl PartialOrd for Ticket {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ticket {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.stamp, self.0.number).cmp(&(other.0.stamp, other.0.number))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}, {:016x})", self.0.stamp, self.0.number)
    }
}

/// Who waits in the line of a key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Waiter {
    /// Its place in line.
    pub ticket: Ticket,
    /// The owner token of its next attempt, for which a key that is given back
    /// is reserved, or to which it is granted.
    ///
    /// New, and never the token of an attempt that has been made: else the
    /// give-back of that attempt would undo a reservation that it crosses.
    pub next: OwnerToken,
    /// The ttl that it asks for: for so long a key is granted, and at most so
    /// long reserved.
    pub ttl: Duration,
    /// Whether a key that is given back soon after the question may be granted
    /// to `next` at once, which [`Backend::passed`](super::Backend::passed)
    /// tells; else it is always asked for again, as one of several keys and one
    /// with a fencing token are.
    pub takes_grants: bool,
}

impl Waiter {
    /// A waiter that stands in line, or did, and takes no grants.
    pub fn new(ticket: Ticket, next: OwnerToken, ttl: Duration) -> Self {
        Self {
            ticket,
            next,
            ttl,
            takes_grants: false,
        }
    }

    /// The same, taking grants.
    #[must_use]
    pub fn taking_grants(mut self) -> Self {
        self.takes_grants = true;
        self
    }
}

/// What a waiter in line is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pass {
    /// The key has been reserved for its next attempt, or may have been.
    Reserved,
    /// Its next token holds the key, as if the question had been answered so.
    Granted,
}

/// What becomes of a waiter's ticket when something is given back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Standing {
    /// It is taken out of the line: the waiter gives up.
    Leaves(Ticket),
    /// It stays in line: what an attempt took is given back, and the waiter
    /// goes on.
    Stays(Waiter),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_ticket_is_the_lower() {
        let (early, late) = (Ticket::new(1), Ticket::new(2));
        assert!(early < late);
    }

    #[test]
    fn tickets_of_one_moment_are_ordered_by_their_numbers() {
        let (a, b) = (Ticket::new(1), Ticket::new(1));
        assert_ne!(a, b);
        assert_eq!(a < b, a.number() < b.number());
    }

    #[test]
    fn a_clock_beyond_what_a_server_counts_exactly_is_cut() {
        assert_eq!(Ticket::new(u64::MAX).stamp(), LATEST);
    }
}
