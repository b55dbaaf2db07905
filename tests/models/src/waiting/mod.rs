//! Waiting for a lock that is passed on: tickets, passes and claims.
//!
//! Each client wants the lock once, holds it, and gives it back.
//! Requests to a node stay in their order; passes overtake everything.
//! A reservation and a dead client's lock end, and timers fire, only when
//! nothing else can happen: such states are the ones that need a timer.

mod fault;
mod fifo;
mod node;

use stateright::{Model, Property};

pub use self::fault::Fault;
use self::{
    fifo::Fifo,
    node::{Node, Request},
};
use crate::{
    graph::{Graph, Kind, explore},
    search::Symmetric,
};

/// The most clients.
const CLIENTS: usize = 3;

/// When a node's answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// At once: fewer states.
    AtOnce,
    /// At any time.
    AtAnyTime,
}

/// What a pass says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// The attempt that the lock is reserved for. Who no longer waits gives the
    /// pass on.
    ForTheAttempt,
    /// The ticket, and every pass begins a round or is remembered. Whoever has
    /// the lock leaves the lines of the other nodes, and minds no pass.
    ForTheTicket,
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Scope {
    nodes: usize,
    clients: usize,
    replies: Replies,
    passes: Passes,
    do_newcomers_barge: bool,
    faults: Budget,
    fault: Option<Fault>,
}

/// How often what goes wrong does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// Passes that nobody hears.
    pub lost_passes: u8,
    /// Clients that die.
    pub crashes: u8,
    /// Clients that wait no longer.
    pub give_ups: u8,
    /// Reservations that end before the claim arrives.
    pub slow_claims: u8,
    /// Nodes that lose their line.
    pub lost_lines: u8,
}

impl Scope {
    /// Nothing goes wrong.
    pub fn new(nodes: usize, clients: usize) -> Self {
        Self {
            nodes,
            clients,
            replies: Replies::AtOnce,
            passes: Passes::ForTheAttempt,
            do_newcomers_barge: false,
            faults: Budget::default(),
            fault: None,
        }
    }

    /// Answers that arrive at any time.
    #[must_use]
    pub fn with_late_replies(self) -> Self {
        let replies = Replies::AtAnyTime;
        Self { replies, ..self }
    }

    /// Passes that name a ticket and no attempt.
    #[must_use]
    pub fn with_passes_for_tickets(self) -> Self {
        let passes = Passes::ForTheTicket;
        Self { passes, ..self }
    }

    /// First attempts that take a free lock whoever is in line.
    #[must_use]
    pub fn with_newcomers_that_barge(self) -> Self {
        Self {
            do_newcomers_barge: true,
            ..self
        }
    }

    /// So much goes wrong.
    #[must_use]
    pub fn under(self, faults: Budget) -> Self {
        Self { faults, ..self }
    }

    /// One rule is broken.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        let fault = Some(fault);
        Self { fault, ..self }
    }

    /// Visits every state.
    pub fn explore(self) -> Graph {
        let waiting = Waiting { scope: self };
        let kinds: [Kind<Waiting, State>; 4] = [
            (TWO_HOLD, |_, state| state.holders() > 1),
            (NEEDS_A_TIMER, |_, state| {
                state.is_quiet() && state.is_awaited()
            }),
            (LEFT_OVER, |_, state| state.is_quiet() && state.is_locked()),
            (ALL_SERVED, |_, state| state.is_over()),
        ];
        explore(&waiting, &kinds)
    }
}

/// Two clients hold the lock.
pub const TWO_HOLD: &str = "two hold the lock";
/// Somebody waits, and nothing but a timer helps.
pub const NEEDS_A_TIMER: &str = "somebody waits, and only a timer helps";
/// A lock that nobody will give back.
pub const LEFT_OVER: &str = "a lock is left to run out";
/// Everybody held the lock, or left.
pub const ALL_SERVED: &str = "everybody is served";

struct Waiting {
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    nodes: Vec<Column>,
    clients: [Client; CLIENTS],
    used: Budget,
}

/// A node, and all that is between it and the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Column {
    node: Node,
    links: [Link; CLIENTS],
}

/// What is between a node and one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Link {
    requests: Fifo<Request>,
    /// The answer to the round's request, on its way.
    reply: Option<bool>,
    /// Passes on their way: the attempts that they are for.
    passes: [Option<u8>; PASSES],
    /// What the client knows of this round's answer.
    vote: Option<bool>,
    /// Whether a pass for the next attempt has arrived during this round.
    is_passed: bool,
}

