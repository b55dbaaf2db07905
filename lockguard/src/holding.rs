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

use rand::Rng as _;
use tokio::time::Instant;

use crate::{
    backend::{BackendError, BoxFuture, ExtendReply, ExtendRequest, ReleaseReply, ReleaseRequest},
    background::Uncancelled,
    clock::all,
    core::Core,
    key::LockKey,
    lease::Lease,
    live::{Live, Slot},
    observe::Ending,
    opening::{OPEN, is_opened},
    queue::Places,
    renewal::Renewed,
    successor::give_back,
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
    pub(crate) lease: Lease,
    pub(crate) token: OwnerToken,
    pub(crate) ttl: Duration,
    pub(crate) terms: Terms,
    pub(crate) places: Places,
    /// Whether somebody stood in line for it.
    pub(crate) is_awaited: bool,
    /// While the lease is renewed.
    renewed: OnceLock<Arc<Renewed>>,
    stage: AtomicU8,
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
        lease: Lease,
        token: OwnerToken,
        ttl: Duration,
        terms: Terms,
        places: Places,
    ) -> Self {
        Self {
            lease,
            token,
            ttl,
            terms,
            places,
            is_awaited: false,
            renewed: OnceLock::new(),
            stage: AtomicU8::new(BARE),
            slot: AtomicUsize::new(Slot::NONE),
        }
    }

    /// Renews the lease from now on, if it has a `max_hold`.
    pub(crate) fn begin_renewal(&self, core: &Core) {
        if self.terms.max_hold.is_none() {
            return;
        }
        let places = self.lease.keys().iter().map(|key| core.queue.place(key));
        let renewed = Renewed::new(
            self.lease.clone(),
            self.token.clone(),
            self.ttl,
            self.terms.min_hold,
            places.collect(),
        );
        self.renewed.get_or_init(|| core.renewal.start(renewed));
    }

    /// What is being renewed, if the lease is.
    pub(crate) fn renewed(&self) -> Option<&Arc<Renewed>> {
        self.renewed.get()
    }

    /// Notes that a body runs under the lease; `false` where a drain has given
    /// it back meanwhile, and no body may begin.
    pub(crate) fn begin_body(&self) -> bool {
        let begun = self
            .stage
            .compare_exchange(BARE, BODY, Ordering::AcqRel, Ordering::Acquire);
        begun.is_ok()
    }

    /// Takes over what the guard would give back; `false` when it has been, or
    /// is another's to give back.
    pub(crate) fn leave(&self) -> bool {
        self.stage.swap(LEFT, Ordering::AcqRel) != LEFT
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
    pub(crate) fn hand_over(&self, core: &Core) {
        self.forget(core);
        if self.renewed().is_some() && core.backend.is_immediate() {
            // Renewed up to the limit in advance, and kept for no longer now
            // than on servers.
            for key in self.lease.keys() {
                let request = ReleaseRequest::new(key.clone(), self.token.clone());
                let shortened = core.backend.release(request.keeping(self.ttl));
                drop(core.background.uncancelled(shortened));
            }
        }
    }

    /// As [`hand_over`](Self::hand_over), whatever somebody else does about
    /// the keys.
    pub(crate) fn forget(&self, core: &Core) {
        if let Some(renewed) = self.renewed() {
            renewed.leave();
            core.renewal.stop(renewed);
        }
        core.live.handed_over(self);
        // Whoever waits here asks the servers from now on.
        self.places.free(&self.token);
    }

    /// Sends the release, which whoever has [left](Self::leave) the lease does
    /// once, and says how long it may be waited for.
    pub(crate) fn release(self: &Arc<Self>, core: &Core) -> (Release, Duration) {
        let ending = Ending::begin(&self.lease);
        if let Some(renewed) = self.renewed() {
            core.renewal.stop(renewed);
        }
        let (backend, token) = (&core.backend, &self.token);
        let min_hold = self.terms.min_hold;
        let rest = (!min_hold.is_zero()).then(|| self.lease.rest_of(min_hold, Instant::now()));
        let left = rest.as_ref().map_or(Duration::ZERO, |rest| rest.left);
        // Where `max_hold` allows a `min_hold` beyond the ttl, or one of nearly
        // the ttl counts from a grant that came after its question.
        let lengthened = rest.as_ref().filter(|rest| rest.is_to_be_lengthened);
        let lengthened = lengthened.map(|rest| {
            self.places.renew(token, rest.until);
            let keys = self.lease.keys().iter();
            let request = |key: &LockKey| ExtendRequest::new(key.clone(), token.clone(), left);
            backend.extend(keys.map(request).collect())
        });
        // All are asked for now, in one go.
        let request = |key: &LockKey| ReleaseRequest::new(key.clone(), token.clone()).keeping(left);
        if self.is_awaited && core.backend.has_line() {
            core.contended.note(self.lease.key());
        }
        let is_open = left.is_zero() && self.is_to_be_open();
        let first = if is_open {
            backend.release(request(self.lease.key()).opening())
        } else {
            give_back(backend, &self.places, request(self.lease.key()))
        };
        let replies = if self.lease.all_keys().are_several() {
            let others = self.lease.keys().iter().skip(1);
            let others = others.map(|key| backend.release(request(key)));
            Replies::Several(Box::pin(all(iter::once(first).chain(others).collect())))
        } else {
            Replies::One(first)
        };
        let freeing = Freeing {
            holding: Arc::clone(self),
            live: Arc::clone(&core.live),
            leaves: match rest {
                Some(rest) if !left.is_zero() => Leaves::Rest(rest.until),
                // Those who wait here ask after the first in line.
                _ if is_open => Leaves::Open(Instant::now() + 2 * OPEN),
                _ => Leaves::Nothing,
            },
            unreleased: None,
        };
        let release = core.background.uncancelled(Releasing {
            lengthened,
            replies,
            ending,
            freeing,
        });
        (release, node_budget(self.ttl))
    }

    /// Whether the key is to be left to clients that stand in no line.
    fn is_to_be_open(&self) -> bool {
        if !self.is_awaited || self.lease.all_keys().are_several() {
            return false;
        }
        let now = Instant::now();
        let held = now.saturating_duration_since(self.lease.start());
        self.lease.is_given_back_early(now) && is_opened(held, rand::rng().random())
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
    live: Arc<Live>,
    leaves: Leaves,
    /// Which of the keys nobody said to be released; `None`: nothing is known.
    unreleased: Option<Vec<usize>>,
}

/// What a release leaves of a lock.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    /// `min_hold` keeps it that long.
    Rest(Instant),
    /// It is free, and others are let in first for so long.
    Open(Instant),
}

impl Freeing {
    fn heard(&mut self, replies: &[Reply]) {
        let replies = replies.iter().enumerate();
        let unreleased = replies.filter(|(_, reply)| reply.is_err());
        self.unreleased = Some(unreleased.map(|(nth, _)| nth).collect());
    }
}

impl Drop for Freeing {
    fn drop(&mut self) {
        let holding = &self.holding;
        let (places, token) = (&holding.places, &holding.token);
        match self.leaves {
            Leaves::Nothing => places.free(token),
            Leaves::Rest(until) => places.keep(token, until),
            Leaves::Open(until) => places.open(token, until),
        }
        match self.unreleased.take() {
            Some(unreleased) => self.live.released(holding, unreleased.into_iter()),
            None => self.live.released(holding, 0..holding.lease.keys().len()),
        }
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
