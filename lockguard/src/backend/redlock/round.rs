//! One question to all nodes at once.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::{Backend, BackendError, BoxFuture},
    clock::{until, until_unless},
    node_error::NodeError,
    quorum::{Decision, Vote, has_quorum},
};

/// How long the others have to answer a question once a quorum has.
///
/// More than nodes that are well are apart, mostly, and less than anybody
/// notices; and a third of what is left at most, so that a release that comes after
/// it has its time.
const STRAGGLERS_HAVE: Duration = Duration::from_millis(100);

/// How long the others have to answer an attempt that is refused.
///
/// More than nodes side by side are apart, and little for a waiter that is passed
/// the key meanwhile.
const OTHERS_HAVE: Duration = Duration::from_millis(1);

/// What one node is doing about a question.
pub(super) type Answer<R> = BoxFuture<'static, Result<R, BackendError>>;

/// One question to all nodes at once, and what has come of it.
///
/// A small array that is polled whole: for one to seven nodes this is cheaper
/// than a set that wakes them one by one.
pub(super) struct Round<R> {
    nodes: Arc<[Arc<dyn Backend>]>,
    /// `None` once the node has answered.
    answers: Vec<Option<Answer<R>>>,
    votes: Vec<Vote<R>>,
    errors: Vec<BackendError>,
    /// Whether each node answers in time by itself.
    keeps_time: bool,
}

