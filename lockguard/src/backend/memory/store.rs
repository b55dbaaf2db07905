//! The map behind the memory backend.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    backend::{
        AcquireReply, AcquireRequest, ExtendReply, ExtendRequest, Holder, ReleaseReply,
        ReleaseRequest,
    },
    key::LockKey,
    token::OwnerToken,
};

/// Enough that two cores seldom meet on one mutex.
const SHARDS: usize = 16;

/// How many keys a shard holds before expired ones are looked for.
const FIRST_SWEEP: usize = 64;

/// Keys in shards, each behind a mutex that is held for a few instructions.
pub(super) struct Store {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl Default for Store {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Store {
    pub(super) fn acquire(&self, request: &AcquireRequest, now: Instant) -> AcquireReply {
        let mut shard = self.shard(&request.key).lock();
        if let Some(entry) = shard.live(&request.key, now) {
            return if entry.token == request.token {
                AcquireReply::Granted
            } else {
                AcquireReply::Busy(entry.holder(now))
            };
        }
        shard.sweep_if_due(now);
        let entry = Entry {
            token: request.token.clone(),
            expires: now + request.ttl,
        };
        shard.entries.insert(request.key.clone(), entry);
        AcquireReply::Granted
    }

    pub(super) fn extend(&self, request: &ExtendRequest, now: Instant) -> ExtendReply {
        let mut shard = self.shard(&request.key).lock();
        match shard.live(&request.key, now) {
            None => ExtendReply::NotHeld,
            Some(entry) if entry.token != request.token => ExtendReply::NotOwner,
            Some(entry) => {
                entry.expires = entry.expires.max(now + request.ttl);
                ExtendReply::Extended
            }
        }
    }

    pub(super) fn release(&self, request: &ReleaseRequest, now: Instant) -> ReleaseReply {
        let mut shard = self.shard(&request.key).lock();
        match shard.live(&request.key, now) {
            None => ReleaseReply::NotHeld,
            Some(entry) if entry.token != request.token => ReleaseReply::NotOwner,
            Some(entry) => {
                match request.keep {
                    Some(rest) => entry.expires = entry.expires.min(now + rest),
                    None => {
                        shard.entries.remove(&request.key);
                    }
                }
                // Where a rest is kept, the waiter learns how long it is.
                shard.wake_one(&request.key);
                ReleaseReply::Freed
            }
        }
    }

    /// Enters a waiter for a held key; `false` when the key is free already.
    pub(super) fn watch(&self, key: &LockKey, waker: oneshot::Sender<()>, now: Instant) -> bool {
        let mut shard = self.shard(key).lock();
        let is_held = shard.live(key, now).is_some();
        if is_held {
            let waiters = shard.waiters.entry(key.clone()).or_default();
            // Those who gave up leave here, so that the line stays short.
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push_back(waker);
        }
        is_held
    }

    fn shard(&self, key: &LockKey) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(key);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "the remainder is below the number of shards"
        )]
        &self.shards[hash as usize % SHARDS]
    }
}

struct Shard {
    entries: HashMap<LockKey, Entry>,
    /// First come, first woken.
    waiters: HashMap<LockKey, VecDeque<oneshot::Sender<()>>>,
    sweep_at: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            waiters: HashMap::new(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl Shard {
    /// The entry of this key, unless it has expired.
    fn live(&mut self, key: &LockKey, now: Instant) -> Option<&mut Entry> {
        self.entries
            .get_mut(key)
            .filter(|entry| now < entry.expires)
    }

    /// Wakes the first waiter that is still there.
    fn wake_one(&mut self, key: &LockKey) {
        let Some(waiters) = self.waiters.get_mut(key) else {
            return;
        };
        while let Some(waiter) = waiters.pop_front() {
            if waiter.send(()).is_ok() {
                break;
            }
        }
        if waiters.is_empty() {
            self.waiters.remove(key);
        }
    }

    /// Forgets what has expired, once the shard has doubled since it last did.
    fn sweep_if_due(&mut self, now: Instant) {
        if self.entries.len() < self.sweep_at {
            return;
        }
        self.entries.retain(|_, entry| now < entry.expires);
        self.waiters
            .retain(|_, waiters| waiters.iter().any(|waiter| !waiter.is_closed()));
        self.sweep_at = FIRST_SWEEP.max(self.entries.len().saturating_mul(2));
    }
}

struct Entry {
    token: OwnerToken,
    expires: Instant,
}

impl Entry {
    fn holder(&self, now: Instant) -> Holder {
        let left = self.expires.saturating_duration_since(now);
        Holder::new(self.token.expose().as_bytes(), Some(left))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn expired_keys_are_forgotten_as_new_ones_come() {
        let store = Store::default();
        let ttl = Duration::from_millis(10);
        let mut now = Instant::now();
        for n in 0..100_000 {
            let key = LockKey::new(format!("k:{n}")).unwrap();
            let request = AcquireRequest::new(key, OwnerToken::with_label(""), ttl);
            assert_eq!(store.acquire(&request, now), AcquireReply::Granted);
            now += Duration::from_millis(1);
        }
        let kept: usize = store
            .shards
            .iter()
            .map(|shard| shard.lock().entries.len())
            .sum();
        assert!(kept <= SHARDS * (FIRST_SWEEP + 1), "{kept} keys kept");
    }
}
