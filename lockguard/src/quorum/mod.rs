//! What a set of votes comes to: votes in, a decision out.
//!
//! Each function decides as soon as the missing votes cannot change the
//! outcome, so that nobody waits for a node whose vote is not needed.
//! A vote that was not obtained never counts as a refusal.

use std::time::Duration;

use crate::{
    backend::{AcquireReply, ExtendReply, Holder, ReleaseReply},
    fencing_token::FencingToken,
};

/// More than half of the nodes (Redlock: N/2 + 1).
pub(crate) fn quorum(nodes: usize) -> usize {
    nodes / 2 + 1
}

/// Where one node stands; `R` is what it replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vote<R> {
    /// Asked, and not heard of yet.
    Pending,
    /// Will not answer: an error, or its budget has passed.
    Silent,
    /// Answered.
    Reply(R),
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision<R> {
    /// The missing votes matter.
    Open,
    /// Decided.
    Reply(R),
    /// Too few nodes answered for any decision.
    Unavailable,
}

/// Decides an acquire.
///
/// - granted by a quorum: granted;
/// - one other owner on a quorum: busy;
/// - a quorum answered, and neither of the two can happen any more: split;
/// - a quorum cannot answer any more: unavailable.
pub(crate) fn decide_acquire(votes: &[Vote<AcquireReply>]) -> Decision<AcquireReply> {
    let tally = Tally::of(votes);
    let granted = tally.replies(|reply| *reply == AcquireReply::Granted);
    if granted >= tally.quorum {
        return Decision::Reply(AcquireReply::Granted);
    }
    let (held, owner) = other_owner(votes, tally.quorum, granted);
    if let Some(owner) = owner {
        return Decision::Reply(AcquireReply::Busy(owner));
    }
    let most = granted.max(held).saturating_add(tally.pending);
    tally.settle(most >= tally.quorum, || AcquireReply::Split)
}

/// What a round of a fenced acquire came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fenced {
    /// A quorum stores exactly this token for this attempt.
    Agreed(FencingToken),
    /// A quorum has granted, and too few store one token: those below this one
    /// must be asked to raise theirs.
    Raise(FencingToken),
    /// Busy or split.
    Refused(AcquireReply),
}

/// Decides a fenced acquire.
///
/// - one token on a quorum: agreed;
/// - granted by a quorum without one: raise, to the greatest of theirs;
/// - otherwise as [`decide_acquire`].
///
/// That a raise is due is said as soon as a quorum has granted: a vote that is
/// missing might bring agreement, and might never come.
/// A grant without a token is no vote: its node does not know of fencing.
pub(crate) fn decide_fenced(votes: &[Vote<AcquireReply>]) -> Decision<Fenced> {
    let tally = Tally::of(votes);
    let (granted, agreed) = leading_token(votes);
    if let Some((token, votes)) = agreed
        && votes >= tally.quorum
    {
        return Decision::Reply(Fenced::Agreed(token));
    }
    if granted >= tally.quorum
        && let Some(greatest) = tokens(votes).max()
    {
        return Decision::Reply(Fenced::Raise(greatest));
    }
    let without = tally.replies(|reply| *reply == AcquireReply::Granted);
    let answered = tally.answered.saturating_sub(without);
    let (held, owner) = other_owner(votes, tally.quorum, granted);
    if let Some(owner) = owner {
        let fences = holders(votes).filter_map(Holder::fence);
        let owner = owner.with_fence(fences.chain(tokens(votes)).max());
        return Decision::Reply(Fenced::Refused(AcquireReply::Busy(owner)));
    }
    let most = granted.max(held).saturating_add(tally.pending);
    let tally = Tally { answered, ..tally };
    match tally.settle(most >= tally.quorum, || AcquireReply::Split) {
        Decision::Open => Decision::Open,
        Decision::Unavailable => Decision::Unavailable,
        Decision::Reply(split) => Decision::Reply(Fenced::Refused(split)),
    }
}

/// Decides one extend of a batch.
///
/// Extended by a quorum: extended.
/// Denied by so many that a quorum cannot hold it any more: not ours.
pub(crate) fn decide_extend(votes: &[Vote<ExtendReply>]) -> Decision<ExtendReply> {
    let tally = Tally::of(votes);
    let extended = tally.replies(|reply| *reply == ExtendReply::Extended);
    if extended >= tally.quorum {
        return Decision::Reply(ExtendReply::Extended);
    }
    let denied = tally.answered.saturating_sub(extended);
    if tally.nodes.saturating_sub(denied) < tally.quorum {
        let taken = tally.replies(|reply| *reply == ExtendReply::NotOwner) > 0;
        return Decision::Reply(if taken {
            ExtendReply::NotOwner
        } else {
            ExtendReply::NotHeld
        });
    }
    let most_denied = denied.saturating_add(tally.pending);
    let may_be_extended = extended.saturating_add(tally.pending) >= tally.quorum;
    let may_be_lost = tally.nodes.saturating_sub(most_denied) < tally.quorum;
    if tally.pending > 0 && (may_be_extended || may_be_lost) {
        Decision::Open
    } else {
        Decision::Unavailable
    }
}

