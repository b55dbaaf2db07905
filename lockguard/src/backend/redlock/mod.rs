//! Locks on a majority of independent backends.

mod round;

use std::{
    borrow::Cow,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use self::round::{Answer, Round, summary};
use crate::{
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, BoxFuture, CloseReply, ExtendReply,
        ExtendRequest, Pass, ReleaseReply, ReleaseRequest, asked,
    },
    background::Background,
    clock::{all, sleep},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    node_status::NodeStatus,
    quorum::{
        Decision, Fenced, Vote, decide_acquire, decide_extend, decide_fenced, decide_release,
        quorum,
    },
    token::OwnerToken,
    validity::{LONGEST_NODE_BUDGET, longest_attempt, node_budget},
};

/// Keeps locks on a majority of independent backends, after the Redlock
/// algorithm.
///
/// All nodes are asked at once, and the answer stands as soon as the missing
/// votes cannot change it: no operation waits for a node whose vote is not
/// needed.
/// Where a vote is needed, a node has a quarter of the ttl to give it, within
/// 10 ms and 1 s.
///
/// A fenced acquire is granted once a quorum stores the same fencing token for
/// it; where a quorum has granted with different ones, the nodes below the
/// greatest are asked to raise theirs.
///
/// Where nodes keep a line of waiters, a waiter stands in all of them by one
/// ticket, and is woken by the first node that reserves the key for it.
///
/// An acquire that came to anything but a grant gives back, in the background,
/// what single nodes have granted or may have; where a waiter is refused, the
/// others have another millisecond to refuse it as well.
/// A release goes to every node, those included that did not answer the
/// acquire.
/// Where a quorum has answered it and is of two minds, the others have another
/// 100 ms, or a third of the time that is left; those that are silent then count
/// as having freed the key.
/// So it is with an acquire that replaces an owner, whose release it is.
/// Each node is asked when the method is called, so that the order of calls is
/// the order on every node.
#[derive(Clone)]
pub struct Redlock {
    nodes: Arc<[Arc<dyn Backend>]>,
    background: Background,
}

impl Redlock {
    /// Makes one lock store of these nodes; a quorum is more than half of
    /// them.
    ///
    /// Without a node every operation is [`BackendError::Unavailable`].
    /// An even number is accepted with a warning: it costs a node and adds no
    /// safety.
    ///
    /// What must go on in the background runs on the tokio runtime that this
    /// is called on.
    pub fn new(nodes: impl IntoIterator<Item = Arc<dyn Backend>>) -> Self {
        let nodes: Arc<[_]> = nodes.into_iter().collect();
        if nodes.len().is_multiple_of(2) {
            tracing::warn!(nodes = nodes.len(), "{EVEN}");
        }
        let is_immediate = nodes.iter().all(Backend::is_immediate);
        Self {
            nodes,
            background: Background::new(is_immediate),
        }
    }

    async fn acquire_round(
        self,
        mut round: Round<AcquireReply>,
        request: AcquireRequest,
    ) -> Result<AcquireReply, BackendError> {
        match decide_in_time(&mut round, &request, decide_acquire).await {
            // The questions that are still open are dropped: a node that has
            // been asked may grant yet, and its release comes after.
            Decision::Reply(AcquireReply::Granted) => {
                self.leave_lines(&mut round, &request);
                self.release_replaced(&round, &request);
                Ok(AcquireReply::Granted)
            }
            Decision::Reply(refused) => self.refuse(round, &request, refused).await,
            // After an error the caller releases, as the contract says; to
            // give back here too would fill what dead nodes are owed.
            Decision::Open | Decision::Unavailable => Err(round.error()),
        }
    }

    /// Asks until a quorum stores one fencing token for this attempt.
    ///
    /// The lease counts from before the first question, also where nodes are
    /// asked again: that only makes them keep the keys for longer.
    async fn acquire_fenced_round(
        self,
        mut round: Round<AcquireReply>,
        request: AcquireRequest,
    ) -> Result<AcquireReply, BackendError> {
        let asked = Instant::now();
        for _ in 0..=MOST_RAISES {
            if asked.elapsed() > longest_attempt(request.ttl) {
                break;
            }
            match decide_in_time(&mut round, &request, decide_fenced).await {
                Decision::Reply(Fenced::Agreed(token)) => {
                    self.leave_lines(&mut round, &request);
                    self.release_replaced(&round, &request);
                    return Ok(AcquireReply::GrantedWith(token));
                }
                Decision::Reply(Fenced::Raise(token)) => {
                    let raise = request.clone().raised(token);
                    round.ask_again(
                        |vote| is_below(vote, token),
                        |node| node.acquire(raise.clone()),
                    );
                }
                Decision::Reply(Fenced::Refused(refused)) => {
                    return self.refuse(round, &request, refused).await;
                }
                Decision::Open | Decision::Unavailable => {
                    round.blame(
                        |vote| *vote == Vote::Reply(AcquireReply::Granted),
                        "gives no fencing tokens",
                    );
                    // See `acquire_round`.
                    return Err(round.error());
                }
            }
        }
        self.give_back(round, &request);
        Ok(AcquireReply::Split)
    }