impl<R: Send + 'static> Round<R> {
    /// Puts the question to every node, so that it takes its place in each
    /// node's order now.
    pub(super) fn ask(
        nodes: &Arc<[Arc<dyn Backend>]>,
        question: impl Fn(&dyn Backend) -> Answer<R>,
    ) -> Self {
        let answers: Vec<_> = nodes.iter().map(|node| Some(question(&**node))).collect();
        Self {
            nodes: Arc::clone(nodes),
            votes: answers.iter().map(|_| Vote::Pending).collect(),
            answers,
            errors: Vec::new(),
            keeps_time: nodes.iter().all(Backend::keeps_time),
        }
    }

    /// The same where nodes may take longer than the budget.
    pub(super) fn with_timer(mut self) -> Self {
        self.keeps_time = false;
        self
    }

    /// Polls the nodes until `decide` has decided, or until the budget has
    /// passed and those that are missing count as silent.
    ///
    /// The futures of missing nodes are kept: see
    /// [`into_rest`](Self::into_rest).
    pub(super) async fn decide<D>(
        &mut self,
        budget: Duration,
        decide: impl Fn(&[Vote<R>]) -> Decision<D>,
    ) -> Decision<D> {
        let keeps_time = self.keeps_time;
        let deadline = || Instant::now() + budget;
        let decided = poll_fn(|cx| self.advance(cx, &decide));
        if let Some(decision) = until_unless(keeps_time, deadline, decided).await {
            return decision;
        }
        self.give_up(budget);
        decide(&self.votes)
    }

    /// As [`decide`](Self::decide), where the votes that are missing once a quorum
    /// has answered, and could still change the decision, are waited for a
    /// moment only, within the budget.
    pub(super) async fn decide_without_stragglers<D>(
        &mut self,
        budget: Duration,
        decide: impl Fn(&[Vote<R>]) -> Decision<D>,
    ) -> Decision<D> {
        let is_answered = |votes: &[_]| match decide(votes) {
            Decision::Open if !has_quorum(votes) => Decision::Open,
            _ => Decision::Reply(()),
        };
        let end = Instant::now() + budget;
        self.decide(budget, is_answered).await;
        match decide(&self.votes) {
            Decision::Open => {
                // Nodes keep the budget, and not this shorter time.
                self.keeps_time = false;
                let left = end.saturating_duration_since(Instant::now());
                self.decide(STRAGGLERS_HAVE.min(left / 3), decide).await
            }
            decision => decision,
        }
    }

    /// Waits a moment for the nodes that have not answered, whatever is decided.
    pub(super) async fn hear_others(&mut self) {
        let others = poll_fn(|cx| {
            self.take_in(cx);
            if self.votes.iter().any(|vote| matches!(vote, Vote::Pending)) {
                return Poll::Pending;
            }
            Poll::Ready(())
        });
        until(Instant::now() + OTHERS_HAVE, others).await;
    }

    /// Takes in what has been answered meanwhile.
    pub(super) fn look(&mut self) {
        self.take_in(&mut Context::from_waker(Waker::noop()));
    }

    fn advance<D>(
        &mut self,
        cx: &mut Context<'_>,
        decide: &impl Fn(&[Vote<R>]) -> Decision<D>,
    ) -> Poll<Decision<D>> {
        self.take_in(cx);
        match decide(&self.votes) {
            Decision::Open => Poll::Pending,
            decision => Poll::Ready(decision),
        }
    }

    fn take_in(&mut self, cx: &mut Context<'_>) {
        for (answer, vote) in self.answers.iter_mut().zip(&mut self.votes) {
            let Some(future) = answer else { continue };
            let Poll::Ready(reply) = future.as_mut().poll(cx) else {
                continue;
            };
            *answer = None;
            *vote = match reply {
                Ok(reply) => Vote::Reply(reply),
                Err(error) => {
                    self.errors.push(error);
                    Vote::Silent
                }
            };
        }
    }

    /// Counts the nodes that have not answered as silent.
    fn give_up(&mut self, budget: Duration) {
        for (node, vote) in self.nodes.iter().zip(&mut self.votes) {
            if matches!(vote, Vote::Pending) {
                *vote = Vote::Silent;
                let silent = BackendError::no_answer(node.address(), budget);
                self.errors.push(silent);
            }
        }
    }

    /// Puts another question to the nodes whose vote is one of these, which is
    /// open again then.
    pub(super) fn ask_again(
        &mut self,
        is_one: impl Fn(&Vote<R>) -> bool,
        question: impl Fn(&dyn Backend) -> Answer<R>,
    ) {
        let answers = self.answers.iter_mut().zip(&mut self.votes);
        for ((answer, vote), node) in answers.zip(self.nodes.iter()) {
            if is_one(vote) {
                *answer = Some(question(&**node));
                *vote = Vote::Pending;
            }
        }
    }

    /// Names the nodes whose vote is one of these, and what is wrong with it.
    pub(super) fn blame(&mut self, is_one: impl Fn(&Vote<R>) -> bool, reason: &str) {
        for (node, vote) in self.nodes.iter().zip(&self.votes) {
            if is_one(vote) {
                let error = NodeError::new(node.address(), reason);
                self.errors.push(BackendError::unavailable(error));
            }
        }
    }

    /// Every vote as it stands.
    pub(super) fn votes(&self) -> &[Vote<R>] {
        &self.votes
    }

    /// Why single nodes gave no vote.
    pub(super) fn errors(&self) -> impl Iterator<Item = &BackendError> {
        self.errors.iter()
    }

    /// Why too few nodes voted.
    pub(super) fn error(&self) -> BackendError {
        summary(self.errors())
    }

    /// The nodes whose vote is one of these.
    pub(super) fn nodes(&self, is_one: impl Fn(&Vote<R>) -> bool) -> Vec<Arc<dyn Backend>> {
        let votes = self.nodes.iter().zip(&self.votes);
        votes
            .filter(|(_, vote)| is_one(vote))
            .map(|(node, _)| Arc::clone(node))
            .collect()
    }

    /// Drops the questions that are still open, and names the nodes whose vote
    /// is one of these.
    pub(super) fn into_nodes(mut self, is_one: impl Fn(&Vote<R>) -> bool) -> Vec<Arc<dyn Backend>> {
        self.answers.clear();
        self.nodes(is_one)
    }

    /// The questions that are still open.
    pub(super) fn into_rest(self) -> Vec<Answer<R>> {
        self.answers.into_iter().flatten().collect()
    }
}

/// What several nodes' errors come to.
pub(super) fn summary<'a>(errors: impl Iterator<Item = &'a BackendError>) -> BackendError {
    let mut silent = Vec::new();
    for error in errors {
        match error {
            BackendError::Unavailable { nodes } => silent.extend(nodes.iter().cloned()),
            // One of these explains the whole round.
            other => return other.clone(),
        }
    }
    BackendError::Unavailable { nodes: silent }
}
