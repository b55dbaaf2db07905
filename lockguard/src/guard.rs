//! Holds a lock until it is released or dropped.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    acquire::{check_ttl, lock_error},
    backend::{BackendError, BoxFuture, ExtendReply, ExtendRequest, ReleaseReply, ReleaseRequest},
    background::Uncancelled,
    clock::{all, until},
    core::Core,
    error::{LockError, LostCause, NodeError, ReleaseError},
    key::LockKey,
    lease::Lease,
    observe::Ending,
    queue::Places,
    renewal::Renewed,
    terms::{OnLost, Terms},
    token::OwnerToken,
    validity::node_budget,
};

/// Holds a lock, and gives it back when it is released or dropped.
///
/// [`release`](Self::release) waits for the servers and tells of errors.
/// Dropping never blocks, works on any thread, and hands the release to the
/// manager; where the manager's runtime has ended, the key is free by its ttl.
///
/// A guard does not stop code whose lease is lost: that is what
/// [`LockRequest::run`](crate::LockRequest::run) and the attribute do.
/// Ask [`Lease::check`] before side effects, or wait for [`Lease::lost`].
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = LockManager::memory();
/// let guard = manager.lock("seat:17", Duration::from_secs(2)).acquire().await?;
/// assert!(guard.is_held());
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a lock that is dropped at once protects nothing; bind it: `let guard = …`"]
pub struct LockGuard {
    lease: Lease,
    core: Arc<Core>,
    /// `None` once the release has begun.
    holding: Option<Box<Holding>>,
}

/// What is needed to extend and to give back.
struct Holding {
    token: OwnerToken,
    ttl: Duration,
    terms: Terms,
    places: Places,
    /// While the lease is renewed.
    renewed: Option<Arc<Renewed>>,
}

impl LockGuard {
    pub(crate) fn new(
        core: Arc<Core>,
        lease: Lease,
        token: OwnerToken,
        ttl: Duration,
        terms: Terms,
        places: Places,
    ) -> Self {
        Self {
            lease,
            core,
            holding: Some(Box::new(Holding {
                token,
                ttl,
                terms,
                places,
                renewed: None,
            })),
        }
    }

    /// Renews the lease from now on, if it has a `max_hold`.
    pub(crate) fn begin_renewal(&mut self) {
        let Some(holding) = &mut self.holding else {
            return;
        };
        if holding.terms.max_hold.is_none() {
            return;
        }
        let queue = &self.core.queue;
        let places = self.lease.keys().iter().map(|key| queue.place(key));
        holding.renewed = Some(self.core.renewal.start(Renewed::new(
            self.lease.clone(),
            holding.token.clone(),
            holding.ttl,
            holding.terms.min_hold,
            places.collect(),
        )));
    }

    /// The lease, to be cloned and handed to whoever must notice its end.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Asks the servers to keep the lock for `ttl` from now.
    ///
    /// The new deadline counts from before the request is sent, and is never
    /// earlier than the old one.
    /// It does not pass what [`max_hold`](crate::LockRequest::max_hold) allows,
    /// if that was set; renewal goes on from the new deadline.
    /// A key that is gone is not created again.
    ///
    /// # Errors
    ///
    /// - [`LockError::InvalidOptions`] for a ttl outside 10 ms … 24 h;
    /// - [`LockError::Lost`] when the deadline has passed, or a quorum says
    ///   that the key is not ours, which ends the lease;
    /// - [`LockError::Unavailable`] when too few servers answered; the lock and
    ///   the old deadline stand.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the servers may keep the lock longer; the
    /// old deadline stands.
    pub async fn extend(&self, ttl: Duration) -> Result<(), LockError> {
        let key = self.lease.key();
        check_ttl(key, ttl)?;
        self.lease.check()?;
        let Some(holding) = &self.holding else {
            return Err(self.lease.lost_error(LostCause::Expired));
        };
        let asked = Instant::now();
        let requests = self.lease.keys().iter();
        let requests =
            requests.map(|key| ExtendRequest::new(key.clone(), holding.token.clone(), ttl));
        let replies = self.core.backend.extend(requests.collect());
        let replies = until(asked + node_budget(ttl), replies).await;
        // Whatever was answered: a deadline that has passed meanwhile is lost.
        self.lease.check()?;
        let Some(replies) = replies else {
            return Err(lock_error(key, self.core.no_answer(node_budget(ttl))));
        };
        let is_denied = |reply: &Result<_, _>| {
            matches!(reply, Ok(ExtendReply::NotHeld | ExtendReply::NotOwner))
        };
        if let Some(lost_key) = replies.iter().position(is_denied) {
            self.lease.lose_nth(lost_key, LostCause::Taken);
            return Err(self.lease.lost_error(LostCause::Taken));
        }
        for (key, reply) in self.lease.keys().iter().zip(replies) {
            reply.map_err(|error| lock_error(key, error))?;
        }
        match self.lease.extended(asked, ttl) {
            Ok(()) => {
                holding.places.hold(&holding.token, asked, ttl);
                Ok(())
            }
            Err(cause) => Err(self.lease.lost_error(cause)),
        }
    }

    /// Gives the lock back and waits until the servers have said so.
    ///
    /// Waits for a quorum of servers, and at most for one node budget (a
    /// quarter of the ttl, within 10 ms and 1 s).
    ///
    /// # Errors
    ///
    /// - [`ReleaseError::Lost`] when the lease had ended, even if its key is
    ///   gone: what ran under it may not have been alone;
    /// - [`ReleaseError::NotOwner`] when another owner holds the key, which is
    ///   left alone;
    /// - [`ReleaseError::Unavailable`] when too few servers answered; the key
    ///   is free by its ttl at the latest.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the release goes on in the background.
    pub async fn release(mut self) -> Result<(), ReleaseError> {
        if let Err(cause) = self.lease.end() {
            // The rest goes out detached, with the guard.
            return Err(ReleaseError::lost(self.lease.key(), cause));
        }
        match self.begin_release() {
            Some((release, budget)) => self.released(release, budget).await,
            None => Ok(()),
        }
    }

