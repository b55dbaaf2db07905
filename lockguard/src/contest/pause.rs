//! Between two attempts: what is waited for, and for how long.

use std::{
    future::{pending, poll_fn, ready},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;

use super::{Contest, LONGEST_UNSEEN, draw};
use crate::{
    backend::{BoxFuture, Holder, Pass},
    backoff::{SETTLE_LIMIT, busy_pause, split_pause, untold_pause},
    clock::{sleep, until},
    grant::Grant,
    key::LockKey,
    lease::Since,
    line::commands_of_a_look,
    lock_error::LockError,
    queue::Places,
    retry::Patience,
    validity::{FAR, node_budget},
};

impl<'a> Contest<'a> {
    /// Waits until another attempt is worth making, or says that none is.
    pub(super) async fn pause_busy(
        &mut self,
        holder: Holder,
    ) -> Result<Option<Grant<'a>>, LockError> {
        self.split = None;
        let met = self.busy;
        self.busy = met.saturating_add(1);
        let now = Instant::now();
        if self.has_had_enough(now) {
            return Err(self.busy_error(&holder));
        }
        if holder.place().is_none() {
            // The servers did not let us into the line.
            self.leave_line();
        }
        let (deadline, between_tries) = (self.deadline, self.pause_between_tries());
        // Tries that are counted have no deadline.
        let look_after = |pause| match between_tries {
            Some(pause) => now + pause,
            None => (now + pause).min(deadline),
        };
        if let Some(line) = &mut self.line {
            let look = look_after(line.pause(&holder, met, draw()));
            if until(look, line.passed()).await == Some(Pass::Granted)
                && let Some(grant) = self.passed_on()
            {
                return Ok(Some(grant));
            }
        } else {
            let key = self.key_of(&holder).clone();
            let wake = self.wake(&key).await;
            let left = holder.expires_in();
            let pause = match &wake {
                Some(_) => left.unwrap_or(LONGEST_UNSEEN).min(LONGEST_UNSEEN),
                None => busy_pause(met, left, draw()),
            };
            let look = look_after(pause);
            until(look, Self::freed(self.places, &key, wake)).await;
        }
        if between_tries.is_none() && Instant::now() >= deadline {
            let left = holder.expires_in();
            let left = left.map(|left| left.saturating_sub(now.elapsed()));
            return Err(self.busy_error(&holder.with_expiry(left)));
        }
        Ok(None)
    }

    /// Whether a busy key is not worth another attempt.
    fn has_had_enough(&self, now: Instant) -> bool {
        match self.want.patience {
            Patience::Tries { tries, .. } => self.busy >= tries,
            Patience::Wait(_) => now >= self.deadline,
        }
    }

    /// The pause before the next try, where they are counted.
    fn pause_between_tries(&self) -> Option<Duration> {
        match self.want.patience {
            Patience::Tries { delay, jitter, .. } => {
                Some(delay.min(FAR).mul_f64(1.0 - jitter * draw()))
            }
            Patience::Wait(_) => None,
        }
    }

    /// The grant of the key that has been passed on to us: the last attempt's,
    /// which was refused before, if it is worth having; else we ask for it.
    fn passed_on(&mut self) -> Option<Grant<'a>> {
        let start = Instant::now();
        let asked = self.line.as_mut()?.asked.take()?;
        if self.is_late(asked.asked) || asked.is_over() {
            return None;
        }
        let token = self.line.take()?.into_next();
        let undo = self.undo(token);
        self.places.was_in_order();
        let since = Since { start, ..asked };
        Some(Grant::new(undo, since, None, true))
    }

    /// Split votes are settled even without a `wait`, within a bounded time.
    pub(super) async fn pause_split(&mut self) -> Result<(), LockError> {
        let now = Instant::now();
        let (rounds, since) = self.split.unwrap_or((0, now));
        let end = self.deadline.max(since + SETTLE_LIMIT);
        if now >= end {
            return Err(LockError::busy(self.want.keys.first(), self.waited()));
        }
        self.split = Some((rounds.saturating_add(1), since));
        if let Some(line) = &mut self.line
            && !self.want.keys.are_several()
        {
            // What the others give back is passed to the lowest ticket.
            let reserved = node_budget(self.want.ttl).saturating_mul(2);
            let look = now + line.pause_split(reserved, rounds, draw());
            until(look.min(end), line.passed()).await;
        } else {
            let pause = if now < since + SETTLE_LIMIT {
                split_pause(rounds, draw())
            } else {
                // No contest any more, but what a minority keeps for nobody.
                untold_pause(rounds, commands_of_a_look(&self.want.keys), draw())
            };
            sleep(pause.min(end.duration_since(now))).await;
        }
        Ok(())
    }

    /// The backend's wake for this key; `None` where there is none to be had.
    ///
    /// A wake that is there at once says that the key is free already, which
    /// is worth one look; a backend that says so again and again, while it
    /// refuses the key, is not believed.
    async fn wake(&mut self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let mut wake = self.core.backend.freed(key)?;
        if poll_fn(|cx| Poll::Ready(wake.as_mut().poll(cx).is_pending())).await {
            self.hasty = 0;
            return Some(wake);
        }
        self.hasty = self.hasty.saturating_add(1);
        (self.hasty == 1).then(|| Box::pin(ready(())) as _)
    }

    /// A release of this key by one of ours, or one that the backend tells of.
    async fn freed(places: &Places, key: &LockKey, mut by_backend: Option<BoxFuture<'static, ()>>) {
        let mut by_place = pin!(async {
            match places.of(key) {
                Some(place) => place.freed().await,
                None => pending().await,
            }
        });
        poll_fn(|cx| {
            let told = by_backend
                .as_mut()
                .is_some_and(|freed| freed.as_mut().poll(cx).is_ready());
            // Both are polled, so that both know the waker.
            if by_place.as_mut().poll(cx).is_ready() || told {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
