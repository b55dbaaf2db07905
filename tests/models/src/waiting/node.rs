//! What one node does: the scripts that take a lock and leave it, for one key.

use super::{CLIENTS, fault::Fault};

/// The owner token of an attempt: whose, and which of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) client: u8,
    pub(super) attempt: u8,
}

/// The lock and the line of one key, on one node.
///
/// Tickets are the clients' numbers, and the lowest is first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) lock: Option<Token>,
    /// For each ticket in line, its client's next attempt.
    pub(super) line: [Option<u8>; CLIENTS],
}

/// What the node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Request {
    /// Takes the lock, or enters the ticket with the next attempt.
    Acquire {
        attempt: u8,
        next: u8,
        /// Whether it takes a free lock whoever is in line.
        is_first: bool,
    },
    /// Gives the lock back, or up; whoever stays in line names its next
    /// attempt.
    Leave { attempt: u8, stays: Option<u8> },
}

impl Request {
    pub(super) fn acquires(self, with: u8) -> bool {
        matches!(self, Self::Acquire { attempt, .. } if attempt == with)
    }

    pub(super) fn leave(attempt: u8) -> Self {
        Self::Leave {
            attempt,
            stays: None,
        }
    }
}

/// What the node does besides: an answer, and a pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) is_granted: bool,
    pub(super) passed: Option<Token>,
}

impl Node {
    /// Handles a request; who is dead hears of no pass.
    pub(super) fn handle(
        &mut self,
        client: u8,
        request: Request,
        is_dead: impl Fn(u8) -> bool,
        fault: Option<Fault>,
    ) -> Outcome {
        match request {
            Request::Acquire {
                attempt,
                next,
                is_first,
            } => {
                let passed = match self.lock {
                    None if !is_first => self.pass(Some(client), is_dead, fault),
                    _ => None,
                };
                Outcome {
                    is_granted: self.acquire(Token { client, attempt }, next),
                    passed,
                }
            }
            Request::Leave { attempt, stays } => {
                let passed = self.leave(Token { client, attempt }, stays, is_dead, fault);
                Outcome {
                    is_granted: false,
                    passed,
                }
            }
        }
    }

    fn acquire(&mut self, token: Token, next: u8) -> bool {
        let client = usize::from(token.client);
        let is_granted = self.lock.is_none_or(|holder| holder == token);
        if is_granted {
            self.lock = Some(token);
            self.line[client] = None;
        } else {
            self.line[client] = Some(next);
        }
        is_granted
    }

    fn leave(
        &mut self,
        token: Token,
        stays: Option<u8>,
        is_dead: impl Fn(u8) -> bool,
        fault: Option<Fault>,
    ) -> Option<Token> {
        let client = usize::from(token.client);
        if self.line[client] == Some(token.attempt) {
            self.line[client] = None;
        }
        if self.lock.is_some_and(|holder| holder != token) {
            return None;
        }
        self.lock = None;
        match (stays, fault) {
            (_, Some(Fault::LeavesWithoutAPass)) => None,
            (Some(next), Some(Fault::GivesBackToAny)) => {
                let passed = self.pass(None, is_dead, fault);
                self.line[client] = Some(next);
                passed
            }
            (None, _) | (_, Some(Fault::GivesBackToAnyAndLeavesTheLine)) => {
                self.pass(None, is_dead, fault)
            }
            (Some(next), _) => {
                self.line[client] = Some(next);
                self.pass(Some(token.client), is_dead, fault)
            }
        }
    }

    /// Reserves the free lock for the lowest ticket, if it is lower than this.
    fn pass(
        &mut self,
        below: Option<u8>,
        is_dead: impl Fn(u8) -> bool,
        fault: Option<Fault>,
    ) -> Option<Token> {
        let tickets = (0_u8..).zip(&mut self.line);
        for (client, entry) in tickets {
            if below.is_some_and(|ticket| client >= ticket) {
                return None;
            }
            let Some(attempt) = entry.take() else {
                continue;
            };
            if !is_dead(client) {
                let passed = Some(Token { client, attempt });
                if fault != Some(Fault::TellsAGrantThatItDoesNotStore) {
                    self.lock = passed;
                }
                return passed;
            }
        }
        None
    }
}
