//! The map behind the memory backend.

use std::collections::hash_map;

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    backend::{
        AcquireReply, AcquireRequest, BackendError, ExtendReply, ExtendRequest, FenceRequest,
        Holder, ReleaseReply, ReleaseRequest,
    },
    clock::wall_clock,
    fence::{self, HeldBy},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    sharded::{KeyMap, SHARDS, Sharded},
    token::OwnerToken,
    validity::FAR,
};

/// How many keys a shard holds before expired ones are looked for.
const FIRST_SWEEP: usize = 64;

/// The keys, and who holds them.
#[derive(Default)]
pub(super) struct Store(Sharded<Mutex<Shard>>);

impl Store {
    pub(super) fn acquire(
        &self,
        request: AcquireRequest,
        now: Instant,
    ) -> Result<AcquireReply, BackendError> {
        let AcquireRequest {
            keys, token, fence, ..
        } = request;
        let mut shards = self.lock(&keys);
        for key in &keys {
            let Some(entry) = shards.of(key).live(key, now) else {
                continue;
            };
            if entry.token != token {
                let holder = entry.holder(now).of_key(key.clone());
                let fence = fence.and_then(|_| shards.fence(&keys, now));
                return Ok(AcquireReply::Busy(holder.with_fence(fence)));
            }
        }
        let fencing_token = match fence {
            Some(fence) => Some(shards.raise(&keys, fence, now)?),
            None => None,
        };
        let entry = Entry {
            token,
            expires: now + request.ttl.min(FAR),
        };
        // One that is not fenced leaves the ttl of the caller's own alone.
        let is_fenced = fencing_token.is_some();
        match keys.into_single() {
            Ok(key) => shards.of(&key).enter(key, entry, is_fenced, now),
            Err(keys) => {
                for key in &keys {
                    let shard = shards.of(key);
                    shard.enter(key.clone(), entry.clone(), is_fenced, now);
                }
            }
        }
        Ok(fencing_token.map_or(AcquireReply::Granted, AcquireReply::GrantedWith))
    }

    pub(super) fn extend(&self, request: &ExtendRequest, now: Instant) -> ExtendReply {
        let mut shard = self.0.of(&request.key).lock();
        match shard.live(&request.key, now) {
            None => ExtendReply::NotHeld,
            Some(entry)
                if entry.token != request.token
                    && Some(&entry.token) != request.successor.as_ref() =>
            {
                ExtendReply::NotOwner
            }
            Some(entry) => {
                if let Some(successor) = &request.successor {
                    entry.token = successor.clone();
                }
                entry.expires = entry.expires.max(now + request.ttl.min(FAR));
                ExtendReply::Extended
            }
        }
    }

    pub(super) fn release(&self, request: ReleaseRequest, now: Instant) -> ReleaseReply {
        let mut shard = self.0.of(&request.key).lock();
        let Shard {
            entries, waiters, ..
        } = &mut *shard;
        let hash_map::Entry::Occupied(mut held) = entries.entry(request.key) else {
            return ReleaseReply::NotHeld;
        };
        let entry = held.get_mut();
        if entry.expires <= now {
            return ReleaseReply::NotHeld;
        }
        if entry.token != request.token {
            return ReleaseReply::NotOwner;
        }
        // Where a rest is kept, waiters learn how long it is.
        let woken = all_of(waiters, held.key());
        match request.keep {
            Some(rest) => {
                let entry = held.get_mut();
                entry.expires = entry.expires.min(now + rest.min(FAR));
            }
            None => {
                held.remove();
            }
        }
        // Whoever is woken may ask at once.
        drop(shard);
        for waiter in woken {
            let _ = waiter.send(());
        }
        ReleaseReply::Freed
    }

    /// Enters a waiter for a held key, or drops it when the key is free already.
    pub(super) fn watch(&self, key: &LockKey, waker: oneshot::Sender<()>, now: Instant) {
        let mut shard = self.0.of(key).lock();
        if shard.live(key, now).is_some() {
            let waiters = shard.waiters.entry(key.clone()).or_default();
            // Those who gave up leave here, so that the line stays short.
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push(waker);
        }
    }

