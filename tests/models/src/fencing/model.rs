//! What may happen, and what comes of it.

use stateright::{Model, Property};

use super::{
    ALL_DONE, COMPLETES, EXCLUDES, Expiry, Fault, NODES, ONE_DONE, ORDERS, Plan, Proposals, RISES,
    Scope, UNIQUE,
    answers::{Answers, Tokens},
    fault,
    node::{Ask, Bounds, Node, Owner, Reply},
    state::{Attempt, Phase, State},
};
use crate::search::Symmetric;

pub(super) struct Fencing {
    pub(super) scope: Scope,
    /// Attempts that nothing tells apart may be exchanged in these ways.
    pub(super) exchanges: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Sends the first request to all nodes.
    Start { attempt: usize, proposal: u64 },
    /// A request arrives, and its answer is on the way.
    Ask {
        attempt: usize,
        node: usize,
        proposal: u64,
    },
    /// Sends another request, to raise what nodes store.
    Raise { attempt: usize, to: u64 },
    /// The acquire is granted.
    Complete { attempt: usize, token: u64 },
    /// The acquire fails, or its deadline passes.
    GiveUp { attempt: usize },
    /// The lease is given back, or its deadline passes.
    End { attempt: usize },
    /// A release arrives.
    Release { attempt: usize, node: usize },
    /// A lock ends by itself.
    Expire { node: usize },
    /// A node loses everything.
    Forget { node: usize },
}

impl Fencing {
    pub(super) fn new(scope: Scope) -> Self {
        let exchanges = exchanges(&scope.attempts);
        Self { scope, exchanges }
    }

    fn owner(&self, attempt: usize) -> Owner {
        let nth = u8::try_from(attempt).unwrap_or(u8::MAX);
        match self.scope.fault {
            Some(Fault::ReusesAnOwnerToken) => Owner(self.scope.attempts[attempt].client),
            _ => Owner(nth),
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            cap: self.scope.cap,
            limit: self.scope.greatest,
        }
    }

    fn ask(&self, state: &State, attempt: usize, proposal: u64) -> Ask {
        let plan = self.scope.attempts[attempt];
        let previous = plan.after.filter(|_| plan.takes_over);
        let previous =
            previous.filter(|nth| matches!(state.attempts[*nth].phase, Phase::Done { .. }));
        Ask {
            owner: self.owner(attempt),
            from: previous.map(|nth| self.owner(nth)),
            proposal,
        }
    }

    fn may_start(&self, state: &State, attempt: usize) -> bool {
        let is_over = |nth: usize| {
            let phase = state.attempts[nth].phase;
            matches!(phase, Phase::Done { .. } | Phase::GaveUp)
        };
        let after = self.scope.attempts[attempt].after;
        state.attempts[attempt].phase == Phase::Planned && after.is_none_or(is_over)
    }

    fn may_complete(&self, attempt: &Attempt, token: u64) -> bool {
        match self.scope.fault {
            Some(Fault::CountsOwners | Fault::AgreesOnGrants) => {
                attempt.answers.reach(token, self.scope.quorum)
            }
            _ => attempt.answers.agree_on(token, self.scope.quorum),
        }
    }

    fn may_expire(&self, state: &State, holder: Owner) -> bool {
        let is_valid = |nth: usize| {
            self.owner(nth) == holder
                && match state.attempts[nth].phase {
                    Phase::Asking { .. } => true,
                    Phase::Done { is_held, .. } => is_held,
                    Phase::Planned | Phase::GaveUp => false,
                }
        };
        match self.scope.expiry {
            Expiry::Anytime => true,
            Expiry::Never => false,
            Expiry::AfterTheDeadline => {
                self.scope.fault == Some(Fault::EndsEarly)
                    || !(0..state.attempts.len()).any(is_valid)
            }
        }
    }

