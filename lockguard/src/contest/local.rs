//! Behind others of this process: its line, its crowds, and what its leases hand on.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::{sync::oneshot, time::Instant};

use super::{Contest, LONGEST_UNSEEN};
use crate::{
    backend::{AcquireRequest, Holder},
    clock::until,
    grant::Grant,
    key::LockKey,
    line::InLine,
    lock_error::LockError,
    queue::{InCrowd, LocalHolder, Place, Turn},
    successor::Successor,
    token::OwnerToken,
};

/// What standing in this process's line came to.
pub(super) enum Lined<'a> {
    /// The right to ask the servers, or none, and they are asked all the same.
    Turn(Option<Turn<'a>>),
    /// A lease of ours has handed the key on.
    Granted(Grant<'a>),
}

impl<'a> Contest<'a> {
    /// The turn that [`line_up`](Self::line_up) waits for, where there is nobody
    /// to wait for.
    pub(super) fn line_up_at_once(&self) -> Poll<Option<Turn<'a>>> {
        if !self.queues_here() {
            return Poll::Ready(None);
        }
        if self.is_in_crowds() && self.places.crowded().is_some() {
            return Poll::Pending;
        }
        self.places.turn_at_once()
    }

    /// Waits for the turn, or until a lease of ours hands the key on; a caller
    /// whose time is over before either asks the servers all the same.
    pub(super) async fn line_up(&mut self) -> Lined<'a> {
        let places = self.places;
        if self.is_in_crowds() {
            if let Some(place) = places.crowded() {
                self.has_waited = true;
                if !self.stand_in_crowd(place) {
                    self.comes_first().await;
                }
            }
            return Lined::Turn(None);
        }
        let mut turn = pin!(places.turn());
        let first = poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
        if let Poll::Ready(turn) = first {
            return Lined::Turn(Some(turn));
        }
        self.has_waited = true;
        if let Some(successor) = self.successor() {
            places.add_successor(successor);
        }
        // One that waited in vain asks once: nobody is told that the key is busy
        // without having heard of a holder.
        let granted = &mut self.granted;
        let lined = until(
            self.deadline,
            poll_fn(|cx| {
                if let Some(grant) = poll_granted(granted, cx) {
                    return Poll::Ready(Lined::Granted(grant));
                }
                turn.as_mut().poll(cx).map(|turn| Lined::Turn(Some(turn)))
            }),
        );
        match lined.await {
            Some(Lined::Granted(grant)) => match self.taken_over(grant) {
                Some(grant) => Lined::Granted(grant),
                None => Lined::Turn(None),
            },
            Some(turn) => turn,
            None => {
                // It asks for the last time: nothing is to be reserved for it.
                self.leave_line();
                Lined::Turn(None)
            }
        }
    }

    /// While a lease of ours holds one of the keys the servers need not be
    /// asked: its release wakes us, or hands the key on.
    pub(super) fn is_behind_local_holders(&self) -> bool {
        if !self.queues_here() || self.core.background.is_homeless() {
            return false;
        }
        // The servers tell us of that release as of any other, and reserve the
        // key for us.
        let is_entered = self.line.as_deref().is_some_and(InLine::is_entered);
        if is_entered && !self.want.keys.are_several() {
            return false;
        }
        self.granted.is_some() || self.places.local_holder().is_some()
    }

    /// See [`is_behind_local_holders`](Self::is_behind_local_holders).
    pub(super) async fn wait_for_local_holders(&mut self) -> Result<Option<Grant<'a>>, LockError> {
        let places = self.places;
        let mut unseen = self.unseen();
        // Asked again after each wait: the holder may have been renewed, or be
        // given back but for a rest.
        while let Some((place, holder)) = places.local_holder() {
            self.has_waited = true;
            let is_told = if self.stand_in_crowd(place) {
                if self.granted.is_none()
                    && let Some(successor) = self.successor()
                {
                    places.add_first_successor(successor);
                }
                let look = holder.until.min(unseen).min(self.deadline);
                let told = until(look, freed_or_granted(place, &mut self.granted)).await;
                if let Some(Some(grant)) = told {
                    return Ok(self.taken_over(grant));
                }
                told.is_some()
            } else {
                let is_first = self.comes_first().await;
                unseen = self.unseen();
                is_first
            };
            let now = Instant::now();
            if now >= self.deadline {
                // Looked at anew: others were to ask first when it was given back.
                match places.local_holder() {
                    Some((place, holder)) if !holder.is_open => {
                        return Err(self.busy_error(&local_holder(place.key(), &holder)));
                    }
                    // Nobody knows whether it is busy.
                    _ => break,
                }
            }
            if !is_told && now >= unseen {
                break;
            }
        }
        Ok(self.withdraw())
    }

    /// When to ask the servers although nobody has told us anything.
    ///
    /// A crowd asks so often, whoever is its first by then.
    fn unseen(&self) -> Instant {
        let asked = self.crowd.as_ref().and_then(InCrowd::asked);
        asked.unwrap_or_else(Instant::now) + LONGEST_UNSEEN
    }

    /// Whether this caller lets others of this process, who want several keys
    /// like itself, ask before it.
    pub(super) fn is_in_crowds(&self) -> bool {
        self.queues_here() && self.want.keys.are_several()
    }

    /// Stands among those here who want several keys and wait for this one, and shows
    /// it; whether we are the first, who asks when it is given back.
    fn stand_in_crowd(&mut self, place: &'a Place) -> bool {
        if !self.is_in_crowds() {
            return true;
        }
        // In this order: nobody waits for one key while others wait for it.
        let here = self.crowd.take().filter(|crowd| crowd.is_at(place));
        let crowd = here.unwrap_or_else(|| place.crowd(self.begun));
        self.crowd.insert(crowd).show().is_none()
    }

    /// Waits until we are the first of the crowd; whether that came before the wait
    /// ended.
    async fn comes_first(&mut self) -> bool {
        match &self.crowd {
            Some(crowd) => until(self.deadline, crowd.first()).await.is_some(),
            None => true,
        }
    }

    /// Waits until of those here who want several keys we ask first when the busy
    /// one is given back; whether it is time to look again.
    pub(super) async fn join_crowd(&mut self, holder: &Holder) -> Result<bool, LockError> {
        if Instant::now() >= self.deadline {
            return Err(self.busy_error(holder));
        }
        let Some(place) = self.places.of(self.key_of(holder)) else {
            return Ok(false);
        };
        if self.stand_in_crowd(place) {
            return Ok(self.is_behind_local_holders());
        }
        // One that waits in vain looks once by itself, as in the line: the first may
        // have been told nothing.
        self.comes_first().await;
        Ok(true)
    }

    /// From here on the servers are asked, unless a lease of ours has handed the
    /// key on in this moment.
    fn withdraw(&mut self) -> Option<Grant<'a>> {
        let mut granted = self.granted.take()?;
        granted.close();
        let grant = granted.try_recv().ok()?;
        self.taken_over(grant)
    }

    /// A grant that a holder of ours has handed on, if it is worth having; else
    /// it is given back here.
    fn taken_over(&self, grant: Grant<'a>) -> Option<Grant<'a>> {
        if let Some(token) = grant.fencing_token {
            self.core.fences.saw(&self.want.keys, token);
        }
        (!self.is_late(grant.since.asked)).then_some(grant)
    }

    /// What a lease of ours hands the key on to, where that can be done.
    fn successor(&mut self) -> Option<Successor> {
        if self.want.keys.are_several() || !self.may_stand {
            return None;
        }
        let token = OwnerToken::with_label(self.label());
        let keys = self.want.keys.clone();
        let mut request = AcquireRequest::new(keys, token, self.want.ttl);
        request.fence = self.fence();
        let (successor, granted) = Successor::new(self.core, request);
        self.granted = Some(granted);
        Some(successor)
    }
}

/// Resolves when the holder of ours has given the key back, with a grant where
/// it has handed the key on.
async fn freed_or_granted(
    place: &Place,
    granted: &mut Option<oneshot::Receiver<Grant<'static>>>,
) -> Option<Grant<'static>> {
    let mut freed = pin!(place.freed());
    poll_fn(|cx| match poll_granted(granted, cx) {
        Some(grant) => Poll::Ready(Some(grant)),
        None => freed.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The grant, if it has come; nobody is asked any more where none will come.
fn poll_granted(
    granted: &mut Option<oneshot::Receiver<Grant<'static>>>,
    cx: &mut Context<'_>,
) -> Option<Grant<'static>> {
    match Pin::new(granted.as_mut()?).poll(cx) {
        Poll::Pending => None,
        Poll::Ready(grant) => {
            *granted = None;
            grant.ok()
        }
    }
}

fn local_holder(key: &LockKey, holder: &LocalHolder) -> Holder {
    let left = holder.until.saturating_duration_since(Instant::now());
    Holder::new(holder.token.expose().as_bytes(), Some(left)).of_key(key.clone())
}
