//! What is needed to extend a lease and to give it back.

use std::{
    iter,
    pin::Pin,
    slice,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::{BackendError, BoxFuture, ExtendReply, ExtendRequest, ReleaseReply, ReleaseRequest},
    background::Uncancelled,
    clock::all,
    core::Core,
    key::LockKey,
    lease::{Lease, Rest},
    live::Slot,
    lost_cause::LostCause,
    observe::Ending,
    opening::{OPEN, is_opened},
    queue::Places,
    renewal::Renewed,
    terms::Terms,
    token::OwnerToken,
    validity::node_budget,
};

/// A lease that is held, and what is needed to extend it and to give it back.
///
/// It is its guard's; a drain that cannot wait for the guard may give it back
/// instead.
/// It is given back once.
pub(crate) struct Holding {
    pub(crate) core: Arc<Core>,
    pub(crate) lease: Lease,
    pub(crate) token: OwnerToken,
    pub(crate) ttl: Duration,
    pub(crate) terms: Terms,
    pub(crate) places: Places,
    /// Whether its owner met another one first.
    had_to_wait: bool,
    pub(crate) renewed: Renewed,
    stage: AtomicU8,
    /// What the body holds in which its own body runs.
    outer: OnceLock<Arc<Holding>>,
    /// See [`Slot`].
    slot: AtomicUsize,
}

/// Nothing stands between the guard's owner and the end of the lease.
const BARE: u8 = 0;

/// A body runs under it, and must be dropped before it is given back.
const BODY: u8 = 1;

/// Its release has begun, or somebody else gives it back.
const LEFT: u8 = 2;

/// Goes on in the background if it is dropped.
pub(crate) type Release = Uncancelled<Releasing>;

/// What became of the release of one key.
pub(crate) type Reply = Result<ReleaseReply, BackendError>;