    /// Takes the waiter, who has the keys, out of the lines of the nodes that
    /// have refused it, or had before they were silent; those that are late are
    /// told by themselves.
    fn leave_lines(&self, round: &mut Round<AcquireReply>, request: &AcquireRequest) {
        let Some(waiter) = &request.waiter else {
            return;
        };
        waiter.ticket.close();
        // A refusal is heard here, or finds the ticket closed.
        round.look();
        let may_have_it_in_line = |vote: &_| is_refusal(vote) || *vote == Vote::Silent;
        self.release_on(round.nodes(may_have_it_in_line), &request.keys, |key| {
            let leave = ReleaseRequest::new(key.clone(), waiter.next.clone());
            leave.leaving(waiter.ticket.clone())
        });
    }

    /// Releases the owner that was replaced on the nodes that have not said so:
    /// behind the question, so that it finds nothing where that has been
    /// executed, and is owed where a node is bad.
    fn release_replaced(&self, round: &Round<AcquireReply>, request: &AcquireRequest) {
        let Some(replaced) = &request.replaces else {
            return;
        };
        let others = round.nodes(|vote| !is_grant(vote));
        self.release_on(others, &request.keys, |key| {
            ReleaseRequest::new(key.clone(), replaced.clone())
        });
    }

    /// Gives back what single nodes have granted, and says that no quorum has.
    ///
    /// Where a node has put the token in the place of another, that one is dead
    /// there: whether a quorum held it, nobody can tell from it any more.
    ///
    /// A waiter has nothing to do but wait, and a node that is heard to refuse it as
    /// well is given nothing back.
    async fn refuse(
        &self,
        mut round: Round<AcquireReply>,
        request: &AcquireRequest,
        refused: AcquireReply,
    ) -> Result<AcquireReply, BackendError> {
        if request.waiter.is_some() {
            round.hear_others().await;
        }
        let has_replaced = request.replaces.is_some() && !round.nodes(is_grant).is_empty();
        let error = has_replaced.then(|| round.error());
        self.give_back(round, request);
        error.map_or(Ok(refused), Err)
    }

    /// Gives back what single nodes have granted, or may have; a waiter stays
    /// in their lines.
    fn give_back(&self, round: Round<AcquireReply>, request: &AcquireRequest) {
        // The open questions are dropped first, and the releases asked for
        // now, so that each comes after its acquire and before our next one.
        let nodes = round.into_nodes(|vote| !is_refusal(vote));
        self.release_on(nodes, &request.keys, |key| {
            let release = ReleaseRequest::new(key.clone(), request.token.clone());
            match &request.waiter {
                Some(waiter) if !request.keys.are_several() => release.staying(waiter.clone()),
                _ => release,
            }
        });
    }

    /// Sends single nodes a release for each key, which nobody waits for.
    fn release_on(
        &self,
        nodes: Vec<Arc<dyn Backend>>,
        keys: &LockKeys,
        release: impl Fn(&LockKey) -> ReleaseRequest,
    ) {
        let of_node = |node: Arc<dyn Backend>| {
            let releases = keys.iter().map(|key| node.release(release(key)));
            releases.collect::<Vec<_>>()
        };
        self.background
            .finish_all(nodes.into_iter().flat_map(of_node).collect());
    }

    async fn extend_round(
        self,
        mut round: Round<ExtendReplies>,
        budget: Option<Duration>,
        requests: Vec<ExtendRequest>,
    ) -> Vec<Result<ExtendReply, BackendError>> {
        let decide_all = |votes: &[_]| {
            if (0..requests.len()).any(|nth| decide_nth(votes, nth) == Decision::Open) {
                Decision::Open
            } else {
                Decision::Reply(())
            }
        };
        let budget = budget.unwrap_or(LONGEST_NODE_BUDGET);
        round.decide(budget, decide_all).await;
        let replies = (0..requests.len()).map(|nth| match decide_nth(round.votes(), nth) {
            Decision::Reply(reply) => Ok(reply),
            Decision::Open | Decision::Unavailable => Err(nth_error(&round, nth)),
        });
        let replies: Vec<_> = replies.collect();
        let is_extended = |reply| matches!(reply, &Ok(ExtendReply::Extended));
        if replies.iter().all(is_extended) {
            self.release_formers(&round, &requests);
        }
        replies
    }

