//! Nodes and attempts.

use super::{
    NODES,
    answers::{Answers, Tokens},
    node::{Node, Owner},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) nodes: [Node; NODES],
    pub(super) attempts: Vec<Attempt>,
    pub(super) losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub(super) phase: Phase,
    /// What it has ever asked for.
    pub(super) proposals: Tokens,
    pub(super) answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Planned,
    Asking {
        /// The greatest token that completed before it started.
        floor: u64,
    },
    Done {
        token: u64,
        is_beyond_earlier: bool,
        /// Also beyond those that completed after it started.
        is_beyond_all: bool,
        is_held: bool,
    },
    GaveUp,
}

impl State {
    /// The tokens of what has completed.
    pub(super) fn done(&self) -> impl Iterator<Item = u64> {
        self.attempts
            .iter()
            .filter_map(|attempt| match attempt.phase {
                Phase::Done { token, .. } => Some(token),
                _ => None,
            })
    }

    pub(super) fn all_done(&self, are: impl Fn(bool, bool) -> bool) -> bool {
        self.attempts.iter().all(|attempt| match attempt.phase {
            Phase::Done {
                is_beyond_earlier,
                is_beyond_all,
                ..
            } => are(is_beyond_earlier, is_beyond_all),
            _ => true,
        })
    }

    pub(super) fn held(&self) -> usize {
        let is_held =
            |attempt: &&Attempt| matches!(attempt.phase, Phase::Done { is_held: true, .. });
        self.attempts.iter().filter(is_held).count()
    }

    pub(super) fn exchanged(&self, order: &[usize]) -> Self {
        let mut next = self.clone();
        for (nth, to) in order.iter().enumerate() {
            next.attempts[*to] = self.attempts[nth];
        }
        for node in &mut next.nodes {
            let new = |owner: Owner| order.get(usize::from(owner.0)).copied();
            let new = node.lock.and_then(new).and_then(|to| u8::try_from(to).ok());
            node.lock = new.map(Owner).or(node.lock);
        }
        next
    }

    pub(super) fn with_sorted_nodes(mut self) -> Self {
        let mut order: [usize; NODES] = std::array::from_fn(|node| node);
        order.sort_by(|a, b| {
            let answers = |node: usize| self.attempts.iter().map(move |one| one.answers.of(node));
            let nodes = self.nodes[*a].cmp(&self.nodes[*b]);
            nodes.then_with(|| answers(*a).cmp(answers(*b)))
        });
        self.nodes = order.map(|node| self.nodes[node]);
        for attempt in &mut self.attempts {
            attempt.answers = attempt.answers.in_order(order);
        }
        self
    }
}

impl Phase {
    /// The lease ends.
    pub(super) fn end(&mut self) {
        if let Self::Done { is_held, .. } = self {
            *is_held = false;
        }
    }
}
