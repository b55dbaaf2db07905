//! Fencing tokens and exclusion over three independent nodes.
//!
//! The network loses, repeats, delays and reorders: what was sent once may
//! arrive at any node, at any time, any number of times, or never.
//! So the state has no messages in flight, only what was ever asked and ever
//! answered.
//! Clients stop anywhere, since no step is ever due.

mod answers;
mod fault;
mod node;

use stateright::{Model, Property};

use self::answers::Tokens;
pub use self::{
    answers::Answers,
    fault::Fault,
    node::{Ask, Bounds, Node, Owner, Reply},
};
use crate::search::{Found, Symmetric, search};

/// How many nodes there are.
pub const NODES: usize = 3;

/// One attempt of a client to acquire.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whose it is.
    pub client: u8,
    /// The client's attempt that is over when this one starts.
    pub after: Option<usize>,
    /// Whether it takes the lock over from that one (`from`), if that one got
    /// it; otherwise it is a retry.
    pub takes_over: bool,
}

impl Plan {
    /// The only attempt of a client.
    pub const fn by(client: u8) -> Self {
        Self {
            client,
            after: None,
            takes_over: false,
        }
    }

    /// The client's next attempt after this one.
    #[must_use]
    pub const fn retry(self, previous: usize) -> Self {
        Self {
            after: Some(previous),
            ..self
        }
    }

    /// An attempt that takes the lock over from this one.
    #[must_use]
    pub const fn successor(self, previous: usize) -> Self {
        Self {
            after: Some(previous),
            takes_over: true,
            ..self
        }
    }
}

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proposals {
    /// Anything first; then, once a quorum has granted, the greatest token
    /// that it answered.
    ThenRaises,
    /// Anything at any time: more than any client does.
    Anything,
}

/// When locks end that nobody gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// At any time, also while their owner believes to hold them.
    Anytime,
    /// Not before the deadline of their lease.
    AfterTheDeadline,
    /// Never, and nobody gives up: what must then come to an end does.
    Never,
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The attempts that may be made.
    attempts: Vec<Plan>,
    /// What they ask for.
    proposals: Proposals,
    /// The greatest token there is; beyond it a fence is spoilt.
    greatest: u64,
    /// The greatest proposal that a new owner is given.
    cap: u64,
    /// Fences start anywhere from zero to this.
    fences: u64,
    /// When locks end by themselves.
    expiry: Expiry,
    /// How many nodes decide.
    quorum: usize,
    /// How often a node loses its lock and its fence.
    losses: u8,
    /// What is wrong.
    fault: Option<Fault>,
}

impl Scope {
    /// Locks that end at any time, and tokens up to a greatest one.
    pub fn new(attempts: Vec<Plan>, greatest: u64) -> Self {
        Self {
            attempts,
            proposals: Proposals::ThenRaises,
            greatest,
            cap: greatest,
            fences: 0,
            expiry: Expiry::Anytime,
            quorum: NODES / 2 + 1,
            losses: 0,
            fault: None,
        }
    }

    /// Clients that may ask for anything at any time.
    #[must_use]
    pub fn asking_anything(self) -> Self {
        let proposals = Proposals::Anything;
        Self { proposals, ..self }
    }

    /// Locks that outlive the lease of their owner.
    #[must_use]
    pub fn on_time(self) -> Self {
        let expiry = Expiry::AfterTheDeadline;
        Self { expiry, ..self }
    }

    /// So many nodes decide, and nodes lose everything so often.
    #[must_use]
    pub fn losing(self, quorum: usize, losses: u8) -> Self {
        Self {
            quorum,
            losses,
            ..self
        }
    }

    /// One attempt that nothing disturbs, over fences that disagree.
    pub fn alone() -> Self {
        Self {
            cap: 2,
            fences: 3,
            expiry: Expiry::Never,
            ..Self::new(vec![Plan::by(0)], 5)
        }
    }

    /// With one rule broken.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        let quorum = match fault {
            Fault::NeedsOneNode => 1,
            _ => self.quorum,
        };
        Self {
            quorum,
            fault: Some(fault),
            ..self
        }
    }

    /// Searches it to the end, or until a promise is broken.
    pub fn search(self) -> Found {
        search(Fencing::new(self))
    }
}

/// (i) of DESIGN: greater than all that completed before it started.
pub const RISES: &str = "an acquire gets a token beyond all that completed before it started";
/// (ii) of DESIGN.
pub const UNIQUE: &str = "no two acquires get the same token";
/// (iii) of DESIGN.
pub const ORDERS: &str = "tokens order the critical sections";
/// One holder.
pub const EXCLUDES: &str = "no two leases are held at once";
/// What no disturbance prevents.
pub const COMPLETES: &str = "an acquire that nothing disturbs completes";
/// The first attempt.
pub const ONE_DONE: &str = "an acquire completes";
/// Every attempt.
pub const ALL_DONE: &str = "every acquire completes";

struct Fencing {
    scope: Scope,
    /// Attempts that nothing tells apart may be exchanged in these ways.
    exchanges: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct State {
    nodes: [Node; NODES],
    attempts: Vec<Attempt>,
    losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Attempt {
    phase: Phase,
    /// What it has ever asked for.
    proposals: Tokens,
    answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phase {
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

#[derive(Debug, Clone, PartialEq)]
enum Action {
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
    fn new(scope: Scope) -> Self {
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
            end(&mut state.attempts[previous].phase);
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
            Action::End { attempt } => end(&mut next.attempts[attempt].phase),
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

impl State {
    /// The tokens of what has completed.
    fn done(&self) -> impl Iterator<Item = u64> {
        self.attempts
            .iter()
            .filter_map(|attempt| match attempt.phase {
                Phase::Done { token, .. } => Some(token),
                _ => None,
            })
    }

    fn all_done(&self, are: impl Fn(bool, bool) -> bool) -> bool {
        self.attempts.iter().all(|attempt| match attempt.phase {
            Phase::Done {
                is_beyond_earlier,
                is_beyond_all,
                ..
            } => are(is_beyond_earlier, is_beyond_all),
            _ => true,
        })
    }

    fn held(&self) -> usize {
        let is_held =
            |attempt: &&Attempt| matches!(attempt.phase, Phase::Done { is_held: true, .. });
        self.attempts.iter().filter(is_held).count()
    }

    fn exchanged(&self, order: &[usize]) -> Self {
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

    fn with_sorted_nodes(mut self) -> Self {
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

fn end(phase: &mut Phase) {
    if let Phase::Done { is_held, .. } = phase {
        *is_held = false;
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