    /// Releases the owner whose place a successor has taken, as
    /// [`release_replaced`](Self::release_replaced) does after an acquire.
    ///
    /// Not where its place is to be given back, and where one of its keys was
    /// missed, since it will be.
    fn release_formers(&self, round: &Round<ExtendReplies>, requests: &[ExtendRequest]) {
        let is_extended = Vote::Reply(ExtendReply::Extended);
        for (nth, request) in requests.iter().enumerate() {
            if request.successor.is_some() && !request.is_hand_back {
                let others = round.nodes(|vote| nth_vote(vote, nth) != is_extended);
                self.release_on(others, &request.key.clone().into(), |key| {
                    ReleaseRequest::new(key.clone(), request.token.clone())
                });
            }
        }
    }

    async fn release_round(
        self,
        mut round: Round<ReleaseReply>,
        budget: Duration,
    ) -> Result<ReleaseReply, BackendError> {
        let decided = round.decide_without_stragglers(budget, decide_release);
        let reply = match decided.await {
            Decision::Reply(reply) => Ok(reply),
            Decision::Open | Decision::Unavailable => Err(round.error()),
        };
        // A release is never cancelled: the rest goes on without us.
        self.background.finish_all(round.into_rest());
        reply
    }
}

/// Decides an acquire within a node's budget.
///
/// One that replaces an owner is its release, which asks once more where it comes
/// to nothing, and must be told of that in time.
async fn decide_in_time<D>(
    round: &mut Round<AcquireReply>,
    request: &AcquireRequest,
    decide: impl Fn(&[Vote<AcquireReply>]) -> Decision<D>,
) -> Decision<D> {
    let budget = node_budget(request.ttl);
    if request.replaces.is_some() {
        round.decide_without_stragglers(budget, decide).await
    } else {
        round.decide(budget, decide).await
    }
}

/// Waits for a quorum of nodes to be flushed, and for a moment for the others.
async fn all_closed(
    background: Background,
    mut closings: Vec<Answer<CloseReply>>,
) -> Result<CloseReply, BackendError> {
    let (mut flushed, quorum) = (0_usize, quorum(closings.len()));
    let mut errors = Vec::new();
    let mut others = pin!(sleep(OTHERS_CLOSE_WITHIN));
    let reply = poll_fn(|cx| {
        closings.retain_mut(|closing| match closing.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(reply) => {
                match reply {
                    Ok(CloseReply::Flushed) => flushed = flushed.saturating_add(1),
                    Ok(CloseReply::Closed) => {}
                    Err(error) => errors.push(error),
                }
                false
            }
        });
        let is_flushed = flushed >= quorum;
        if is_flushed && (closings.is_empty() || others.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(CloseReply::Flushed));
        }
        match (closings.is_empty(), errors.is_empty()) {
            (false, _) => Poll::Pending,
            (true, true) => Poll::Ready(Ok(CloseReply::Closed)),
            (true, false) => Poll::Ready(Err(summary(errors.iter()))),
        }
    })
    .await?;
    // What the quorum did not need is on its way to the others.
    background.idle().await;
    Ok(reply)
}

impl Backend for Redlock {
    fn acquire(
        &self,
        mut request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        // What one node grants is a vote, for which the node is asked.
        if let Some(waiter) = &mut request.waiter {
            waiter.takes_grants = false;
        }
        let now = request.asked.unwrap_or_else(Instant::now);
        let round = Round::ask(&self.nodes, |node| {
            let mut request = request.clone();
            request.asked = asked(node, now);
            node.acquire(request)
        });
        let this = self.clone();
        match request.fence {
            None => Box::pin(this.acquire_round(round, request)),
            Some(_) => Box::pin(this.acquire_fenced_round(round, request)),
        }
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let budgets = || requests.iter().map(|request| node_budget(request.ttl));
        let budget = budgets().min();
        let mut round = Round::ask(&self.nodes, |node| {
            let replies = node.extend(requests.clone());
            Box::pin(async move { Ok(replies.await) })
        });
        if budgets().max() > budget {
            // Each node keeps the longest budget of these requests, and not this one.
            round = round.with_timer();
        }
        Box::pin(self.clone().extend_round(round, budget, requests))
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let now = request.asked.unwrap_or_else(Instant::now);
        let round = Round::ask(&self.nodes, |node| {
            let mut request = request.clone();
            request.asked = asked(node, now);
            node.release(request)
        });
        Box::pin(self.clone().release_round(round, request.budget))
    }

    /// Wakes as soon as one node does; `None` unless all nodes can tell.
    fn freed(&self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let wakes = self.nodes.iter().map(|node| node.freed(key));
        Some(first_of(wakes.collect::<Option<_>>()?))
    }

