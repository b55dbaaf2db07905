//! From a handover to the guard of its next holder.

use std::sync::Arc;

use rand::Rng as _;
use tokio::time::Instant;

use crate::{
    backend::ExtendRequest,
    backend_error::lock_error,
    backoff::split_pause,
    clock::sleep_until,
    core::Core,
    extend::{NotExtended, all_extended, extend_all},
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
    validity::node_budget,
};

/// Takes over a lock that was given away.
///
/// Of several that adopt at once each may have taken too few servers: they hand
/// them back, and ask again after pauses that are drawn, until one has a quorum.
///
/// # Cancel safety
///
/// Dropped at an await, the future gives the lock back to the handover.
pub(crate) async fn adopt(
    core: &Arc<Core>,
    handover: Handover,
    point: Point,
) -> Result<LockGuard, LockError> {
    let end = Instant::now() + node_budget(handover.ttl());
    let mut rounds = 0_u32;
    loop {
        let adopted = adopt_once(core, &handover, point.clone()).await;
        let next = Instant::now() + split_pause(rounds, rand::rng().random());
        match adopted {
            Err(error) if error.is_unavailable() && next < end => sleep_until(next).await,
            adopted => return adopted,
        }
        rounds = rounds.saturating_add(1);
    }
}

/// Asks the servers once.
///
/// The lock gets a new owner token, so that a second adoption, and whatever
/// the former owner has still on its way, finds that it is not the owner.
async fn adopt_once(
    core: &Arc<Core>,
    handover: &Handover,
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
        handover,
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
    core: &'a Arc<Core>,
    handover: &'a Handover,
    token: &'a OwnerToken,
    is_armed: bool,
}

impl HandBack<'_> {
    /// The handover is worth nothing any more: one of its keys is another's.
    fn release_what_is_ours(mut self) {
        self.is_armed = false;
        release_all(self.core, self.handover.keys(), self.token);
    }
}

impl Drop for HandBack<'_> {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let (core, handover) = (Arc::clone(self.core), self.handover.clone());
        let request = |key: &LockKey| {
            let taken = ExtendRequest::new(key.clone(), self.token.clone(), handover.ttl());
            taken.back_to(handover.token().clone())
        };
        let requests = handover.keys().iter().map(request).collect();
        // Asked for now, before anything else that this process may ask.
        let replies = core.backend.extend(requests);
        let handed_back = Box::pin(async move {
            let keys = handover.keys();
            let replies = all_extended(&replies.await, keys.len());
            if matches!(replies, Err(NotExtended::Taken(_))) {
                // Another has won, and what was handed back is nobody's to adopt.
                release_all(&core, keys, handover.token());
            }
        });
        drop(self.core.background.uncancelled(handed_back));
    }
}

/// Gives keys back in the background.
fn release_all(core: &Core, keys: &[LockKey], token: &OwnerToken) {
    for key in keys {
        // Dropping a release hands it to the background.
        drop(core.release(key.clone(), token.clone()));
    }
}