/// No more passes than these are on their way from one node to one client.
const PASSES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Client {
    phase: Phase,
    /// The attempt of the round or of the lease.
    attempt: u8,
    /// The next attempt, by which the ticket is in line.
    next: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phase {
    Asking,
    Waits,
    Holds,
    Left,
    Dead,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    /// A request arrives.
    Handle { client: usize, node: usize },
    /// An answer arrives.
    Answer { client: usize, node: usize },
    /// A pass arrives.
    Pass {
        client: usize,
        node: usize,
        attempt: u8,
    },
    /// The holder gives back.
    Release { client: usize },
    /// Waits no longer.
    GiveUp { client: usize },
    /// Dies; what it has sent arrives, or not.
    Crash { client: usize, is_sent: bool },
    /// A pass is lost.
    Lose {
        client: usize,
        node: usize,
        attempt: u8,
    },
    /// A lock ends by itself.
    Expire { node: usize },
    /// A node loses its line.
    Forget { node: usize },
    /// The safety net.
    Timer { client: usize },
}

impl Waiting {
    fn quorum(&self) -> usize {
        match self.scope.fault {
            Some(Fault::NeedsOneNode) => 1,
            _ => self.scope.nodes / 2 + 1,
        }
    }

    /// Asks all nodes with the next attempt's token.
    fn begin_round(&self, state: &mut State, client: usize) {
        let next = state.new_attempt(client);
        let do_barge = self.scope.do_newcomers_barge;
        let is_first = do_barge && state.clients[client].phase == Phase::Left;
        let this = &mut state.clients[client];
        this.phase = Phase::Asking;
        this.attempt = this.next;
        this.next = match self.scope.fault {
            Some(Fault::EntersTheRefusedToken) => this.attempt,
            _ => next,
        };
        let (attempt, next) = (this.attempt, this.next);
        for column in &mut state.nodes {
            let link = &mut column.links[client];
            link.requests.push(Request::Acquire {
                attempt,
                next,
                is_first,
            });
            (link.vote, link.reply, link.is_passed) = (None, None, false);
        }
    }

    fn handle(&self, state: &mut State, client: usize, node: usize) {
        let dead: Vec<bool> = state.clients.iter().map(|this| this.is_dead()).collect();
        let column = &mut state.nodes[node];
        let Some(request) = column.links[client].requests.pop() else {
            return;
        };
        let ticket = u8::try_from(client).unwrap_or(u8::MAX);
        let is_dead = |client: u8| dead[usize::from(client)];
        let fault = self.scope.fault;
        let outcome = column.node.handle(ticket, request, is_dead, fault);
        if let Some(token) = outcome.passed {
            column.links[usize::from(token.client)].add_pass(token.attempt);
        }
        let this = state.clients[client];
        if let Request::Acquire { attempt, .. } = request
            && this.phase == Phase::Asking
            && this.attempt == attempt
        {
            column.links[client].reply = Some(outcome.is_granted);
            if self.scope.replies == Replies::AtOnce {
                self.answer(state, client, node);
            }
        }
    }

    fn answer(&self, state: &mut State, client: usize, node: usize) {
        let link = &mut state.nodes[node].links[client];
        link.vote = link.reply.take().or(link.vote);
        self.decide(state, client);
    }

    /// A quorum is the lease; without one everything is given back.
    fn decide(&self, state: &mut State, client: usize) {
        let votes = state.nodes.iter().map(|column| column.links[client].vote);
        let granted = votes.clone().filter(|vote| *vote == Some(true)).count();
        let open = votes.filter(Option::is_none).count();
        let next = state.clients[client].next;
        if granted >= self.quorum() {
            state.clients[client].phase = Phase::Holds;
            let passes = self.scope.passes;
            state.send(client, Request::leave(next), |link| match passes {
                Passes::ForTheAttempt => link.is_passed,
                Passes::ForTheTicket => link.vote != Some(true),
            });
            state.end_round(client);
        } else if granted + open < self.quorum() {
            let is_passed = state
                .nodes
                .iter()
                .any(|column| column.links[client].is_passed);
            self.give_back(state, client);
            state.clients[client].phase = Phase::Waits;
            state.end_round(client);
            if is_passed {
                self.begin_round(state, client);
            }
        }
    }

    /// Gives back what was granted or may be; the ticket stays in line.
    fn give_back(&self, state: &mut State, client: usize) {
        let Client { attempt, next, .. } = state.clients[client];
        if self.scope.fault == Some(Fault::EntersTheRefusedToken) {
            state.send(client, Request::leave(attempt), |_| true);
        } else {
            let stays = Some(next);
            let request = Request::Leave { attempt, stays };
            state.send(client, request, |link| link.vote != Some(false));
        }
    }

    fn hear(&self, state: &mut State, client: usize, node: usize, attempt: u8) {
        let link = &mut state.nodes[node].links[client];
        link.take_pass(attempt);
        let fault = self.scope.fault;
        let this = state.clients[client];
        match this.phase {
            Phase::Waits if self.scope.passes == Passes::ForTheTicket => {
                self.begin_round(state, client);
            }
            Phase::Asking if self.scope.passes == Passes::ForTheTicket => {
                link.is_passed = fault != Some(Fault::ForgetsAPassDuringARound);
            }
            _ if self.scope.passes == Passes::ForTheTicket => {}
            Phase::Waits if attempt == this.next => {
                self.begin_round(state, client);
                if fault == Some(Fault::CountsPasses) {
                    state.nodes[node].links[client].vote = Some(true);
                    self.decide(state, client);
                }
            }
            Phase::Asking if attempt == this.attempt && fault == Some(Fault::CountsPasses) => {
                link.vote = Some(true);
                self.decide(state, client);
            }
            Phase::Asking if attempt == this.next => {
                link.is_passed = fault != Some(Fault::ForgetsAPassDuringARound);
            }
            Phase::Holds if attempt != this.attempt || fault == Some(Fault::GivesOnItsOwnLease) => {
                link.give_on(attempt, fault);
            }
            Phase::Left => link.give_on(attempt, fault),
            _ => {}
        }
    }

    fn leave(state: &mut State, client: usize) {
        let this = state.clients[client];
        if matches!(this.phase, Phase::Asking | Phase::Holds) {
            state.send(client, Request::leave(this.attempt), |_| true);
        }
        if matches!(this.phase, Phase::Asking | Phase::Waits) {
            state.send(client, Request::leave(this.next), |_| true);
        }
        state.end_round(client);
        state.clients[client].phase = Phase::Left;
    }

    /// What happens by itself, in a world without faults and timers.
    fn regular(state: &State, actions: &mut Vec<Action>) {
        for (client, this) in state.clients.iter().enumerate() {
            if this.phase == Phase::Holds {
                actions.push(Action::Release { client });
            }
            for (node, column) in state.nodes.iter().enumerate() {
                let link = &column.links[client];
                if !link.requests.is_empty() {
                    actions.push(Action::Handle { client, node });
                }
                if link.reply.is_some() {
                    actions.push(Action::Answer { client, node });
                }
                actions.extend(link.passes.iter().flatten().map(|pass| Action::Pass {
                    client,
                    node,
                    attempt: *pass,
                }));
            }
        }
    }

    fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let (used, most) = (state.used, self.scope.faults);
        for (client, this) in state.clients.iter().enumerate() {
            let waits = matches!(this.phase, Phase::Asking | Phase::Waits);
            if used.give_ups < most.give_ups && waits {
                actions.push(Action::GiveUp { client });
            }
            if used.crashes < most.crashes && (waits || this.phase == Phase::Holds) {
                actions.extend([true, false].map(|is_sent| Action::Crash { client, is_sent }));
            }
            if used.lost_passes < most.lost_passes {
                for (node, column) in state.nodes.iter().enumerate() {
                    let passes = &column.links[client].passes;
                    actions.extend(passes.iter().flatten().map(|pass| Action::Lose {
                        client,
                        node,
                        attempt: *pass,
                    }));
                }
            }
        }
        for (node, column) in state.nodes.iter().enumerate() {
            if used.slow_claims < most.slow_claims && state.is_reserved(column) {
                actions.push(Action::Expire { node });
            }
            if used.lost_lines < most.lost_lines && column.node.line.iter().any(Option::is_some) {
                actions.push(Action::Forget { node });
            }
        }
    }

    /// What time brings when nothing else happens: first locks end.
    fn timers(state: &State, actions: &mut Vec<Action>) {
        let locked = state.nodes.iter().enumerate();
        let locked = locked.filter(|(_, column)| column.node.lock.is_some());
        actions.extend(locked.map(|(node, _)| Action::Expire { node }));
        if actions.is_empty() {
            let waiters = state.clients.iter().enumerate();
            let waiters = waiters.filter(|(_, this)| this.phase == Phase::Waits);
            actions.extend(waiters.map(|(client, _)| Action::Timer { client }));
        }
    }
}