    fn start(&self, state: &mut State, attempt: usize, proposal: u64) {
        let plan = self.scope.attempts[attempt];
        if let (true, Some(previous)) = (plan.takes_over, plan.after) {
            state.attempts[previous].phase.end();
        }
        let floor = state.done().max().unwrap_or(0);
        let attempt = &mut state.attempts[attempt];
        attempt.phase = Phase::Asking { floor };
        attempt.proposals = match self.scope.proposals {
            Proposals::ThenRaises => Tokens::of([proposal].into_iter()),
            Proposals::Anything => Tokens::of(1..=self.scope.greatest),
        };
    }

    fn complete(&self, state: &mut State, attempt: usize, token: u64) {
        let Phase::Asking { floor } = state.attempts[attempt].phase else {
            return;
        };
        let is_beyond_all = state.done().all(|other| token > other);
        let attempt = &mut state.attempts[attempt];
        attempt.phase = Phase::Done {
            token,
            is_beyond_earlier: token > floor,
            is_beyond_all,
            is_held: self.scope.expiry == Expiry::AfterTheDeadline,
        };
        attempt.answers = Answers::default();
    }

    fn actions_of(&self, state: &State, nth: usize, actions: &mut Vec<Action>) {
        let attempt = &state.attempts[nth];
        if self.may_start(state, nth) {
            let most = match self.scope.proposals {
                Proposals::ThenRaises => self.scope.greatest,
                Proposals::Anything => 1,
            };
            actions.extend((1..=most).map(|proposal| Action::Start {
                attempt: nth,
                proposal,
            }));
        }
        for node in 0..NODES {
            actions.extend(attempt.proposals.iter().map(|proposal| Action::Ask {
                attempt: nth,
                node,
                proposal,
            }));
        }
        let is_disturbed = self.scope.expiry != Expiry::Never;
        let may_release = match attempt.phase {
            Phase::Planned => false,
            Phase::Asking { .. } => {
                for token in 1..=self.scope.greatest {
                    if self.may_complete(attempt, token) {
                        let attempt = nth;
                        actions.push(Action::Complete { attempt, token });
                    } else if attempt.answers.reach(token, self.scope.quorum) {
                        let (attempt, to) = (nth, token);
                        actions.push(Action::Raise { attempt, to });
                    }
                }
                if is_disturbed {
                    actions.push(Action::GiveUp { attempt: nth });
                }
                false
            }
            Phase::Done { is_held: true, .. } => {
                actions.push(Action::End { attempt: nth });
                false
            }
            Phase::Done { .. } | Phase::GaveUp => is_disturbed,
        };
        if may_release {
            actions.extend((0..NODES).map(|node| Action::Release { attempt: nth, node }));
        }
    }
}

