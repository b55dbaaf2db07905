//! What was granted and nobody owns yet.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    backend::{ReleaseRequest, Waiter},
    core::Core,
    fencing_token::FencingToken,
    keys::LockKeys,
    lease::Since,
    live::Candidate,
    token::OwnerToken,
};

/// Granted keys that nobody owns yet: dropping it gives them back.
pub(crate) struct Grant<'a> {
    pub(crate) undo: Undo<'a>,
    pub(crate) since: Since,
    pub(crate) fencing_token: Option<FencingToken>,
    /// Whether its owner met another one first.
    pub(crate) had_to_wait: bool,
    /// Dropped last.
    pub(crate) candidate: Option<Candidate>,
}

impl<'a> Grant<'a> {
    pub(crate) fn new(
        undo: Undo<'a>,
        since: Since,
        fencing_token: Option<FencingToken>,
        had_to_wait: bool,
    ) -> Self {
        Self {
            undo,
            since,
            fencing_token,
            had_to_wait,
            candidate: None,
        }
    }
}

/// Gives back what an acquire may have taken, unless it is disarmed.
///
/// It stands between "a server may have granted" and "a guard is made".
pub(crate) struct Undo<'a> {
    core: Cow<'a, Arc<Core>>,
    keys: Cow<'a, LockKeys>,
    pub(crate) token: OwnerToken,
    ttl: Duration,
    is_armed: bool,
}

impl<'a> Undo<'a> {
    pub(crate) fn arm(
        core: Cow<'a, Arc<Core>>,
        keys: Cow<'a, LockKeys>,
        token: OwnerToken,
        ttl: Duration,
    ) -> Self {
        Self {
            core,
            keys,
            token,
            ttl,
            is_armed: true,
        }
    }

    /// From here on somebody else is responsible for the keys.
    pub(crate) fn disarm(&mut self) {
        self.is_armed = false;
    }

    /// Leaves the keys to whoever knows the token.
    pub(crate) fn into_token(mut self) -> OwnerToken {
        self.disarm();
        self.token.clone()
    }

    /// Gives the keys back; the ticket of a waiter who goes on stays in line.
    pub(crate) fn give_back(&mut self, mut waiter: Option<Waiter>) {
        self.disarm();
        for key in &*self.keys {
            let mut release = ReleaseRequest::new(key.clone(), self.token.clone());
            if let Some(waiter) = waiter.take() {
                release = release.staying(waiter);
            }
            let given_back = self.core.backend.release(release);
            let left = self.core.live.gives_back(key, self.ttl);
            let live = Arc::clone(&self.core.live);
            self.core.background.finish(Box::pin(async move {
                if given_back.await.is_ok() {
                    live.given_back(left);
                }
            }));
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            self.give_back(None);
        }
    }
}
