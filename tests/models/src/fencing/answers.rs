//! What an attempt has been answered, and what follows from it.

use super::NODES;

/// Every token that each node has ever answered to one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answers([Tokens; NODES]);

impl Answers {
    /// Notes what a node has answered.
    pub fn insert(&mut self, node: usize, token: u64) {
        self.0[node].insert(token);
    }

    /// Whether a quorum has answered this token: the acquire completes.
    pub fn agree_on(self, token: u64, quorum: usize) -> bool {
        let agreed = self.0.iter().filter(|tokens| tokens.contains(token));
        agreed.count() >= quorum
    }

    /// Whether this is the greatest of some quorum's answers: the others may
    /// be asked to raise theirs to it.
    pub fn reach(self, token: u64, quorum: usize) -> bool {
        let tokens = self.0.iter();
        let answered = tokens.filter(|tokens| tokens.reach_down_to(token));
        let is_stored = self.0.iter().any(|tokens| tokens.contains(token));
        is_stored && answered.count() >= quorum
    }

    pub(super) fn of(self, node: usize) -> Tokens {
        self.0[node]
    }

    pub(super) fn in_order(self, order: [usize; NODES]) -> Self {
        Self(order.map(|node| self.0[node]))
    }
}

/// A set of small tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tokens(u16);

impl Tokens {
    pub(super) fn of(range: impl Iterator<Item = u64>) -> Self {
        Self(range.fold(0, |bits, token| bits | 1 << token))
    }

    pub(super) fn insert(&mut self, token: u64) {
        self.0 |= 1 << token;
    }

    fn contains(self, token: u64) -> bool {
        self.0 & (1 << token) != 0
    }

    /// Whether one of them is at most this.
    fn reach_down_to(self, token: u64) -> bool {
        self.0 & ((2 << token) - 1) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u64> {
        (0..16).filter(move |token| self.contains(*token))
    }
}