    /// Locks the shards of these keys.
    fn lock(&self, keys: &LockKeys) -> Shards<'_> {
        if let [key] = keys.as_slice() {
            return Shards::One(self.0.of(key).lock());
        }
        let mut guards = [const { None }; SHARDS];
        let mut is_wanted = [false; SHARDS];
        for key in keys {
            if let Some(is_wanted) = is_wanted.get_mut(self.0.index(key)) {
                *is_wanted = true;
            }
        }
        // In one order for everybody, so that nobody waits in a circle.
        for ((guard, shard), _) in guards
            .iter_mut()
            .zip(self.0.iter())
            .zip(is_wanted)
            .filter(|(_, is_wanted)| *is_wanted)
        {
            *guard = Some(shard.lock());
        }
        Shards::Several(self, Box::new(guards))
    }
}

/// The shards of some keys, locked.
enum Shards<'a> {
    One(MutexGuard<'a, Shard>),
    Several(&'a Store, Box<[Option<MutexGuard<'a, Shard>>; SHARDS]>),
}

impl Shards<'_> {
    /// The shard of one of the keys.
    fn of(&mut self, key: &LockKey) -> &mut Shard {
        match self {
            Self::One(shard) => shard,
            #[expect(
                clippy::expect_used,
                clippy::indexing_slicing,
                reason = "the shards of all these keys were locked, and `index` is in bounds"
            )]
            Self::Several(store, guards) => guards[store.0.index(key)].as_mut().expect("locked"),
        }
    }

    /// The greatest fence of these keys.
    fn fence(&mut self, keys: &LockKeys, now: Instant) -> Option<FencingToken> {
        keys.iter()
            .filter_map(|key| self.of(key).fence(key, now))
            .max()
    }

    /// Raises the fences of keys that are free, or the caller's own, to one
    /// token.
    fn raise(
        &mut self,
        keys: &LockKeys,
        request: FenceRequest,
        now: Instant,
    ) -> Result<FencingToken, BackendError> {
        let clock = wall_clock();
        let mut reached = 0;
        for key in keys {
            let shard = self.of(key);
            let held_by = match shard.live(key, now) {
                None => HeldBy::Nobody,
                Some(_) => HeldBy::Itself,
            };
            let fence = shard.fence(key, now).map_or(0, FencingToken::get);
            let next = fence::granted(held_by, fence, request.proposal.get(), clock);
            if next > fence::LIMIT {
                let reason = "has a spoilt fence: no fencing token is left beyond it";
                return Err(BackendError::invalid_key_of(key.clone(), reason));
            }
            reached = reached.max(next);
        }
        let Some(token) = FencingToken::new(reached) else {
            return Err(BackendError::invalid_key("has no fencing token"));
        };
        for key in keys {
            let fence = Fence {
                token,
                expires: now + request.keep.min(FAR),
            };
            let shard = self.of(key);
            shard.sweep_fences_if_due(now);
            shard.fences.insert(key.clone(), fence);
        }
        Ok(token)
    }
}

struct Shard {
    entries: KeyMap<Entry>,
    waiters: Waiters,
    sweep_at: usize,
    /// The greatest fencing token of each key that was ever fenced, while it is
    /// remembered.
    fences: KeyMap<Fence>,
    sweep_fences_at: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            entries: KeyMap::default(),
            waiters: KeyMap::default(),
            sweep_at: FIRST_SWEEP,
            fences: KeyMap::default(),
            sweep_fences_at: FIRST_SWEEP,
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

    /// Enters who holds a key that is free, or the caller's own.
    fn enter(&mut self, key: LockKey, entry: Entry, is_to_last: bool, now: Instant) {
        self.sweep_if_due(now);
        match self.entries.entry(key) {
            hash_map::Entry::Occupied(held) if !is_to_last && now < held.get().expires => {}
            held => {
                held.insert_entry(entry);
            }
        }
    }

