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
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn held_by(owner: &str) -> AcquireReply {
        AcquireReply::Busy(Holder::new(owner.as_bytes(), Some(SECOND)))
    }

    /// Every vector of `nodes` votes over these kinds.
    fn all<R: Clone>(nodes: usize, kinds: &[Vote<R>]) -> Vec<Vec<Vote<R>>> {
        let mut vectors = vec![Vec::new()];
        for _ in 0..nodes {
            vectors = vectors
                .iter()
                .flat_map(|vector| {
                    kinds
                        .iter()
                        .map(move |kind| [&vector[..], std::slice::from_ref(kind)].concat())
                })
                .collect();
        }
        vectors
    }

    fn answered<R>(votes: &[Vote<R>]) -> usize {
        count(votes, |vote| matches!(vote, Vote::Reply(_)))
    }

    fn is_complete<R>(votes: &[Vote<R>]) -> bool {
        !votes.iter().any(|vote| matches!(vote, Vote::Pending))
    }

    /// Whether the rest of the votes could still arrive as in `later`.
    fn leads_to<R: PartialEq>(votes: &[Vote<R>], later: &[Vote<R>]) -> bool {
        votes
            .iter()
            .zip(later)
            .all(|(vote, late)| matches!(vote, Vote::Pending) || vote == late)
    }

    /// Checks, for all votes of 1 to 4 nodes, what every decision owes:
    /// with all votes in it is made; made early it is the one that all votes
    /// make; and it is `Unavailable` exactly when no quorum answered.
    fn check<R: Clone + PartialEq + std::fmt::Debug>(
        replies: &[R],
        decide: impl Fn(&[Vote<R>]) -> Decision<R>,
        same: impl Fn(&R, &R) -> bool,
        unavailable_without_a_quorum: bool,
    ) {
        let mut kinds = vec![Vote::Pending, Vote::Silent];
        kinds.extend(replies.iter().cloned().map(Vote::Reply));
        for nodes in 1..=4 {
            let vectors = all(nodes, &kinds);
            let (complete, partial): (Vec<_>, Vec<_>) =
                vectors.iter().partition(|votes| is_complete(votes));
            for votes in &complete {
                let decision = decide(votes);
                assert_ne!(decision, Decision::Open, "{votes:?}");
                if unavailable_without_a_quorum {
                    let no_quorum = answered(votes) < quorum(nodes);
                    assert_eq!(decision == Decision::Unavailable, no_quorum, "{votes:?}");
                }
            }
            for votes in partial {
                let early = decide(votes);
                if early == Decision::Open {
                    continue;
                }
                for later in complete.iter().filter(|later| leads_to(votes, later)) {
                    let agrees = match (&early, &decide(later)) {
                        (Decision::Reply(a), Decision::Reply(b)) => same(a, b),
                        (a, b) => a == b,
                    };
                    assert!(
                        agrees,
                        "{votes:?} was decided {early:?}, then came {later:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_early_acquire_decision_is_the_one_that_all_votes_make() {
        let replies = [
            AcquireReply::Granted,
            AcquireReply::Split,
            held_by("a"),
            held_by("b"),
        ];
        let same = |a: &AcquireReply, b: &AcquireReply| match (a, b) {
            (AcquireReply::Busy(a), AcquireReply::Busy(b)) => a.is_same_owner(b),
            (a, b) => a == b,
        };
        check(&replies, decide_acquire, same, true);
    }

    #[test]
    fn an_early_release_decision_is_the_one_that_all_votes_make() {
        let replies = [
            ReleaseReply::Freed,
            ReleaseReply::NotHeld,
            ReleaseReply::NotOwner,
        ];
        check(&replies, decide_release, |a, b| a == b, true);
    }

    #[test]
    fn an_early_extend_decision_is_the_one_that_all_votes_make() {
        let replies = [
            ExtendReply::Extended,
            ExtendReply::NotHeld,
            ExtendReply::NotOwner,
        ];
        let same = |a: &ExtendReply, b: &ExtendReply| {
            (*a == ExtendReply::Extended) == (*b == ExtendReply::Extended)
        };
        check(&replies, decide_extend, same, false);
    }

    type Votes = Vec<Vote<AcquireReply>>;

    fn at(token: u64) -> AcquireReply {
        AcquireReply::GrantedWith(FencingToken::new(token).unwrap())
    }

    /// Votes of a fenced acquire on 1 to 5 nodes, and those of them that are
    /// complete.
    fn fenced_votes(nodes: usize) -> (Vec<Votes>, Vec<Votes>) {
        let replies = [at(1), at(2), held_by("a"), AcquireReply::Split];
        let mut kinds = vec![Vote::Pending, Vote::Silent];
        kinds.extend(replies.map(Vote::Reply));
        let vectors = all(nodes, &kinds);
        let complete = vectors.iter().filter(|votes| is_complete(votes)).cloned();
        let complete = complete.collect();
        (vectors, complete)
    }

    fn stores(votes: &[Vote<AcquireReply>], token: u64) -> usize {
        count(votes, |vote| *vote == Vote::Reply(at(token)))
    }

    #[test]
    fn a_token_is_agreed_on_exactly_when_a_quorum_stores_it() {
        for nodes in 1..=5 {
            for votes in fenced_votes(nodes).0 {
                let agreed = [1, 2]
                    .into_iter()
                    .find(|token| stores(&votes, *token) >= quorum(nodes));
                let expected = agreed.and_then(FencingToken::new);
                let decided = match decide_fenced(&votes) {
                    Decision::Reply(Fenced::Agreed(token)) => Some(token),
                    _ => None,
                };
                assert_eq!(decided, expected, "{votes:?}");
            }
        }
    }

    #[test]
    fn a_raise_is_due_exactly_when_a_quorum_granted_without_agreement() {
        for nodes in 1..=5 {
            for votes in fenced_votes(nodes).0 {
                let (ones, twos) = (stores(&votes, 1), stores(&votes, 2));
                let is_due = ones + twos >= quorum(nodes) && ones.max(twos) < quorum(nodes);
                let decision = decide_fenced(&votes);
                let raise = Decision::Reply(Fenced::Raise(FencingToken::new(2).unwrap()));
                assert_eq!(decision == raise, is_due, "{votes:?}: {decision:?}");
            }
        }
    }

    #[test]
    fn an_early_fenced_decision_is_the_one_that_all_votes_make() {
        for nodes in 1..=4 {
            let (vectors, complete) = fenced_votes(nodes);
            for votes in &vectors {
                let early = decide_fenced(votes);
                let is_final = !matches!(early, Decision::Open | Decision::Reply(Fenced::Raise(_)));
                for later in complete.iter().filter(|later| leads_to(votes, later)) {
                    let late = decide_fenced(later);
                    assert_ne!(late, Decision::Open, "{later:?}");
                    if is_final {
                        let is_same = match (&early, &late) {
                            (
                                Decision::Reply(Fenced::Refused(AcquireReply::Busy(a))),
                                Decision::Reply(Fenced::Refused(AcquireReply::Busy(b))),
                            ) => a.is_same_owner(b),
                            (early, late) => early == late,
                        };
                        assert!(is_same, "{votes:?}: {early:?}, then {later:?}: {late:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_fenced_acquire_is_unavailable_exactly_when_no_quorum_answered() {
        for nodes in 1..=4 {
            for votes in fenced_votes(nodes).1 {
                let is_unavailable = decide_fenced(&votes) == Decision::Unavailable;
                assert_eq!(
                    is_unavailable,
                    answered(&votes) < quorum(nodes),
                    "{votes:?}"
                );
            }
        }
    }

    #[test]
    fn a_grant_without_a_token_is_no_vote() {
        let votes = [AcquireReply::Granted, AcquireReply::Granted, at(1)].map(Vote::Reply);
        assert_eq!(decide_fenced(&votes), Decision::Unavailable);
    }

    #[test]
    fn busy_tells_the_greatest_fence_of_all_nodes() {
        let held = |fence| {
            Vote::Reply(match held_by("a") {
                AcquireReply::Busy(holder) => {
                    AcquireReply::Busy(holder.with_fence(FencingToken::new(fence)))
                }
                other => other,
            })
        };
        let votes = [held(3), held(0), Vote::Reply(at(7))];
        let Decision::Reply(Fenced::Refused(AcquireReply::Busy(holder))) = decide_fenced(&votes)
        else {
            panic!("not busy");
        };
        assert_eq!(holder.fence(), FencingToken::new(7));
    }

    #[test]
    fn busy_counts_the_nodes_that_are_free_already() {
        let held = |left| {
            let holder = Holder::new("a".as_bytes(), Some(left * SECOND));
            Vote::Reply(AcquireReply::Busy(holder))
        };
        let granted = Vote::Reply(AcquireReply::Granted);
        let votes = [granted, held(1), held(2), held(3), Vote::Silent];
        let Decision::Reply(AcquireReply::Busy(holder)) = decide_acquire(&votes) else {
            panic!("not busy");
        };
        assert_eq!(holder.expires_in(), Some(2 * SECOND));
    }

    #[test]
    fn a_minority_of_silent_nodes_does_not_delay_a_grant() {
        let granted = Vote::Reply(AcquireReply::Granted);
        let votes = [
            granted.clone(),
            granted.clone(),
            granted,
            Vote::Pending,
            Vote::Pending,
        ];
        assert_eq!(
            decide_acquire(&votes),
            Decision::Reply(AcquireReply::Granted)
        );
    }

    #[test]
    fn one_vote_each_is_split_and_not_busy() {
        let votes = [held_by("a"), held_by("b"), AcquireReply::Granted].map(Vote::Reply);
        assert_eq!(decide_acquire(&votes), Decision::Reply(AcquireReply::Split));
    }

    #[test]
    fn a_grant_and_a_holder_on_one_node_each_with_the_third_silent_is_split() {
        let votes = [
            Vote::Reply(AcquireReply::Granted),
            Vote::Reply(held_by("a")),
            Vote::Silent,
        ];
        assert_eq!(decide_acquire(&votes), Decision::Reply(AcquireReply::Split));
    }

    #[test]
    fn busy_says_when_a_quorum_may_be_free() {
        let held = |secs| AcquireReply::Busy(Holder::new(*b"a", Some(SECOND * secs)));
        let votes = [held(3), held(1), held(2)].map(Vote::Reply);
        let Decision::Reply(AcquireReply::Busy(holder)) = decide_acquire(&votes) else {
            panic!("not busy");
        };
        assert_eq!(holder.expires_in(), Some(SECOND * 2));
    }

    #[test]
    fn an_extend_is_lost_once_a_quorum_cannot_hold_the_key() {
        let votes = [
            Vote::Reply(ExtendReply::NotHeld),
            Vote::Reply(ExtendReply::NotOwner),
            Vote::Pending,
        ];
        assert_eq!(
            decide_extend(&votes),
            Decision::Reply(ExtendReply::NotOwner)
        );
    }

    #[test]
    fn an_extend_that_too_few_answered_is_unavailable_and_not_lost() {
        let votes = [
            Vote::Reply(ExtendReply::Extended),
            Vote::Silent,
            Vote::Silent,
        ];
        assert_eq!(decide_extend(&votes), Decision::Unavailable);
    }
}
