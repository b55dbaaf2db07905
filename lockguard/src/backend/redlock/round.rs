//! One question to all nodes at once.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    backend::{Backend, BackendError, BoxFuture},
    error::NodeError,
    quorum::{Decision, Vote},
};

/// What one node is doing about a question.
type Answer<R> = BoxFuture<'static, Result<R, BackendError>>;

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
}

impl<R: Send + 'static> Round<R> {
    /// Puts the question to every node; nothing is sent before the first poll
    /// of [`decide`](Self::decide).
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
        }
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
        // Once without a timer: nodes that answer at once need no runtime.
        let first = poll_fn(|cx| Poll::Ready(self.advance(cx, &decide))).await;
        if let Poll::Ready(decision) = first {
            return decision;
        }
        match timeout(budget, poll_fn(|cx| self.advance(cx, &decide))).await {
            Ok(decision) => decision,
            Err(_) => {
                self.give_up(budget);
                decide(&self.votes)
            }
        }
    }

    fn advance<D>(
        &mut self,
        cx: &mut Context<'_>,
        decide: &impl Fn(&[Vote<R>]) -> Decision<D>,
    ) -> Poll<Decision<D>> {
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
        match decide(&self.votes) {
            Decision::Open => Poll::Pending,
            decision => Poll::Ready(decision),
        }
    }

    /// Counts the nodes that have not answered as silent.
    fn give_up(&mut self, budget: Duration) {
        for (node, vote) in self.nodes.iter().zip(&mut self.votes) {
            if matches!(vote, Vote::Pending) {
                *vote = Vote::Silent;
                let error = NodeError::new(node.address(), format!("no answer within {budget:?}"));
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

    /// Where each node stands now.
    pub(super) fn into_parts(self) -> impl Iterator<Item = Part<R>> {
        let nodes: Vec<_> = self.nodes.iter().cloned().collect();
        nodes
            .into_iter()
            .zip(self.votes)
            .zip(self.answers)
            .map(|((node, vote), answer)| Part { node, vote, answer })
    }
}

/// One node's part in a round.
pub(super) struct Part<R> {
    pub(super) node: Arc<dyn Backend>,
    pub(super) vote: Vote<R>,
    answer: Option<Answer<R>>,
}

impl<R> Part<R> {
    /// Whether the node may answer yet, even if it counts as silent.
    pub(super) fn is_pending(&self) -> bool {
        self.answer.is_some()
    }

    /// The node's answer, if one is still to come.
    pub(super) async fn late_answer(self) -> Option<Result<R, BackendError>> {
        match self.answer {
            Some(answer) => Some(answer.await),
            None => None,
        }
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

/// Drives all futures to their end.
pub(super) fn all(mut futures: Vec<BoxFuture<'static, ()>>) -> BoxFuture<'static, ()> {
    Box::pin(poll_fn(move |cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}