    /// The release on every normal way out of a body.
    ///
    /// A failure never replaces the body's value: it is a warning, and delays
    /// the caller by one node budget at most.
    /// Cancel safety is that of [`release`](Self::release).
    pub(crate) async fn release_after_body(mut self) {
        let is_lost = self.lease.end().is_err();
        if is_lost || self.core.settings.background_release {
            // The caller is told at once; dropping hands it to the background.
            return;
        }
        let Some((release, budget)) = self.begin_release() else {
            return;
        };
        if let Err(error) = self.released(release, budget).await {
            tracing::warn!(
                key = %self.lease.key(),
                point = %self.lease.point(),
                "failed to {error}; the body had ended"
            );
        }
    }

    /// What becomes of the body when the lease is lost.
    pub(crate) fn on_lost(&self) -> OnLost {
        let holding = self.holding.as_ref();
        holding.map_or_else(OnLost::default, |holding| holding.terms.on_lost)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Sends the release, once, and says how long it may be waited for.
    fn begin_release(&mut self) -> Option<(Release, Duration)> {
        let holding = *self.holding.take()?;
        let ending = Ending::begin(&self.lease);
        if let Some(renewed) = &holding.renewed {
            self.core.renewal.stop(renewed);
        }
        let Holding {
            token, ttl, places, ..
        } = holding;
        let backend = &self.core.backend;
        let rest = self.lease.rest_of(holding.terms.min_hold, Instant::now());
        // Only where `max_hold` allows a `min_hold` beyond the ttl.
        let lengthened = rest.is_to_be_lengthened.then(|| {
            places.renew(&token, rest.until);
            let keys = self.lease.keys().iter();
            let request = |key: &LockKey| ExtendRequest::new(key.clone(), token.clone(), rest.left);
            backend.extend(keys.map(request).collect())
        });
        // All are asked for now, in one go.
        let release = |key: &LockKey| {
            let request = ReleaseRequest::new(key.clone(), token.clone());
            backend.release(request.keeping(rest.left))
        };
        let first = release(self.lease.key());
        let others = self.lease.keys().iter().skip(1).map(release).collect();
        let freeing = Freeing {
            places,
            token,
            kept_until: (!rest.left.is_zero()).then_some(rest.until),
        };
        let release = self.core.background.uncancelled(Box::pin(async move {
            let _freeing = freeing;
            if let Some(lengthened) = lengthened {
                lengthened.await;
            }
            let replies = all_released(first, others).await;
            ending.answered(&replies);
            replies
        }));
        Some((release, node_budget(ttl)))
    }

    /// What a release comes to within its budget.
    async fn released(&self, release: Release, budget: Duration) -> Result<(), ReleaseError> {
        let reply = until(Instant::now() + budget, release).await;
        let (nth, reply) = reply.unwrap_or_else(|| (0, Err(self.core.no_answer(budget))));
        let key = self.lease.keys().get(nth).unwrap_or(self.lease.key());
        match reply {
            Ok(ReleaseReply::Freed) => Ok(()),
            Ok(ReleaseReply::NotHeld) => Err(ReleaseError::lost(key, self.why_not_held())),
            Ok(ReleaseReply::NotOwner) => Err(ReleaseError::not_owner(key)),
            Err(error) => Err(release_error(key, error)),
        }
    }

    /// Why the servers did not have the key of a lease that was held by the
    /// clock when its release was sent.
    fn why_not_held(&self) -> LostCause {
        if Instant::now() >= self.lease.deadline() {
            // The release came late: nobody need have taken the key.
            LostCause::Expired
        } else {
            LostCause::Taken
        }
    }
}

/// Goes on in the background if it is dropped.
type Release = Uncancelled<(usize, Result<ReleaseReply, BackendError>)>;

/// What the release of one key comes to.
type Releasing = BoxFuture<'static, Result<ReleaseReply, BackendError>>;

/// Waits until every key has been released, and names the first that was not,
/// one that had been lost before one that nobody answered for.
async fn all_released(
    first: Releasing,
    mut rest: Vec<Releasing>,
) -> (usize, Result<ReleaseReply, BackendError>) {
    if rest.is_empty() {
        return (0, first.await);
    }
    rest.insert(0, first);
    let replies = all(rest).await;
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

impl Drop for LockGuard {
    fn drop(&mut self) {
        let _ = self.lease.end();
        drop(self.begin_release());
    }
}

impl Deref for LockGuard {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&self.lease).finish()
    }
}

/// Wakes the waiters of this process once the release has ended, however it
/// ends.
struct Freeing {
    places: Places,
    token: OwnerToken,
    /// Where `min_hold` keeps the lock that long.
    kept_until: Option<Instant>,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        match self.kept_until {
            Some(until) => self.places.keep(&self.token, until),
            None => self.places.free(&self.token),
        }
    }
}

/// A backend's error as the user of a release sees it.
pub(crate) fn release_error(key: &LockKey, error: BackendError) -> ReleaseError {
    match error {
        BackendError::Unavailable { nodes } => ReleaseError::unavailable(key, nodes),
        error => ReleaseError::unavailable(key, [NodeError::new("lock store", error.to_string())]),
    }
}
