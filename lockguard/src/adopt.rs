//! From a handover to the guard of its next holder.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    backend::ExtendRequest,
    backend_error::lock_error,
    core::Core,
    extend::{NotExtended, extend_all},
    guard::LockGuard,
    handover::Handover,
    holding::Holding,
    key::LockKey,
    lease::{Lease, Since},
    lock_error::LockError,
    lost_cause::LostCause,
    point::Point,
    terms::Terms,
    token::OwnerToken,
};

/// Takes over a lock that was given away.
///
/// The lock gets a new owner token, so that a second adoption, and whatever
/// the former owner has still on its way, finds that it is not the owner.
///
/// # Cancel safety
///
/// Dropped at the await, the future gives the lock back to the handover.
pub(crate) async fn adopt(
    core: &Arc<Core>,
    handover: Handover,
    point: Point,
) -> Result<LockGuard, LockError> {
    let keys = handover.all_keys();
    let draining = || LockError::draining(keys.first());
    let _candidate = core.live.candidate().ok_or_else(draining)?;
    let places = core.queue.places(keys);
    let token = OwnerToken::with_label(&core.settings.label);
    let epoch = core.epoch();
    // The lease counts from here, before the first byte is sent.
    let asked = Instant::now();
    let mut undo = HandBack {
        core,
        handover: &handover,
        token: &token,
        is_armed: true,
    };
    let ttl = handover.ttl();
    let request = |key: &LockKey| {
        let held = ExtendRequest::new(key.clone(), handover.token().clone(), ttl);
        held.to(token.clone())
    };
    let requests = keys.iter().map(request);
    match extend_all(core, requests, ttl).await {
        Ok(()) => {}
        Err(NotExtended::Taken(nth)) => {
            undo.release_what_is_ours();
            return Err(LockError::lost(keys.nth(nth), LostCause::Taken));
        }
        Err(NotExtended::Failed(nth, error)) => return Err(lock_error(keys.nth(nth), error)),
    }
    let lease = Lease::new(
        keys.clone(),
        handover.fencing_token(),
        point,
        Since::asked(asked, epoch),
        ttl,
        None,
    );
    // An answer that comes too late is none.
    lease.check()?;
    places.hold(&token, asked, ttl);
    if let Some(fence) = handover.fencing_token() {
        core.fences.saw(keys, fence);
    }
    let holding = Holding::new(
        Arc::clone(core),
        lease,
        token.clone(),
        ttl,
        Terms::default(),
        places,
        false,
    );
    match LockGuard::enter(holding) {
        Ok(guard) => {
            undo.is_armed = false;
            Ok(guard)
        }
        Err(refused) => {
            // It goes back to the handover, and is not released.
            refused.holding().leave();
            Err(draining())
        }
    }
}

/// Gives a lock back to its handover, unless it is disarmed: it can be adopted
/// again.
struct HandBack<'a> {
    core: &'a Core,
    handover: &'a Handover,
    token: &'a OwnerToken,
    is_armed: bool,
}

impl HandBack<'_> {
    /// The handover is worth nothing any more: one of its keys is another's.
    fn release_what_is_ours(mut self) {
        self.is_armed = false;
        for key in self.handover.keys() {
            // Dropping a release hands it to the background.
            drop(self.core.release(key.clone(), self.token.clone()));
        }
    }
}

impl Drop for HandBack<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            let ttl = self.handover.ttl();
            let request = |key: &LockKey| {
                let taken = ExtendRequest::new(key.clone(), self.token.clone(), ttl);
                taken.back_to(self.handover.token().clone())
            };
            let requests = self.handover.keys().iter().map(request).collect();
            let handed_back = self.core.backend.extend(requests);
            drop(self.core.background.uncancelled(handed_back));
        }
    }
}
