//! What backends are asked.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    backend::{Backend, Standing, Ticket, Waiter},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    token::OwnerToken,
    validity::LONGEST_NODE_BUDGET,
};

/// When a request is asked, for a backend that asks inside the method, and need not
/// look at the clock; others may do so later.
pub(crate) fn asked(backend: &dyn Backend, now: Instant) -> Option<Instant> {
    let is_asked_now = backend.is_immediate() || backend.keeps_time();
    is_asked_now.then_some(now)
}

/// Asks for a key, or for several at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcquireRequest {
    /// The keys to take: all or none.
    pub keys: LockKeys,
    /// The owner token to store under each, new for this attempt.
    pub token: OwnerToken,
    /// How long the keys are kept unless they are extended.
    pub ttl: Duration,
    /// Asks for a fencing token, if it is there.
    pub fence: Option<FenceRequest>,
    /// Whether a refusal need not say who holds the key: the caller asks again,
    /// and then wants to know.
    pub is_curt: bool,
    /// Who waits in the key's line, if it is refused.
    pub waiter: Option<Waiter>,
    /// The owner token of ours in whose place the new one is put.
    pub replaces: Option<OwnerToken>,
    /// See [`asked`].
    pub(crate) asked: Option<Instant>,
}

impl AcquireRequest {
    /// Asks for one key or several on behalf of `token`, for `ttl`.
    pub fn new(keys: impl Into<LockKeys>, token: OwnerToken, ttl: Duration) -> Self {
        Self {
            keys: keys.into(),
            token,
            ttl,
            fence: None,
            is_curt: false,
            waiter: None,
            replaces: None,
            asked: None,
        }
    }

    /// Puts the token in the place of this one, which is dead from then on; for
    /// one key, and refused where neither of them holds it.
    ///
    /// A fenced request takes a key that nobody holds as well: its fencing token
    /// rises all the same.
    #[must_use]
    pub fn replacing(mut self, token: OwnerToken) -> Self {
        self.replaces = Some(token);
        self
    }

    /// The same, where a refusal need not say who holds the key.
    #[must_use]
    pub fn curt(mut self) -> Self {
        self.is_curt = true;
        self
    }

    /// The same for a waiter, who is entered into the key's line if it is
    /// refused; of several keys, into that of the one that is held.
    #[must_use]
    pub fn waiting(mut self, waiter: Waiter) -> Self {
        self.waiter = Some(waiter);
        self
    }

    /// The same, with a fencing token.
    ///
    /// `proposal` is the token to reach, and `keep` how long the keys' fences
    /// are remembered from now.
    #[must_use]
    pub fn fenced(mut self, proposal: FencingToken, keep: Duration) -> Self {
        self.fence = Some(FenceRequest {
            proposal,
            keep,
            is_raise: false,
        });
        self
    }

    /// The same fenced request once more, to raise what was granted to this
    /// token; nobody waits for that.
    #[must_use]
    pub fn raised(mut self, to: FencingToken) -> Self {
        self.waiter = None;
        self.asked = None;
        if let Some(fence) = &mut self.fence {
            fence.proposal = to;
            fence.is_raise = true;
        }
        self
    }
}

/// Asks for a fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FenceRequest {
    /// The token to reach, so that all servers answer alike.
    pub proposal: FencingToken,
    /// How long the keys' fences are remembered from now.
    pub keep: Duration,
    /// Whether the same server has been asked for the same owner token before,
    /// and has granted.
    pub is_raise: bool,
}

/// Asks for a longer lease.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExtendRequest {
    /// The key that is held.
    pub key: LockKey,
    /// The owner token that holds it.
    pub token: OwnerToken,
    /// How long the key is kept from now on.
    pub ttl: Duration,
    /// Who holds the key from now on, in place of `token`.
    pub successor: Option<OwnerToken>,
    /// Whether it undoes a change of owners: like a release, it is to reach a store
    /// that does not answer now.
    pub is_hand_back: bool,
}

impl ExtendRequest {
    /// Asks to keep `key`, held by `token`, for `ttl` from now.
    pub fn new(key: LockKey, token: OwnerToken, ttl: Duration) -> Self {
        Self {
            key,
            token,
            ttl,
            successor: None,
            is_hand_back: false,
        }
    }

    /// The same, and hands the key to another owner token, in one step.
    #[must_use]
    pub fn to(mut self, successor: OwnerToken) -> Self {
        self.successor = Some(successor);
        self
    }

    /// The same, and hands the key back to the owner token that a request
    /// [to](Self::to) this one may have taken it from.
    #[must_use]
    pub fn back_to(self, former: OwnerToken) -> Self {
        let mut request = self.to(former);
        request.is_hand_back = true;
        request
    }
}

/// Gives a key back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The key that is held.
    pub key: LockKey,
    /// The owner token that holds it.
    pub token: OwnerToken,
    /// How long its caller waits for the reply; the release itself goes on.
    pub budget: Duration,
    /// What is kept of its ttl, from now on; `None`: the key is free at once.
    pub keep: Option<Duration>,
    /// Whose ticket leaves the key's line, or stays, if somebody waited.
    pub standing: Option<Standing>,
    /// Whether the key goes to whoever asks first, and not to the first in its
    /// line.
    pub is_open: bool,
    /// See [`asked`].
    pub(crate) asked: Option<Instant>,
}

impl ReleaseRequest {
    /// Gives back `key`, held by `token`; its caller waits for 1 s.
    pub fn new(key: LockKey, token: OwnerToken) -> Self {
        Self {
            key,
            token,
            budget: LONGEST_NODE_BUDGET,
            keep: None,
            standing: None,
            is_open: false,
            asked: None,
        }
    }

    /// Waits no longer than this for the reply, and 1 s at most.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = budget.min(LONGEST_NODE_BUDGET);
        self
    }

    /// Takes this ticket out of the key's line as well.
    #[must_use]
    pub fn leaving(mut self, ticket: Ticket) -> Self {
        self.standing = Some(Standing::Leaves(ticket));
        self
    }

    /// Leaves the waiter in the key's line, with its next token; the key goes
    /// to a lower ticket, or to nobody.
    #[must_use]
    pub fn staying(mut self, waiter: Waiter) -> Self {
        self.standing = Some(Standing::Stays(waiter));
        self
    }

    /// Leaves the key to whoever asks, unless a rest of it is kept: the first in
    /// its line is told to ask a moment later.
    #[must_use]
    pub fn opening(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Leaves the key taken for `rest` from now, and not longer than it would
    /// have been; a rest of zero frees it at once.
    #[must_use]
    pub fn keeping(mut self, rest: Duration) -> Self {
        self.keep = (!rest.is_zero()).then_some(rest);
        self
    }
}
