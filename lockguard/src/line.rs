//! A waiter's place in the servers' line for a key.

use std::{
    future::{pending, poll_fn, ready},
    mem,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::{BoxFuture, Holder, Pass, ReleaseRequest, Ticket, Waiter},
    backoff::{foreign_pause, unheard_pause, untold_pause},
    clock::until,
    core::Core,
    keys::LockKeys,
    lease::Since,
    token::OwnerToken,
};

/// How long an attempt that was overtaken is waited for at least.
const SHORTEST_GRACE: Duration = Duration::from_millis(1);

/// A waiter's place in the servers' line for a key; dropping it leaves the
/// line.
///
/// The token of the next attempt stands in line, and a key that is given back
/// is reserved for it, or granted to it.
/// So no plain acquire may use that token: where it was granted by a message
/// that nobody heard, the acquire would find the key its own, with what is left
/// of that ttl.
pub(crate) struct InLine {
    core: Arc<Core>,
    keys: LockKeys,
    ticket: Ticket,
    label: String,
    ttl: Duration,
    next: OwnerToken,
    /// Resolves when the key has been passed to the next attempt.
    passed: Option<BoxFuture<'static, Pass>>,
    /// Since when a lease of the last attempt counts, where it may be granted
    /// after it was refused.
    pub(crate) asked: Option<Since>,
    /// Whether servers may know the ticket.
    is_entered: bool,
    /// The same before the last attempt.
    was_entered: bool,
    /// How often in a row nobody told us anything.
    unheard: u32,
}

impl InLine {
    /// A place for whoever may wait for these keys; it is taken by an attempt.
    ///
    /// Whoever wants several stands in the line of the one that is held, and is
    /// told without a reservation: it holds nothing while it waits.
    pub(crate) fn new(core: &Arc<Core>, keys: &LockKeys, label: &str, ttl: Duration) -> Self {
        Self {
            core: Arc::clone(core),
            keys: keys.clone(),
            ticket: Ticket::draw(),
            label: label.to_owned(),
            ttl,
            next: OwnerToken::with_label(label),
            passed: None,
            asked: None,
            is_entered: false,
            was_entered: false,
            unheard: 0,
        }
    }

    /// The token of an attempt that begins now, and who waits if it is refused.
    pub(crate) fn begin(&mut self) -> (OwnerToken, Waiter) {
        // Before the attempt, so that no message is missed.
        let token = mem::replace(&mut self.next, OwnerToken::with_label(&self.label));
        self.passed = self.core.backend.passed(&self.next);
        self.was_entered = mem::replace(&mut self.is_entered, true);
        (token, self.waiter())
    }

    /// Who stands in line if the last attempt is refused.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(self.ticket.clone(), self.next.clone(), self.ttl)
    }

    /// Whether servers may know the ticket.
    pub(crate) fn is_entered(&self) -> bool {
        self.is_entered
    }

    /// How long to wait for a message before asking by oneself.
    ///
    /// `met` is how often another holder was met, `draw` uniform in 0…1.
    pub(crate) fn pause(&self, holder: &Holder, met: u32, draw: f64) -> Duration {
        let looks @ (_, commands) = self.looks();
        if self.passed.is_none() {
            return untold_pause(met, commands, draw);
        }
        let place = holder.place().unwrap_or_default();
        let unheard = unheard_pause(self.ttl, holder.expires_in(), place, looks, draw);
        // Another library's release wakes nobody.
        if holder.label().is_none() && place == 0 {
            unheard.min(foreign_pause(met, commands, draw))
        } else {
            unheard
        }
    }

    /// The same where nobody holds the key, and others may have parts of it
    /// reserved.
    pub(crate) fn pause_split(&self, reserved: Duration, met: u32, draw: f64) -> Duration {
        let looks @ (_, commands) = self.looks();
        if self.passed.is_none() {
            return untold_pause(met, commands, draw);
        }
        unheard_pause(self.ttl, Some(reserved), 0, looks, draw)
    }

    /// How often in a row nobody told us anything, and how many commands a look
    /// takes.
    fn looks(&self) -> (u32, u32) {
        (self.unheard, commands_of_a_look(&self.keys))
    }

    /// Resolves when the key has been reserved for the next attempt, or granted
    /// to its token; never where nobody can tell us.
    pub(crate) async fn passed(&mut self) -> Pass {
        self.unheard = self.unheard.saturating_add(1);
        let Some(passed) = &mut self.passed else {
            return pending().await;
        };
        let pass = poll_fn(|cx| passed.as_mut().poll(cx)).await;
        self.passed = None;
        self.unheard = 0;
        pass
    }

    /// What the attempt comes to, or `None` where the key has been reserved for
    /// the next one, and this one is not decided after twice the time.
    ///
    /// A server has refused it then, and reserved the key afterwards.
    /// Others may still decide it; but one that hangs would be waited for.
    pub(crate) async fn unless_overtaken<T>(
        &mut self,
        start: Instant,
        attempt: BoxFuture<'static, T>,
    ) -> Option<T> {
        let Some(passed) = &mut self.passed else {
            return Some(attempt.await);
        };
        let mut attempt = attempt;
        let first = poll_fn(|cx| match attempt.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => passed.as_mut().poll(cx).map(Err),
        });
        let pass = match first.await {
            Ok(value) => return Some(value),
            Err(pass) => pass,
        };
        // It has resolved, and is there at once for whoever waits for it.
        self.passed = Some(Box::pin(ready(pass)));
        let grace = start.elapsed().max(SHORTEST_GRACE);
        until(Instant::now() + grace, attempt).await
    }

    /// The waiter has what it wants: the attempt that was granted took it out of the
    /// line of a single key; of several it has entered none, and an attempt before
    /// may have.
    pub(crate) fn close(mut self) {
        self.is_entered = self.was_entered && self.keys.are_several();
    }

    /// The token of the next attempt, which has the key already, and whose
    /// holder is out of the line.
    pub(crate) fn into_next(self) -> OwnerToken {
        let token = self.next.clone();
        self.close();
        token
    }
}

/// How many commands a look takes: whoever wants several keys asks for them, and
/// then for a place.
pub(crate) fn commands_of_a_look(keys: &LockKeys) -> u32 {
    1 + u32::from(keys.are_several())
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.ticket.close();
        if self.is_entered {
            for key in &self.keys {
                let leave = ReleaseRequest::new(key.clone(), self.next.clone());
                let leave = leave.leaving(self.ticket.clone());
                let leave = self.core.backend.release(leave);
                // Dropping it hands it to the background.
                drop(self.core.background.uncancelled(leave));
            }
        }
    }
}
