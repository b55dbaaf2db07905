//! Every vote of a few nodes, and what was decided once.

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
    let Decision::Reply(Fenced::Refused(AcquireReply::Busy(holder))) = decide_fenced(&votes) else {
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