impl Model for Fencing {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let planned = Attempt {
            phase: Phase::Planned,
            proposals: Tokens::default(),
            answers: Answers::default(),
        };
        let fences = 0..=self.scope.fences;
        let fences = fences.clone().flat_map(|a| {
            let fences = fences.clone();
            fences
                .clone()
                .flat_map(move |b| fences.clone().map(move |c| [a, b, c]))
        });
        let states = fences.map(|fences| State {
            nodes: fences.map(|fence| Node { lock: None, fence }),
            attempts: vec![planned; self.scope.attempts.len()],
            losses: 0,
        });
        states.map(|state| self.canonical(state)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for nth in 0..state.attempts.len() {
            self.actions_of(state, nth, actions);
        }
        for (nth, node) in state.nodes.iter().enumerate() {
            if let Some(holder) = node.lock
                && self.may_expire(state, holder)
            {
                actions.push(Action::Expire { node: nth });
            }
            if state.losses < self.scope.losses {
                actions.push(Action::Forget { node: nth });
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let next = self.step(state, &action);
        next.map(|next| self.canonical(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(RISES, |_, state: &State| {
                state.all_done(|is_beyond_earlier, _| is_beyond_earlier)
            }),
            Property::always(UNIQUE, |_, state: &State| {
                let mut tokens: Vec<_> = state.done().collect();
                tokens.sort_unstable();
                tokens.is_sorted_by(|a, b| a < b)
            }),
            Property::sometimes(ONE_DONE, |_, state: &State| state.done().next().is_some()),
            Property::sometimes(ALL_DONE, |_, state: &State| {
                state.done().count() == state.attempts.len()
            }),
        ];
        match self.scope.expiry {
            Expiry::Anytime => {}
            Expiry::AfterTheDeadline => properties.extend([
                Property::always(ORDERS, |_, state: &State| {
                    state.all_done(|_, is_beyond_all| is_beyond_all)
                }),
                Property::always(EXCLUDES, |_, state: &State| state.held() <= 1),
            ]),
            Expiry::Never => properties.push(Property::always(
                COMPLETES,
                |model: &Self, state: &State| {
                    model.next_steps(state).next().is_some()
                        || state.done().count() == state.attempts.len()
                },
            )),
        }
        properties
    }
}

impl Fencing {
    fn next_steps(&self, state: &State) -> impl Iterator<Item = State> {
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        actions
            .into_iter()
            .filter_map(|action| self.step(state, &action))
    }
}

impl Symmetric for Fencing {
    fn step(&self, state: &State, action: &Action) -> Option<State> {
        let mut next = state.clone();
        match *action {
            Action::Start { attempt, proposal } => self.start(&mut next, attempt, proposal),
            Action::Ask {
                attempt,
                node,
                proposal,
            } => {
                let ask = self.ask(state, attempt, proposal);
                let node_state = &mut next.nodes[node];
                let reply = fault::acquire(node_state, ask, self.bounds(), self.scope.fault);
                let attempt = &mut next.attempts[attempt];
                if let (Reply::Granted(token), Phase::Asking { .. }) = (reply, attempt.phase) {
                    attempt.answers.insert(node, token);
                }
            }
            Action::Raise { attempt, to } => next.attempts[attempt].proposals.insert(to),
            Action::Complete { attempt, token } => self.complete(&mut next, attempt, token),
            Action::GiveUp { attempt } => {
                let attempt = &mut next.attempts[attempt];
                attempt.phase = Phase::GaveUp;
                attempt.answers = Answers::default();
            }
            Action::End { attempt } => next.attempts[attempt].phase.end(),
            Action::Release { attempt, node } => {
                let owner = self.owner(attempt);
                fault::release(&mut next.nodes[node], owner, self.scope.fault);
            }
            Action::Expire { node } => next.nodes[node].lock = None,
            Action::Forget { node } => {
                next.nodes[node] = Node::default();
                next.losses += 1;
            }
        }
        (next != *state).then_some(next)
    }

    /// Nodes in order, and of exchangeable attempts the first in order.
    fn canonical(&self, state: State) -> State {
        let exchanged = self.exchanges.iter().map(|order| state.exchanged(order));
        let exchanged = exchanged.map(State::with_sorted_nodes).min();
        exchanged.unwrap_or(state)
    }
}

/// Every way to exchange attempts that stand alone.
fn exchanges(attempts: &[Plan]) -> Vec<Vec<usize>> {
    let is_alone = |nth: &usize| {
        attempts[*nth].after.is_none() && attempts.iter().all(|plan| plan.after != Some(*nth))
    };
    let alone: Vec<usize> = (0..attempts.len()).filter(is_alone).collect();
    let mut orders = vec![(0..attempts.len()).collect::<Vec<_>>()];
    for (nth, first) in alone.iter().enumerate() {
        let more: Vec<_> = alone[nth + 1..]
            .iter()
            .flat_map(|second| {
                orders.iter().map(|order| {
                    let mut order = order.clone();
                    order.swap(*first, *second);
                    order
                })
            })
            .collect();
        orders.extend(more);
    }
    orders.sort_unstable();
    orders.dedup();
    orders
}
