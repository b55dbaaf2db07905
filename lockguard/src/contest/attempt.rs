//! One attempt: what is asked, and what the answer comes to.

use std::{
    mem,
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use super::Contest;
use crate::{
    acquire::Want,
    backend::{AcquireReply, AcquireRequest, BackendError, BoxFuture, FenceRequest, Holder},
    backend_error::lock_error,
    clock::{until_unless, wall_clock},
    fence,
    fencing_token::FencingToken,
    grant::{Grant, Undo},
    lease::Since,
    line::InLine,
    lock_error::LockError,
    node_error::NodeError,
    token::OwnerToken,
    validity::longest_attempt,
};

/// What an attempt came to.
pub(super) enum Attempt<'a> {
    Granted(Grant<'a>),
    Busy(Holder),
    /// The votes were split.
    Split,
}

/// An attempt that is sent, and may be granted from here on.
struct Sent<'a> {
    /// What a lease counts from.
    since: Since,
    undo: Undo<'a>,
}

/// The answer to an attempt.
type Answer = BoxFuture<'static, Result<AcquireReply, BackendError>>;

impl<'a> Contest<'a> {
    /// One attempt with a token of its own.
    pub(super) async fn attempt(&mut self) -> Result<Attempt<'a>, LockError> {
        let (sent, acquire) = self.ask();
        // A later grant would be refused, so that no backend is waited for longer;
        // one that keeps time never takes as long.
        let want = self.want;
        let keeps_time = self.core.backend.keeps_time();
        let deadline = || sent.since.asked + longest_attempt(want.ttl);
        let reply = match &mut self.line {
            Some(line) => {
                let overtaken = Box::pin(line.unless_overtaken(sent.since.asked, acquire));
                until_unless(keeps_time, deadline, overtaken).await
            }
            None => until_unless(keeps_time, deadline, acquire).await.map(Some),
        };
        match reply {
            // Given back by `sent`.
            Some(Some(reply)) if is_grant(&reply) && self.is_late(sent.since.asked) => {
                Err(self.late_error())
            }
            Some(Some(reply)) => self.settle(sent, reply),
            Some(None) => Ok(self.overtaken(sent)),
            None => {
                let no_answer = self.core.no_answer(longest_attempt(want.ttl));
                self.settle(sent, Err(no_answer))
            }
        }
    }

    /// One attempt that is answered at once; one that is not is given back.
    ///
    /// No grant is late here: nothing was waited for.
    pub(super) fn attempt_at_once(&mut self) -> Result<Option<Attempt<'a>>, LockError> {
        let (sent, mut answer) = self.ask();
        let mut nobody = Context::from_waker(Waker::noop());
        match answer.as_mut().poll(&mut nobody) {
            Poll::Ready(reply) => self.settle(sent, reply).map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Sends an attempt's question; where the answer comes.
    fn ask(&mut self) -> (Sent<'a>, Answer) {
        let mut request = self.request();
        // Whatever is freed from here on is worth another attempt.
        self.places.look();
        let epoch = self.core.epoch();
        // The lease counts from here, before the first byte is sent.
        let start = if mem::replace(&mut self.has_waited, true) {
            Instant::now()
        } else {
            self.begun
        };
        if let Some(crowd) = &self.crowd {
            crowd.asks();
        }
        if let (Some(_), Some(turn)) = (&request.waiter, &self.turn) {
            turn.stands_in_line();
        }
        let since = Since::asked(start, epoch);
        if let (Some(waiter), Some(line)) = (&request.waiter, &mut self.line) {
            line.asked = waiter.takes_grants.then(|| since.clone());
        }
        let token = request.token.clone();
        let undo = self.undo(token);
        let sent = Sent { since, undo };
        request.asked = self.core.asked(start);
        (sent, self.core.backend.acquire(request))
    }

    /// What to ask for, with which token.
    fn request(&mut self) -> AcquireRequest {
        let Want { keys, ttl, .. } = self.want;
        // Not after a refusal in line: a waiter that was told and hangs would keep
        // a grant for its ttl, and keeps a reservation for less.
        // Fences rise, and several keys are taken, only where they are asked for.
        let is_to_take_grants = self.busy == 0 && !self.want.is_fenced && !keys.are_several();
        let (token, waiter) = match self.line.as_deref_mut().map(InLine::begin) {
            Some((token, waiter)) if is_to_take_grants => (token, Some(waiter.taking_grants())),
            Some((token, waiter)) => (token, Some(waiter)),
            None => (OwnerToken::with_label(self.label()), None),
        };
        AcquireRequest {
            waiter,
            fence: self.fence(),
            is_curt: self.may_stand && self.line.is_none(),
            ..AcquireRequest::new(keys.clone(), token, *ttl)
        }
    }

    /// The fencing token to ask for, if one is wanted.
    pub(super) fn fence(&self) -> Option<FenceRequest> {
        if !self.want.is_fenced {
            return None;
        }
        let greatest = self.core.fences.greatest(&self.want.keys);
        let longest = self.want.terms.longest(self.want.ttl);
        Some(FenceRequest {
            proposal: fence::proposal(greatest, wall_clock()),
            keep: fence::life(longest),
            is_raise: false,
        })
    }

    /// What an answer comes to.
    fn settle(
        &mut self,
        mut sent: Sent<'a>,
        reply: Result<AcquireReply, BackendError>,
    ) -> Result<Attempt<'a>, LockError> {
        match reply {
            // Nobody knows on which side of a restart it was granted: it is
            // given back, and tried again.
            _ if is_grant(&reply) && sent.since.is_over() => Ok(Attempt::Split),
            Ok(AcquireReply::Granted) if self.want.is_fenced => Err(self.unfenced_error()),
            Ok(AcquireReply::Granted) => Ok(self.granted(sent, None)),
            Ok(AcquireReply::GrantedWith(token)) => Ok(self.granted(sent, Some(token))),
            Ok(AcquireReply::Busy(holder)) => {
                sent.undo.disarm();
                self.has_met_another = true;
                if let Some(fence) = holder.fence() {
                    self.core.fences.saw(&self.want.keys, fence);
                }
                Ok(Attempt::Busy(holder))
            }
            Ok(AcquireReply::Split) => {
                sent.undo.disarm();
                Ok(Attempt::Split)
            }
            Err(error) => {
                if matches!(error, BackendError::RuntimeGone) {
                    // Nothing was granted, and nothing can be given back.
                    sent.undo.disarm();
                    self.close_line();
                }
                Err(lock_error(self.want.keys.first(), error))
            }
        }
    }

    /// Gives back an attempt that the next has overtaken; its waiter stays in line.
    ///
    /// Nodes that refused it have reserved the key for the next already, and those
    /// that are silent may be so for long.
    fn overtaken(&self, mut sent: Sent<'a>) -> Attempt<'a> {
        let line = self.line.as_ref().filter(|_| !self.want.keys.are_several());
        sent.undo.give_back(line.map(|line| line.waiter()));
        Attempt::Split
    }

    fn granted(&mut self, sent: Sent<'a>, fencing_token: Option<FencingToken>) -> Attempt<'a> {
        let Sent { since, undo } = sent;
        self.close_line();
        self.places.was_in_order();
        if self.crowd.is_some() {
            // The next of the crowd looks as soon as we leave it, and would ask in
            // vain.
            let start = since.asked;
            self.places.hold(&undo.token, start, self.want.ttl);
        }
        if let Some(token) = fencing_token {
            self.core.fences.saw(&self.want.keys, token);
        }
        Attempt::Granted(Grant::new(undo, since, fencing_token, self.has_met_another))
    }

    fn unfenced_error(&self) -> LockError {
        let address = self.core.backend.address();
        let reason = format!("the lock store gives no fencing tokens ({address})");
        LockError::invalid_options(self.want.keys.first(), reason)
    }

    fn late_error(&self) -> LockError {
        let address = self.core.backend.address();
        let late = NodeError::new(address, "granted with less than half of the ttl left");
        LockError::unavailable(self.want.keys.first(), [late])
    }
}

fn is_grant(reply: &Result<AcquireReply, BackendError>) -> bool {
    matches!(
        reply,
        Ok(AcquireReply::Granted | AcquireReply::GrantedWith(_))
    )
}
