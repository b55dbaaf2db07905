//! Holds a lock until it is released or dropped.

use std::{
    fmt,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    backend::{BoxFuture, ReleaseReply},
    backend_error::{lock_error, release_error},
    clock::until_unless,
    core::Core,
    extend::{NotExtended, extend_all},
    handover::Handover,
    holding::{Holding, Release, Reply},
    lease::Lease,
    lock_error::LockError,
    lost_cause::LostCause,
    release_error::ReleaseError,
    terms::{OnLost, check_ttl},
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
    holding: Arc<Holding>,
}

impl LockGuard {
    /// Holds the lease from now on, and renews it if it has a `max_hold`.
    ///
    /// # Errors
    ///
    /// The guard itself, while the manager is being drained.
    pub(crate) fn enter(holding: Arc<Holding>) -> Result<Self, Self> {
        let guard = Self { holding };
        guard.holding.begin_renewal();
        // Last: a drain that finds it gives back whatever there is.
        if guard.holding.core.live.enter(&guard.holding) {
            Ok(guard)
        } else {
            Err(guard)
        }
    }

    /// The lease, to be cloned and handed to whoever must notice its end.
    pub fn lease(&self) -> &Lease {
        &self.holding.lease
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
        let holding = &self.holding;
        let lease = &holding.lease;
        check_ttl(lease.key(), ttl)?;
        lease.check()?;
        let asked = Instant::now();
        let replies = extend_all(&holding.core, holding.extends(ttl), ttl).await;
        // Whatever was answered: a deadline that has passed meanwhile is lost.
        lease.check()?;
        match replies {
            Ok(()) => {}
            Err(NotExtended::Taken(nth)) => {
                lease.lose_nth(nth, LostCause::Taken);
                return Err(lease.lost_error(LostCause::Taken));
            }
            Err(NotExtended::Failed(nth, error)) => {
                return Err(lock_error(lease.all_keys().nth(nth), error));
            }
        }
        let extended = holding.extended(asked, ttl);
        extended.map_err(|cause| lease.lost_error(cause))?;
        Ok(())
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
    pub async fn release(self) -> Result<(), ReleaseError> {
        let now = self.end().map_err(|cause| {
            // The rest goes out detached, with the guard.
            ReleaseError::lost(self.lease().lost_key(), cause)
        })?;
        match self.begin_release(now) {
            Some(release) => {
                let reply = self.reply(release).await;
                self.outcome(reply)
            }
            // A drain gives it back, and has ended the lease.
            None => Err(ReleaseError::lost(self.key(), LostCause::Drained)),
        }
    }

    /// Gives the lock away, for another task or process to
    /// [adopt](crate::LockManager::adopt).
    ///
    /// The lease ends here, and its renewal with it; the lock stays taken
    /// until its ttl has passed, and nothing of this manager releases it any
    /// more.
    /// A [`max_hold`](crate::LockRequest::max_hold) and a
    /// [`min_hold`](crate::LockRequest::min_hold) end with the lease too.
    /// The handover of a lease that was lost can be adopted by nobody.
    ///
    /// While the manager is being drained it is the way to keep a lock beyond
    /// the process.
    ///
    /// # Examples
    ///
    /// See [`Handover`].
    #[must_use = "nobody can release the lock until it is adopted or its ttl has passed"]
    pub fn into_handover(self) -> Handover {
        // First: from here on no drain gives it back.
        let is_ours = self.holding.leave();
        let _ = self.end();
        if is_ours {
            self.holding.hand_over();
        }
        Handover::new(&self.holding)
    }

    /// The release on every normal way out of a body, whose lease has just been
    /// [ended](crate::run::Watch::end).
    ///
    /// A failure never replaces the body's value: it is a warning, and delays
    /// the caller by one node budget at most.
    /// Cancel safety is that of [`release`](Self::release).
    pub(crate) async fn release_after_body(self, ended: Result<Instant, LostCause>) {
        if let Some(release) = self.begin_release_after_body(ended) {
            self.finish_release(release).await;
        }
    }

    /// As [`release_after_body`](Self::release_after_body); what is done at its
    /// first poll is not boxed.
    pub(crate) fn poll_release_after_body(
        self,
        ended: Result<Instant, LostCause>,
        cx: &mut Context<'_>,
    ) -> Option<BoxFuture<'static, ()>> {
        let mut release = self.begin_release_after_body(ended);
        if let Poll::Ready(reply) = Pin::new(release.as_mut()?).poll(cx) {
            self.warn_unless_released(self.outcome(Some(reply)));
            return None;
        }
        // Written into its box, as an acquire is.
        let rest = Box::write(Box::new_uninit(), self.finish_release(release?));
        Some(Box::into_pin(rest))
    }

