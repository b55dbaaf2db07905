//! What may happen, and what comes of it.

use stateright::{Model, Property};

use super::{
    Budget, CLIENTS, Fault, Passes, Replies, Scope,
    node::{Node, Request},
    state::{Client, Column, Link, Phase, State},
};
use crate::search::Symmetric;

pub(super) struct Waiting {
    pub(super) scope: Scope,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
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
    /// A pass arrives too late to be a grant.
    LatePass { client: usize, attempt: u8 },
    /// Leaves a round, as the next attempt has a reservation already.
    Overtake { client: usize },
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
        if let Request::Leave { stays, .. } = request
            && self.scope.do_passes_overtake
        {
            // Before the lock is looked at, as `release.lua` does.
            column.node.line[client] = stays.or(column.node.line[client]);
        }
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
            let is_left = |link: &Link| match (self.scope.passes, self.scope.fault) {
                (Passes::GivenOn, _) => link.is_passed,
                (_, Some(Fault::StaysInOtherLines)) => false,
                _ => link.vote != Some(true),
            };
            state.send(client, Request::leave(next), is_left);
            state.end_round(client);
        } else if granted + open < self.quorum() {
            let is_passed = state.is_overtaken(client);
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

    /// The lease counts from when its client asked, so that no time limit is
    /// needed here: the lock cannot have ended before.
    fn hear_grant(state: &mut State, client: usize, node: usize, attempt: u8) {
        state.nodes[node].links[client].take_pass(attempt);
        let next = state.new_attempt(client);
        let this = &mut state.clients[client];
        if this.phase == Phase::Waits && this.next == attempt {
            this.phase = Phase::Holds;
            (this.attempt, this.next) = (attempt, next);
        }
    }

    fn hear(&self, state: &mut State, client: usize, node: usize, attempt: u8) {
        let link = &mut state.nodes[node].links[client];
        link.take_pass(attempt);
        let fault = self.scope.fault;
        let this = state.clients[client];
        match this.phase {
            Phase::Waits if self.scope.passes == Passes::ForTickets => {
                self.begin_round(state, client);
            }
            Phase::Asking if self.scope.passes == Passes::ForTickets => {
                link.is_passed = fault != Some(Fault::ForgetsAPassDuringARound);
            }
            Phase::Holds | Phase::Left if self.scope.passes != Passes::GivenOn => {}
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
        if self.scope.do_passes_overtake {
            let clients = 0..self.scope.clients;
            let overtaken = clients.filter(|client| state.is_overtaken(*client));
            actions.extend(overtaken.map(|client| Action::Overtake { client }));
        }
        if self.scope.passes == Passes::Grants {
            let late = actions.iter().filter_map(|action| match *action {
                Action::Pass {
                    client, attempt, ..
                } => Some(Action::LatePass { client, attempt }),
                _ => None,
            });
            let late: Vec<_> = late.collect();
            actions.extend(late);
        }
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
        // The graph of all states is looked at instead.
        Vec::new()
    }
}

impl Symmetric for Waiting {
    fn step(&self, state: &State, action: &Action) -> Option<State> {
        let mut next_state = state.clone();
        match *action {
            Action::Timer { client } => self.begin_round(&mut next_state, client),
            Action::Handle { client, node } => self.handle(&mut next_state, client, node),
            Action::Answer { client, node } => self.answer(&mut next_state, client, node),
            Action::Pass {
                client,
                node,
                attempt,
            } if self.scope.passes == Passes::Grants
                && state.clients[client].phase == Phase::Waits =>
            {
                Self::hear_grant(&mut next_state, client, node, attempt);
            }
            Action::Pass {
                client,
                node,
                attempt,
            } => self.hear(&mut next_state, client, node, attempt),
            Action::LatePass { client, attempt } => {
                self.hear(&mut next_state, client, 0, attempt);
            }
            Action::Overtake { client } => {
                let Client { attempt, next, .. } = state.clients[client];
                let stays = Some(next);
                next_state.send(client, Request::Leave { attempt, stays }, |_| true);
                self.begin_round(&mut next_state, client);
            }
            Action::Release { client } => Self::leave(&mut next_state, client),
            Action::GiveUp { client } => {
                next_state.used.give_ups += 1;
                Self::leave(&mut next_state, client);
            }
            Action::Crash { client, is_sent } => {
                next_state.used.crashes += 1;
                next_state.crash(client, is_sent);
            }
            Action::Lose {
                client,
                node,
                attempt,
            } => {
                next_state.used.lost_passes += 1;
                next_state.nodes[node].links[client].take_pass(attempt);
            }
            Action::Expire { node } => {
                if !state.is_quiet() {
                    next_state.used.slow_claims += 1;
                }
                next_state.nodes[node].node.lock = None;
            }
            Action::Forget { node } => {
                next_state.used.lost_lines += 1;
                next_state.nodes[node].node.line.fill(None);
            }
        }
        Some(next_state)
    }

    /// Nodes in order, attempts numbered anew, and no pass that nobody minds.
    fn canonical(&self, mut state: State) -> State {
        let fault = self.scope.fault;
        if self.scope.passes != Passes::GivenOn {
            state.drop_passes_for_those_who_left();
        }
        if self.scope.passes != Passes::ForTickets
            && !matches!(fault, Some(Fault::CountsPasses | Fault::GivesOnItsOwnLease))
        {
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
