//! Clients, nodes, and what is on its way between them.

use super::{
    Budget, CLIENTS,
    fault::Fault,
    fifo::Fifo,
    node::{Node, Request},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) nodes: Vec<Column>,
    pub(super) clients: [Client; CLIENTS],
    pub(super) used: Budget,
}

/// A node, and all that is between it and the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) node: Node,
    pub(super) links: [Link; CLIENTS],
}

/// What is between a node and one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) requests: Fifo<Request>,
    /// The answer to the round's request, on its way.
    pub(super) reply: Option<bool>,
    /// Passes on their way: the attempts that they are for.
    pub(super) passes: [Option<u8>; PASSES],
    /// What the client knows of this round's answer.
    pub(super) vote: Option<bool>,
    /// Whether a pass for the next attempt has arrived during this round.
    pub(super) is_passed: bool,
}

/// No more passes than these are on their way from one node to one client.
const PASSES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Client {
    pub(super) phase: Phase,
    /// The attempt of the round or of the lease.
    pub(super) attempt: u8,
    /// The next attempt, by which the ticket is in line.
    pub(super) next: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Asking,
    Waits,
    Holds,
    Left,
    Dead,
}

impl State {
    pub(super) fn holders(&self) -> usize {
        let holders = self.clients.iter();
        holders.filter(|this| this.phase == Phase::Holds).count()
    }

    /// Whether nothing happens any more but for faults and timers.
    pub(super) fn is_quiet(&self) -> bool {
        let mut links = self.nodes.iter().flat_map(|column| &column.links);
        self.holders() == 0 && links.all(Link::is_idle)
    }

    pub(super) fn is_awaited(&self) -> bool {
        let mut phases = self.clients.iter().map(|this| this.phase);
        phases.any(|phase| matches!(phase, Phase::Waits | Phase::Asking))
    }

    pub(super) fn is_locked(&self) -> bool {
        self.nodes.iter().any(|column| column.node.lock.is_some())
    }

    pub(super) fn is_over(&self) -> bool {
        let mut phases = self.clients.iter().map(|this| this.phase);
        self.is_quiet() && phases.all(|phase| matches!(phase, Phase::Left | Phase::Dead))
    }

    /// Whether a pass for the next attempt has arrived during a round.
    pub(super) fn is_overtaken(&self, client: usize) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|column| column.links[client].is_passed)
    }

    /// Whether the lock is passed to somebody who has not claimed it yet.
    pub(super) fn is_reserved(&self, column: &Column) -> bool {
        column.node.lock.is_some_and(|token| {
            let client = usize::from(token.client);
            let this = self.clients[client];
            let has_asked =
                matches!(this.phase, Phase::Asking | Phase::Holds) && this.attempt == token.attempt;
            let mut requests = column.links[client].requests.iter();
            !has_asked || requests.any(|request| request.acquires(token.attempt))
        })
    }

    pub(super) fn send(&mut self, client: usize, request: Request, to: impl Fn(&Link) -> bool) {
        for column in &mut self.nodes {
            let link = &mut column.links[client];
            if to(link) {
                link.requests.push(request);
            }
        }
    }

    pub(super) fn end_round(&mut self, client: usize) {
        for column in &mut self.nodes {
            let link = &mut column.links[client];
            (link.vote, link.reply, link.is_passed) = (None, None, false);
        }
    }

    pub(super) fn crash(&mut self, client: usize, is_sent: bool) {
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
    pub(super) fn drop_stale_passes(&mut self) {
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

    pub(super) fn drop_passes_for_those_who_left(&mut self) {
        for column in &mut self.nodes {
            for (link, this) in column.links.iter_mut().zip(&self.clients) {
                if !matches!(this.phase, Phase::Asking | Phase::Waits) {
                    link.passes = [None; PASSES];
                }
            }
        }
    }

    pub(super) fn sort_passes(&mut self) {
        for column in &mut self.nodes {
            for link in &mut column.links {
                link.passes.sort_unstable();
            }
        }
    }

    /// A number that none of the client's attempts has.
    pub(super) fn new_attempt(&mut self, client: usize) -> u8 {
        let mut greatest = 0;
        self.each_attempt(client, |attempt| greatest = greatest.max(*attempt));
        greatest + 1
    }

    /// Attempts are the same or not; how many there were is nobody's business.
    pub(super) fn renumber(&mut self, client: usize) {
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
    pub(super) const NEW: Self = Self {
        requests: Fifo::EMPTY,
        reply: None,
        passes: [None; PASSES],
        vote: None,
        is_passed: false,
    };

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        let passes = self.passes.iter();
        self.requests.is_empty() && self.reply.is_none() && passes.flatten().next().is_none()
    }

    pub(super) fn add_pass(&mut self, attempt: u8) {
        let free = self.passes.iter_mut().find(|pass| pass.is_none());
        assert!(free.is_some(), "too many passes on their way");
        if let Some(free) = free {
            *free = Some(attempt);
        }
    }

    pub(super) fn take_pass(&mut self, attempt: u8) {
        let mut passes = self.passes.iter_mut();
        if let Some(pass) = passes.find(|pass| **pass == Some(attempt)) {
            *pass = None;
        }
    }

    /// Gives a pass on to the next in line.
    pub(super) fn give_on(&mut self, attempt: u8, fault: Option<Fault>) {
        if fault != Some(Fault::KeepsAPassThatComesTooLate) {
            self.requests.push(Request::leave(attempt));
        }
    }
}

impl Client {
    pub(super) fn is_dead(self) -> bool {
        self.phase == Phase::Dead
    }
}