impl Model for Waiting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let column = Column {
            node: Node::default(),
            links: [Link::NEW; CLIENTS],
        };
        let nobody = Client {
            phase: Phase::Left,
            attempt: 0,
            next: 0,
        };
        let mut state = State {
            nodes: vec![column; self.scope.nodes],
            clients: [nobody; CLIENTS],
            used: Budget::default(),
        };
        for client in 0..self.scope.clients {
            self.begin_round(&mut state, client);
        }
        vec![self.canonical(state)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        Self::regular(state, actions);
        if actions.is_empty() {
            Self::timers(state, actions);
        }
        self.faults(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let next = self.step(state, &action);
        next.map(|next| self.canonical(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

impl Symmetric for Waiting {
    fn step(&self, state: &State, action: &Action) -> Option<State> {
        let mut next = state.clone();
        match *action {
            Action::Timer { client } => self.begin_round(&mut next, client),
            Action::Handle { client, node } => self.handle(&mut next, client, node),
            Action::Answer { client, node } => self.answer(&mut next, client, node),
            Action::Pass {
                client,
                node,
                attempt,
            } => self.hear(&mut next, client, node, attempt),
            Action::Release { client } => Self::leave(&mut next, client),
            Action::GiveUp { client } => {
                next.used.give_ups += 1;
                Self::leave(&mut next, client);
            }
            Action::Crash { client, is_sent } => {
                next.used.crashes += 1;
                next.crash(client, is_sent);
            }
            Action::Lose {
                client,
                node,
                attempt,
            } => {
                next.used.lost_passes += 1;
                next.nodes[node].links[client].take_pass(attempt);
            }
            Action::Expire { node } => {
                if !state.is_quiet() {
                    next.used.slow_claims += 1;
                }
                next.nodes[node].node.lock = None;
            }
            Action::Forget { node } => {
                next.used.lost_lines += 1;
                next.nodes[node].node.line.fill(None);
            }
        }
        Some(next)
    }

    /// Nodes in order, attempts numbered anew, and no pass that nobody minds.
    fn canonical(&self, mut state: State) -> State {
        let fault = self.scope.fault;
        if self.scope.passes == Passes::ForTheTicket {
            state.drop_passes_for_those_who_left();
        } else if !matches!(fault, Some(Fault::CountsPasses | Fault::GivesOnItsOwnLease)) {
            state.drop_stale_passes();
        }
        state.sort_passes();
        for client in 0..state.clients.len() {
            state.renumber(client);
        }
        state.nodes.sort_unstable();
        state
    }
}

impl State {
    fn holders(&self) -> usize {
        let holders = self.clients.iter();
        holders.filter(|this| this.phase == Phase::Holds).count()
    }

    /// Whether nothing happens any more but for faults and timers.
    fn is_quiet(&self) -> bool {
        let mut actions = Vec::new();
        Waiting::regular(self, &mut actions);
        actions.is_empty()
    }

    fn is_awaited(&self) -> bool {
        let mut phases = self.clients.iter().map(|this| this.phase);
        phases.any(|phase| matches!(phase, Phase::Waits | Phase::Asking))
    }

    fn is_locked(&self) -> bool {
        self.nodes.iter().any(|column| column.node.lock.is_some())
    }

    fn is_over(&self) -> bool {
        let mut phases = self.clients.iter().map(|this| this.phase);
        self.is_quiet() && phases.all(|phase| matches!(phase, Phase::Left | Phase::Dead))
    }

    /// Whether the lock is passed to somebody who has not claimed it yet.
    fn is_reserved(&self, column: &Column) -> bool {
        column.node.lock.is_some_and(|token| {
            let client = usize::from(token.client);
            let this = self.clients[client];
            let acquires = |request: &Request| matches!(request, Request::Acquire { attempt, .. } if *attempt == token.attempt);
            let is_claimed = matches!(this.phase, Phase::Asking | Phase::Holds)
                && this.attempt == token.attempt
                && !column.links[client].requests.iter().any(acquires);
            !is_claimed
        })
    }

    fn send(&mut self, client: usize, request: Request, to: impl Fn(&Link) -> bool) {
        for column in &mut self.nodes {
            let link = &mut column.links[client];
            if to(link) {
                link.requests.push(request);
            }
        }
    }

    fn end_round(&mut self, client: usize) {
        for column in &mut self.nodes {
            let link = &mut column.links[client];
            (link.vote, link.reply, link.is_passed) = (None, None, false);
        }
    }

    fn crash(&mut self, client: usize, is_sent: bool) {
        self.end_round(client);
        self.clients[client].phase = Phase::Dead;
        for column in &mut self.nodes {
            let link = &mut column.links[client];
            link.passes = [None; PASSES];
            if !is_sent {
                link.requests = Fifo::EMPTY;
            }
        }
    }

    /// Takes away the passes that come too late for whom they are for: their
    /// round has begun, and its request claims what they passed.
    fn drop_stale_passes(&mut self) {
        for column in &mut self.nodes {
            for (link, this) in column.links.iter_mut().zip(&self.clients) {
                let is_stale = |attempt: u8| match this.phase {
                    Phase::Asking | Phase::Waits => attempt != this.next,
                    Phase::Holds => attempt == this.attempt,
                    Phase::Left | Phase::Dead => false,
                };
                for pass in &mut link.passes {
                    *pass = pass.filter(|attempt| !is_stale(*attempt));
                }
            }
        }
    }

    fn drop_passes_for_those_who_left(&mut self) {
        for column in &mut self.nodes {
            for (link, this) in column.links.iter_mut().zip(&self.clients) {
                if !matches!(this.phase, Phase::Asking | Phase::Waits) {
                    link.passes = [None; PASSES];
                }
            }
        }
    }

    fn sort_passes(&mut self) {
        for column in &mut self.nodes {
            for link in &mut column.links {
                link.passes.sort_unstable();
            }
        }
    }

    /// A number that none of the client's attempts has.
    fn new_attempt(&mut self, client: usize) -> u8 {
        let mut greatest = 0;
        self.each_attempt(client, |attempt| greatest = greatest.max(*attempt));
        greatest + 1
    }

    /// Attempts are the same or not; how many there were is nobody's business.
    fn renumber(&mut self, client: usize) {
        let mut known = 0_u32;
        self.each_attempt(client, |attempt| known |= 1 << *attempt);
        self.each_attempt(client, |attempt| {
            let below = known & ((1 << *attempt) - 1);
            *attempt = u8::try_from(below.count_ones()).unwrap_or(u8::MAX);
        });
    }

    fn each_attempt(&mut self, client: usize, mut visit: impl FnMut(&mut u8)) {
        let this = &mut self.clients[client];
        match this.phase {
            Phase::Left | Phase::Dead => (this.attempt, this.next) = (0, 0),
            Phase::Waits => {
                this.attempt = this.next;
                visit(&mut this.attempt);
                visit(&mut this.next);
            }
            Phase::Asking | Phase::Holds => {
                visit(&mut this.attempt);
                visit(&mut this.next);
            }
        }
        for column in &mut self.nodes {
            let holder = column.node.lock.as_mut();
            if let Some(token) = holder.filter(|token| usize::from(token.client) == client) {
                visit(&mut token.attempt);
            }
            if let Some(attempt) = &mut column.node.line[client] {
                visit(attempt);
            }
            let link = &mut column.links[client];
            for request in link.requests.iter_mut() {
                match request {
                    Request::Acquire { attempt, next, .. } => {
                        visit(attempt);
                        visit(next);
                    }
                    Request::Leave { attempt, stays } => {
                        visit(attempt);
                        stays.iter_mut().for_each(&mut visit);
                    }
                }
            }
            link.passes.iter_mut().flatten().for_each(&mut visit);
        }
    }
}

impl Link {
    const NEW: Self = Self {
        requests: Fifo::EMPTY,
        reply: None,
        passes: [None; PASSES],
        vote: None,
        is_passed: false,
    };

    fn add_pass(&mut self, attempt: u8) {
        let free = self.passes.iter_mut().find(|pass| pass.is_none());
        assert!(free.is_some(), "too many passes on their way");
        if let Some(free) = free {
            *free = Some(attempt);
        }
    }

    fn take_pass(&mut self, attempt: u8) {
        let mut passes = self.passes.iter_mut();
        if let Some(pass) = passes.find(|pass| **pass == Some(attempt)) {
            *pass = None;
        }
    }

    /// Gives a pass on to the next in line.
    fn give_on(&mut self, attempt: u8, fault: Option<Fault>) {
        if fault != Some(Fault::KeepsAPassThatComesTooLate) {
            self.requests.push(Request::leave(attempt));
        }
    }
}

impl Client {
    fn is_dead(self) -> bool {
        self.phase == Phase::Dead
    }
}

impl Request {
    fn leave(attempt: u8) -> Self {
        Self::Leave {
            attempt,
            stays: None,
        }
    }
}