impl Holding {
    pub(crate) fn new(
        core: Arc<Core>,
        lease: Lease,
        token: OwnerToken,
        ttl: Duration,
        terms: Terms,
        places: Places,
        had_to_wait: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            core,
            lease,
            token,
            ttl,
            terms,
            places,
            had_to_wait,
            renewed: Renewed::default(),
            stage: AtomicU8::new(BARE),
            outer: OnceLock::new(),
            slot: AtomicUsize::new(Slot::NONE),
        })
    }

    /// Renews the lease from now on, if it has a `max_hold`.
    pub(crate) fn begin_renewal(self: &Arc<Self>) {
        if self.terms.max_hold.is_some() {
            self.core.renewal.start(self);
        }
    }

    /// Asks for each key to be kept for the ttl from now on.
    pub(crate) fn extends(&self, ttl: Duration) -> impl Iterator<Item = ExtendRequest> {
        let keys = self.lease.keys().iter();
        keys.map(move |key| ExtendRequest::new(key.clone(), self.token.clone(), ttl))
    }

    /// Notes that the keys are kept for a ttl from `asked` on; what the deadline
    /// is now, or what has ended the lease meanwhile.
    pub(crate) fn extended(&self, asked: Instant, ttl: Duration) -> Result<Instant, LostCause> {
        let deadline = self.lease.extended(asked, ttl)?;
        self.places.renew(&self.token, asked + ttl);
        Ok(deadline)
    }

    /// Notes that a body runs under the lease, inside another's; `false` where a
    /// drain has given it back meanwhile, and no body may begin.
    pub(crate) fn begin_body(&self, outer: Option<Arc<Holding>>) -> bool {
        if let Some(outer) = outer {
            self.outer.get_or_init(|| outer);
        }
        let begun = self
            .stage
            .compare_exchange(BARE, BODY, Ordering::AcqRel, Ordering::Acquire);
        begun.is_ok()
    }

    /// What the next outer body of its task holds.
    pub(crate) fn outer(&self) -> Option<&Arc<Holding>> {
        self.outer.get()
    }

    /// Takes over what the guard would give back; `false` when it has been, or
    /// is another's to give back.
    pub(crate) fn leave(&self) -> bool {
        self.stage.swap(LEFT, Ordering::AcqRel) != LEFT
    }

    /// Whether somebody has taken over what the guard would give back.
    pub(crate) fn is_left(&self) -> bool {
        self.stage.load(Ordering::Acquire) == LEFT
    }

    /// As [`leave`](Self::leave), where no body runs under the lease.
    pub(crate) fn leave_if_bare(&self) -> bool {
        let left = self
            .stage
            .compare_exchange(BARE, LEFT, Ordering::AcqRel, Ordering::Acquire);
        left.is_ok()
    }

    /// Notes where the lease was entered.
    pub(crate) fn entered(&self, slot: Slot) {
        self.slot.store(slot.into(), Ordering::Release);
    }

    pub(crate) fn slot(&self) -> Option<Slot> {
        Slot::from_number(self.slot.load(Ordering::Acquire))
    }

    /// Leaves the keys to whoever knows the token, which whoever has
    /// [left](Self::leave) the lease does once.
    pub(crate) fn hand_over(&self) {
        let core = &self.core;
        self.renewed.leave();
        core.renewal.stop(self);
        core.live.handed_over(self);
        // Whoever waits here asks the servers from now on.
        self.tell(|places| places.free(&self.token));
        if self.renewed.is_begun() && core.backend.is_immediate() {
            // Renewed up to the limit in advance, and kept for no longer now
            // than on servers.
            for key in self.lease.keys() {
                let request = ReleaseRequest::new(key.clone(), self.token.clone());
                let shortened = core.backend.release(request.keeping(self.ttl));
                drop(core.background.uncancelled(shortened));
            }
        }
    }

    /// Sends the release at `now`, which whoever has [left](Self::leave) the lease
    /// does once.
    pub(crate) fn release(self: &Arc<Self>, now: Instant) -> Release {
        let Core {
            backend, renewal, ..
        } = &*self.core;
        let ending = Ending::begin(&self.lease);
        renewal.stop(self);
        let min_hold = self.terms.min_hold;
        let rest = (!min_hold.is_zero()).then(|| self.lease.rest_of(min_hold, now));
        let lengthened = rest.as_ref().filter(|rest| rest.is_to_be_lengthened);
        let lengthened = lengthened.map(|rest| self.lengthen(rest));
        if self.had_to_wait {
            self.core.contended.note(self.lease.key());
        }
        let leaves = match rest {
            Some(rest) if !rest.left.is_zero() => Leaves::Rest(rest),
            // Those who wait here ask after the first in line.
            _ if self.is_to_be_open(now) => Leaves::Open(now + 2 * OPEN),
            _ => Leaves::Nothing,
        };
        // All are asked for now, in one go.
        let (first, is_handed_on) = self.release_first(&leaves, now);
        let replies = if self.lease.all_keys().are_several() {
            let others = self.lease.keys().iter().skip(1);
            let others = others.map(|key| backend.release(self.request(key, &leaves, now)));
            Replies::Several(Box::pin(all(iter::once(first).chain(others).collect())))
        } else {
            Replies::One(first)
        };
        if matches!(leaves, Leaves::Nothing) && !is_handed_on && !backend.is_immediate() {
            // Whoever comes now asks behind the release.
            self.places.leave(&self.token);
        }
        self.core.background.uncancelled(Releasing {
            keeps_time: backend.keeps_time() && lengthened.is_none() && !is_handed_on,
            lengthened,
            replies,
            ending,
            freeing: Freeing {
                holding: Arc::clone(self),
                leaves,
                is_heard: false,
                unreleased: Vec::new(),
            },
        })
    }

    /// Keeps the keys for a rest beyond what servers keep them: `max_hold` allows
    /// a `min_hold` beyond the ttl, and one of nearly the ttl may count from a
    /// grant that came after its question.
    fn lengthen(&self, rest: &Rest) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        self.places.renew(&self.token, rest.until);
        self.core.backend.extend(self.extends(rest.left).collect())
    }

    /// Gives the first key back: to a successor in this process, if there is one
    /// and it is its turn, or else to the servers; whether it is handed on.
    fn release_first(&self, leaves: &Leaves, now: Instant) -> (BoxFuture<'static, Reply>, bool) {
        let request = self.request(self.lease.key(), leaves, now);
        let successor = match leaves {
            // One that is lost is another's, or nobody's, to give.
            Leaves::Nothing => self
                .places
                .successor(|| self.lease.is_given_back_early(now)),
            Leaves::Rest(_) | Leaves::Open(_) => None,
        };
        match successor {
            Some(successor) => (successor.hand_on(request), true),
            None => (self.core.backend.release(request), false),
        }
    }

    fn request(&self, key: &LockKey, leaves: &Leaves, now: Instant) -> ReleaseRequest {
        let release = ReleaseRequest {
            asked: self.core.asked(now),
            ..ReleaseRequest::new(key.clone(), self.token.clone()).within(self.budget())
        };
        match leaves {
            Leaves::Nothing => release,
            Leaves::Rest(rest) => release.keeping(rest.left),
            Leaves::Open(_) => release.opening(),
        }
    }

    /// Tells those who wait here, who have come since where the lease needed no
    /// places.
    fn tell(&self, tell: impl FnOnce(&Places)) {
        if self.places.are_none() {
            tell(&self.core.queue.places_there(self.lease.all_keys()));
        } else {
            tell(&self.places);
        }
    }

    /// How long a release is waited for.
    pub(crate) fn budget(&self) -> Duration {
        node_budget(self.ttl)
    }

    /// Whether the key is to be left to clients that stand in no line.
    fn is_to_be_open(&self, now: Instant) -> bool {
        if !self.had_to_wait || self.lease.all_keys().are_several() {
            return false;
        }
        let held = now.saturating_duration_since(self.lease.start());
        // The token's bits are drawn already: a thread that is ending, where a
        // guard may be dropped, has lost its generator.
        self.lease.is_given_back_early(now) && is_opened(held, self.token.draw())
    }
}