    /// The fence of this key, unless it has been forgotten.
    fn fence(&self, key: &LockKey, now: Instant) -> Option<FencingToken> {
        let fence = self.fences.get(key).filter(|fence| now < fence.expires);
        fence.map(|fence| fence.token)
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

    /// As [`sweep_if_due`](Self::sweep_if_due), for fences.
    fn sweep_fences_if_due(&mut self, now: Instant) {
        if self.fences.len() < self.sweep_fences_at {
            return;
        }
        self.fences.retain(|_, fence| now < fence.expires);
        self.sweep_fences_at = FIRST_SWEEP.max(self.fences.len().saturating_mul(2));
    }
}

/// Who waits for each key.
type Waiters = KeyMap<Vec<oneshot::Sender<()>>>;

/// Every waiter, who is to be woken: a single one may want other keys too, and
/// be refused.
///
/// There is one for each manager and key, since a manager's own waiters stand
/// in line.
fn all_of(waiters: &mut Waiters, key: &LockKey) -> Vec<oneshot::Sender<()>> {
    if waiters.is_empty() {
        return Vec::new();
    }
    waiters.remove(key).unwrap_or_default()
}

struct Fence {
    token: FencingToken,
    expires: Instant,
}

#[derive(Clone)]
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
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Wake, Waker},
        time::Duration,
    };

    use super::*;

    /// Whether the store could be asked by whoever was woken.
    struct Asks {
        store: Arc<Store>,
        key: LockKey,
        could: AtomicBool,
    }

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            let could = self.store.0.of(&self.key).try_lock().is_some();
            self.could.store(could, Ordering::Relaxed);
        }
    }

    /// Some executors poll, or drop, what they run as soon as it is woken.
    #[test]
    fn whoever_is_woken_may_ask_at_once() {
        let (store, now) = (Arc::new(Store::default()), Instant::now());
        let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
        let request = AcquireRequest::new(key.clone(), token.clone(), Duration::from_secs(1));
        assert!(store.acquire(request, now).is_ok());
        let asks = Arc::new(Asks {
            store: Arc::clone(&store),
            key: key.clone(),
            could: AtomicBool::new(false),
        });
        let (waker, wake) = oneshot::channel();
        store.watch(&key, waker, now);
        let (mut wake, asking) = (pin!(wake), Waker::from(Arc::clone(&asks)));
        let polled = wake.as_mut().poll(&mut Context::from_waker(&asking));
        assert!(polled.is_pending());
        store.release(ReleaseRequest::new(key, token), now);
        assert!(asks.could.load(Ordering::Relaxed));
    }

    #[test]
    fn the_longest_times_are_cut_to_what_an_instant_holds() {
        let (store, now) = (Store::default(), Instant::now());
        let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
        let request = AcquireRequest::new(key.clone(), token.clone(), Duration::MAX);
        let request = request.fenced(FencingToken::new(1).unwrap(), Duration::MAX);
        assert!(store.acquire(request, now).is_ok());
        let extend = ExtendRequest::new(key.clone(), token.clone(), Duration::MAX);
        assert_eq!(store.extend(&extend, now), ExtendReply::Extended);
        let release = ReleaseRequest::new(key, token).keeping(Duration::MAX);
        assert_eq!(store.release(release, now), ReleaseReply::Freed);
    }

    #[test]
    fn expired_keys_are_forgotten_as_new_ones_come() {
        let store = Store::default();
        let ttl = Duration::from_millis(10);
        let mut now = Instant::now();
        for n in 0..100_000 {
            let key = LockKey::new(format!("k:{n}")).unwrap();
            let request = AcquireRequest::new(key, OwnerToken::with_label(""), ttl);
            let reply = store.acquire(request, now).unwrap();
            assert_eq!(reply, AcquireReply::Granted);
            now += Duration::from_millis(1);
        }
        let kept: usize = store.0.iter().map(|shard| shard.lock().entries.len()).sum();
        assert!(kept <= SHARDS * (FIRST_SWEEP + 1), "{kept} keys kept");
    }

    const TTL: Duration = Duration::from_millis(10);

    fn acquire(key: &str) -> AcquireRequest {
        let key = LockKey::new(key).unwrap();
        AcquireRequest::new(key, OwnerToken::with_label(""), TTL)
    }

    #[test]
    fn a_lock_ends_with_its_ttl_and_not_before() {
        let (store, now) = (Store::default(), Instant::now());
        let (one, other) = (acquire("k"), acquire("k"));
        store.acquire(one.clone(), now).unwrap();
        let before = store.acquire(other.clone(), now + TTL - Duration::from_nanos(1));
        assert!(matches!(before, Ok(AcquireReply::Busy(_))));
        let extend = ExtendRequest::new(one.keys.first().clone(), one.token.clone(), TTL);
        assert_eq!(store.extend(&extend, now + TTL), ExtendReply::NotHeld);
        let release = ReleaseRequest::new(one.keys.first().clone(), one.token);
        assert_eq!(store.release(release, now + TTL), ReleaseReply::NotHeld);
        let after = store.acquire(other, now + TTL);
        assert_eq!(after.unwrap(), AcquireReply::Granted);
    }

    #[test]
    fn a_fence_is_forgotten_when_its_time_is_over() {
        let (store, now) = (Store::default(), Instant::now());
        let number = |number| FencingToken::new(number).unwrap();
        let grant = |proposal, at| {
            let request = acquire("k").fenced(number(proposal), 3 * TTL);
            store.acquire(request, at).unwrap()
        };
        assert_eq!(grant(5, now), AcquireReply::GrantedWith(number(5)));
        assert_eq!(grant(1, now + TTL), AcquireReply::GrantedWith(number(6)));
        assert_eq!(
            grant(1, now + 4 * TTL),
            AcquireReply::GrantedWith(number(1))
        );
    }

    #[test]
    fn what_is_held_or_remembered_is_not_forgotten_however_much_comes() {
        let (store, now) = (Store::default(), Instant::now());
        let number = |number| FencingToken::new(number).unwrap();
        let fenced = |n: usize, proposal| {
            let request = acquire(&format!("k:{n}"));
            request.fenced(number(proposal), 3 * TTL)
        };
        let keys = 0..SHARDS * FIRST_SWEEP * 4;
        let mut waiting = Vec::new();
        for n in keys.clone() {
            let request = fenced(n, 5);
            let reply = store.acquire(request.clone(), now).unwrap();
            assert_eq!(reply, AcquireReply::GrantedWith(number(5)));
            let (waker, wake) = oneshot::channel();
            store.watch(request.keys.first(), waker, now);
            waiting.push(wake);
        }
        for wake in &mut waiting {
            assert_eq!(wake.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
        for n in keys.clone() {
            let refused = store.acquire(fenced(n, 1), now);
            assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{n}");
        }
        // The keys have expired by then, and their fences have not.
        for n in keys {
            let reply = store.acquire(fenced(n, 1), now + TTL).unwrap();
            assert_eq!(reply, AcquireReply::GrantedWith(number(6)), "{n}");
        }
    }

    #[test]
    fn waiters_that_gave_up_are_forgotten_as_others_come() {
        let (store, now) = (Store::default(), Instant::now());
        let request = acquire("k");
        store.acquire(request.clone(), now).unwrap();
        for _ in 0..100 {
            let (waker, _) = oneshot::channel();
            store.watch(request.keys.first(), waker, now);
        }
        let shard = store.0.of(request.keys.first()).lock();
        assert_eq!(shard.waiters.values().map(Vec::len).sum::<usize>(), 1);
    }

    /// It may have been given back since it was refused.
    #[test]
    fn whoever_waits_for_a_key_that_is_free_is_woken_at_once() {
        let (store, now) = (Store::default(), Instant::now());
        let request = acquire("k");
        store.acquire(request.clone(), now).unwrap();
        let (waker, mut wake) = oneshot::channel();
        store.watch(request.keys.first(), waker, now + TTL);
        assert_eq!(wake.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[test]
    fn fences_and_waiters_of_expired_keys_are_forgotten_as_new_ones_come() {
        let store = Store::default();
        let mut now = Instant::now();
        for n in 0..100_000 {
            let request = acquire(&format!("k:{n}"));
            let request = request.fenced(FencingToken::new(1).unwrap(), TTL);
            store.acquire(request.clone(), now).unwrap();
            let (waker, _) = oneshot::channel();
            store.watch(request.keys.first(), waker, now);
            now += Duration::from_millis(1);
        }
        let most = SHARDS * (FIRST_SWEEP + 1);
        let kept = |count: fn(&Shard) -> usize| -> usize {
            store.0.iter().map(|shard| count(&shard.lock())).sum()
        };
        assert!(kept(|shard| shard.fences.len()) <= most);
        assert!(kept(|shard| shard.waiters.len()) <= most);
    }
}