/// Decides a release.
///
/// Freed by a quorum: freed, and likewise where the nodes that did not answer
/// may have made up the quorum.
/// Held by somebody else on a quorum: not the owner.
/// Otherwise the token held nothing worth the name of a lock.
pub(crate) fn decide_release(votes: &[Vote<ReleaseReply>]) -> Decision<ReleaseReply> {
    let tally = Tally::of(votes);
    let freed = tally.replies(|reply| *reply == ReleaseReply::Freed);
    let others = tally.replies(|reply| *reply == ReleaseReply::NotOwner);
    if freed >= tally.quorum {
        return Decision::Reply(ReleaseReply::Freed);
    }
    if others >= tally.quorum {
        return Decision::Reply(ReleaseReply::NotOwner);
    }
    let maybe_freed = freed.saturating_add(tally.silent);
    if maybe_freed >= tally.quorum && tally.answered >= tally.quorum {
        return Decision::Reply(ReleaseReply::Freed);
    }
    let most = maybe_freed.max(others).saturating_add(tally.pending);
    let is_open = tally.pending > 0 && most >= tally.quorum;
    tally.settle(is_open, || ReleaseReply::NotHeld)
}

struct Tally<'a, R> {
    votes: &'a [Vote<R>],
    nodes: usize,
    quorum: usize,
    pending: usize,
    silent: usize,
    answered: usize,
}

impl<'a, R> Tally<'a, R> {
    fn of(votes: &'a [Vote<R>]) -> Self {
        let nodes = votes.len();
        let pending = count(votes, |vote| matches!(vote, Vote::Pending));
        let silent = count(votes, |vote| matches!(vote, Vote::Silent));
        Self {
            votes,
            nodes,
            quorum: quorum(nodes),
            pending,
            silent,
            answered: nodes.saturating_sub(pending).saturating_sub(silent),
        }
    }

    fn replies(&self, is: impl Fn(&R) -> bool) -> usize {
        count(
            self.votes,
            |vote| matches!(vote, Vote::Reply(reply) if is(reply)),
        )
    }

    /// The end of every decision that no majority of equal replies has made.
    fn settle(&self, may_still_win: bool, otherwise: impl FnOnce() -> R) -> Decision<R> {
        if self.answered.saturating_add(self.pending) < self.quorum {
            Decision::Unavailable
        } else if may_still_win || self.answered < self.quorum {
            Decision::Open
        } else {
            Decision::Reply(otherwise())
        }
    }
}

/// Whether as many have answered as a quorum takes, whatever they said.
pub(crate) fn has_quorum<R>(votes: &[Vote<R>]) -> bool {
    let tally = Tally::of(votes);
    tally.answered >= tally.quorum
}

fn count<T>(items: &[T], is: impl Fn(&T) -> bool) -> usize {
    items.iter().filter(|item| is(item)).count()
}

fn holders(votes: &[Vote<AcquireReply>]) -> impl Iterator<Item = &Holder> {
    votes.iter().filter_map(|vote| match vote {
        Vote::Reply(AcquireReply::Busy(holder)) => Some(holder),
        _ => None,
    })
}

fn tokens(votes: &[Vote<AcquireReply>]) -> impl Iterator<Item = FencingToken> {
    votes.iter().filter_map(|vote| match vote {
        Vote::Reply(AcquireReply::GrantedWith(token)) => Some(*token),
        _ => None,
    })
}

/// How many nodes granted with a token; which token most of them store, and
/// how many do.
fn leading_token(votes: &[Vote<AcquireReply>]) -> (usize, Option<(FencingToken, usize)>) {
    let leading = tokens(votes)
        .map(|token| (token, tokens(votes).filter(|other| *other == token).count()))
        .max_by_key(|(_, votes)| *votes);
    (tokens(votes).count(), leading)
}

/// The owner that most nodes named, and how many did.
fn leading_holder(votes: &[Vote<AcquireReply>]) -> Option<(&Holder, usize)> {
    holders(votes)
        .map(|holder| {
            let same = holders(votes).filter(|other| other.is_same_owner(holder));
            (holder, same.count())
        })
        .max_by_key(|(_, votes)| *votes)
}

/// On how many nodes the leading other owner is, and where those are a quorum,
/// what is known of it.
fn other_owner(
    votes: &[Vote<AcquireReply>],
    quorum: usize,
    granted: usize,
) -> (usize, Option<Holder>) {
    let Some((holder, held)) = leading_holder(votes) else {
        return (0, None);
    };
    let owner = (held >= quorum).then(|| {
        let expires_in = free_at_the_latest(votes, quorum.saturating_sub(granted));
        let owner = holder.clone().with_expiry(expires_in);
        owner.with_place(foremost_place(votes))
    });
    (held, owner)
}

/// The place in line of a waiter that every node counts by itself.
fn foremost_place(votes: &[Vote<AcquireReply>]) -> Option<u32> {
    holders(votes).filter_map(Holder::place).min()
}

/// When `missing` more nodes may grant, unless somebody extends: the
/// `missing`-th smallest remaining ttl, or the largest known.
fn free_at_the_latest(votes: &[Vote<AcquireReply>], missing: usize) -> Option<Duration> {
    let mut left: Vec<Duration> = holders(votes)
        .map(|holder| holder.expires_in().unwrap_or(Duration::MAX))
        .collect();
    left.sort_unstable();
    let nth = left.get(missing.saturating_sub(1)).or(left.last());
    nth.copied().filter(|left| *left < Duration::MAX)
}

#[cfg(test)]
mod tests;