    fn has_line(&self) -> bool {
        self.nodes.iter().any(Backend::has_line)
    }

    /// Wakes as soon as one node does; `None` unless a quorum can tell.
    fn passed(&self, next: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        let wakes = self.nodes.iter().filter_map(|node| node.passed(next));
        let wakes: Vec<_> = wakes.collect();
        let first = (wakes.len() >= quorum(self.nodes.len())).then(|| first_of(wakes))?;
        Some(Box::pin(async move {
            first.await;
            Pass::Reserved
        }))
    }

    /// All nodes' answers, in their order; the last one of an even number is
    /// warned of.
    fn nodes(&self) -> BoxFuture<'static, Vec<NodeStatus>> {
        let is_even = self.nodes.len().is_multiple_of(2);
        let looks = self.nodes.iter().map(Backend::nodes).collect();
        Box::pin(async move {
            let mut nodes = all(looks).await.concat();
            if is_even {
                let last = nodes.pop().map(|last| last.with_warning(EVEN));
                nodes.extend(last);
            }
            nodes
        })
    }

    fn is_immediate(&self) -> bool {
        self.nodes.iter().all(Backend::is_immediate)
    }

    /// Each round does, whatever its nodes do.
    fn keeps_time(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        let closings = self.nodes.iter().map(Backend::close).collect();
        Box::pin(all_closed(self.background.clone(), closings))
    }

    fn address(&self) -> Cow<'_, str> {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address()).collect();
        Cow::Owned(addresses.join(", "))
    }
}

impl fmt::Debug for Redlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redlock")
            .field("nodes", &self.address())
            .finish_non_exhaustive()
    }
}

/// Resolves when one of these has.
fn first_of<T: 'static>(mut wakes: Vec<BoxFuture<'static, T>>) -> BoxFuture<'static, ()> {
    let poll = move |cx: &mut Context<'_>| {
        let mut is_woken = false;
        // Every one is polled, so that every one knows its waker.
        for wake in &mut wakes {
            is_woken |= wake.as_mut().poll(cx).is_ready();
        }
        if is_woken {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    };
    Box::pin(poll_fn(poll))
}

const EVEN: &str = "an even number of nodes costs a node and adds no safety; use an odd one";

/// How long nodes may take to close once a quorum has: one that is gone has
/// nothing that is needed.
const OTHERS_CLOSE_WITHIN: Duration = Duration::from_millis(100);

/// How often nodes are asked to raise a token before the attempt counts as
/// split.
///
/// Once is enough, but for nodes that answer late, and for keys that expire
/// meanwhile.
const MOST_RAISES: usize = 8;

/// Whether the node holds the keys for this attempt.
fn is_grant(vote: &Vote<AcquireReply>) -> bool {
    matches!(
        vote,
        Vote::Reply(AcquireReply::Granted | AcquireReply::GrantedWith(_))
    )
}

/// Whether the node has taken nothing for this attempt.
fn is_refusal(vote: &Vote<AcquireReply>) -> bool {
    matches!(
        vote,
        Vote::Reply(AcquireReply::Busy(_) | AcquireReply::Split)
    )
}

/// Whether the node stores a smaller token for this attempt.
fn is_below(vote: &Vote<AcquireReply>, token: FencingToken) -> bool {
    matches!(vote, Vote::Reply(AcquireReply::GrantedWith(stored)) if *stored < token)
}

type ExtendReplies = Vec<Result<ExtendReply, BackendError>>;

/// Decides the `nth` request of a batch.
fn decide_nth(votes: &[Vote<ExtendReplies>], nth: usize) -> Decision<ExtendReply> {
    let votes: Vec<_> = votes.iter().map(|vote| nth_vote(vote, nth)).collect();
    decide_extend(&votes)
}

/// What a node said of the `nth` request of a batch.
fn nth_vote(vote: &Vote<ExtendReplies>, nth: usize) -> Vote<ExtendReply> {
    match vote {
        Vote::Pending => Vote::Pending,
        Vote::Silent => Vote::Silent,
        Vote::Reply(replies) => match replies.get(nth) {
            Some(Ok(reply)) => Vote::Reply(*reply),
            Some(Err(_)) | None => Vote::Silent,
        },
    }
}

/// Why the nodes that are silent about the `nth` request of a batch are.
fn nth_error(round: &Round<ExtendReplies>, nth: usize) -> BackendError {
    let answered = round.votes().iter().filter_map(|vote| match vote {
        Vote::Reply(replies) => replies.get(nth)?.as_ref().err(),
        _ => None,
    });
    summary(round.errors().chain(answered))
}