    async fn finish_release(self, release: Release) {
        let reply = self.reply(release).await;
        self.warn_unless_released(self.outcome(reply));
    }

    /// What a release comes to within its budget; `None`: no answer.
    fn reply(&self, release: Release) -> impl Future<Output = Option<(usize, Reply)>> {
        let keeps_time = release.future().is_some_and(|release| release.keeps_time);
        let deadline = || Instant::now() + self.holding.budget();
        until_unless(keeps_time, deadline, release)
    }

    /// `None` where nobody waits for it.
    fn begin_release_after_body(&self, ended: Result<Instant, LostCause>) -> Option<Release> {
        // Else the caller is told at once; dropping hands it to the background.
        let now = ended.ok()?;
        let is_awaited = !self.holding.core.settings.background_release;
        is_awaited.then(|| self.begin_release(now)).flatten()
    }

    fn warn_unless_released(&self, outcome: Result<(), ReleaseError>) {
        if let Err(error) = outcome {
            tracing::warn!(
                key = %self.key(),
                point = %self.point(),
                "failed to {error}; the body had ended"
            );
        }
    }

    /// What becomes of the body when the lease is lost.
    pub(crate) fn on_lost(&self) -> OnLost {
        self.holding.terms.on_lost
    }

    pub(crate) fn core(&self) -> &Core {
        &self.holding.core
    }

    pub(crate) fn holding(&self) -> &Arc<Holding> {
        &self.holding
    }

    /// Sends the release, once.
    fn begin_release(&self, now: Instant) -> Option<Release> {
        let is_ours = self.holding.leave();
        is_ours.then(|| self.holding.release(now))
    }

    /// What a reply says to the owner.
    fn outcome(&self, reply: Option<(usize, Reply)>) -> Result<(), ReleaseError> {
        let no_answer = || self.core().no_answer(self.holding.budget());
        let (nth, reply) = reply.unwrap_or_else(|| (0, Err(no_answer())));
        let key = self.all_keys().nth(nth);
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
        if Instant::now() >= self.lease().deadline() {
            // The release came late: nobody need have taken the key.
            LostCause::Expired
        } else {
            LostCause::Taken
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.holding.is_left() {
            let now = self.end().unwrap_or_else(|_| Instant::now());
            drop(self.begin_release(now));
        }
    }
}

impl Deref for LockGuard {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.holding.lease
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(self.lease()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Waker};

    use super::*;
    use crate::{manager::LockManager, run::Watch};

    /// A drain between the grant and the first poll of the body.
    #[test]
    fn no_body_begins_whose_lock_a_drain_has_given_back() {
        for on_lost in [OnLost::Cancel, OnLost::Finish] {
            let request = LockManager::memory().lock("k", Duration::from_secs(2));
            let mut acquire = pin!(request.on_lost(on_lost).acquire());
            let mut cx = Context::from_waker(Waker::noop());
            let Poll::Ready(Ok(guard)) = acquire.as_mut().poll(&mut cx) else {
                panic!("not granted at once");
            };
            assert!(guard.holding.leave_if_bare());
            let body = pin!(async { panic!("polled without a lock") });
            let polled = Watch::default().poll(&guard, body, &mut cx);
            assert!(matches!(polled, Poll::Ready(Err(error)) if error.is_lost()));
        }
    }
}