/// A release that has been asked for: names the first key that was not
/// released, one that had been lost before one that nobody answered for.
pub(crate) struct Releasing {
    /// While it must be waited for.
    lengthened: Option<BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>>>,
    replies: Replies,
    ending: Ending,
    freeing: Freeing,
    /// Whether it ends within its budget by itself.
    pub(crate) keeps_time: bool,
}

enum Replies {
    One(BoxFuture<'static, Reply>),
    Several(BoxFuture<'static, Vec<Reply>>),
}

impl Future for Releasing {
    type Output = (usize, Reply);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(lengthened) = &mut this.lengthened {
            ready!(lengthened.as_mut().poll(cx));
            this.lengthened = None;
        }
        let reply = match &mut this.replies {
            Replies::One(reply) => {
                let reply = ready!(reply.as_mut().poll(cx));
                this.freeing.heard(slice::from_ref(&reply));
                (0, reply)
            }
            Replies::Several(replies) => {
                let replies = ready!(replies.as_mut().poll(cx));
                this.freeing.heard(&replies);
                first_unreleased(&replies)
            }
        };
        this.ending.answered(&reply);
        Poll::Ready(reply)
    }
}

/// Wakes the waiters of this process once the release has ended, however it
/// ends, and tells a drain.
struct Freeing {
    holding: Arc<Holding>,
    leaves: Leaves,
    /// Whether anything is known of the keys.
    is_heard: bool,
    /// Which of them nobody said to be released.
    unreleased: Vec<usize>,
}

/// What a release leaves of a lock.
enum Leaves {
    Nothing,
    /// `min_hold` keeps it that long.
    Rest(Rest),
    /// It is free, and whoever waits here lets others in first until then.
    Open(Instant),
}

impl Freeing {
    fn heard(&mut self, replies: &[Reply]) {
        let replies = replies.iter().enumerate();
        let unreleased = replies.filter(|(_, reply)| reply.is_err());
        self.unreleased.extend(unreleased.map(|(nth, _)| nth));
        self.is_heard = true;
    }
}

impl Drop for Freeing {
    fn drop(&mut self) {
        let holding = &self.holding;
        let (token, live) = (&holding.token, &holding.core.live);
        holding.tell(|places| match &self.leaves {
            Leaves::Nothing => places.free(token),
            Leaves::Rest(rest) => places.keep(token, rest.until),
            Leaves::Open(until) => places.open(token, *until),
        });
        if !self.is_heard {
            self.unreleased.extend(0..holding.lease.keys().len());
        }
        live.released(holding, &self.unreleased);
    }
}

fn first_unreleased(replies: &[Reply]) -> (usize, Reply) {
    let failures = || {
        let replies = replies.iter().enumerate();
        replies.filter(|(_, reply)| !matches!(reply, Ok(ReleaseReply::Freed)))
    };
    let lost = failures().find(|(_, reply)| reply.is_ok());
    match lost.or_else(|| failures().next()) {
        Some((nth, reply)) => (nth, reply.clone()),
        None => (0, Ok(ReleaseReply::Freed)),
    }
}
