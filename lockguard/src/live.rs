//! Which leases of a manager are held, and which are being taken.

use std::{
    cell::Cell,
    collections::HashMap,
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{holding::Holding, key::LockKey};

/// Enough that two threads seldom meet on one shard.
const SHARDS: usize = 16;

/// The leases of a manager, from their grant until their release has ended,
/// and the acquires that may come to one.
///
/// A drain finds here what it must wait for.
/// Each thread enters leases into a shard of its own, so that two of them do
/// not pass one cache line to and fro.
#[derive(Default)]
pub(crate) struct Live {
    shards: [Shard; SHARDS],
    is_draining: AtomicBool,
    /// Told while one runs, when a lease or an acquire has ended.
    changed: Notify,
    tally: Mutex<Tally>,
}

#[repr(align(128))]
#[derive(Default)]
struct Shard {
    /// Acquires that may come to a lease.
    candidates: AtomicUsize,
    /// Those of them that are not ready, to be woken when a drain begins.
    asleep: Mutex<Slab<Waker>>,
    leases: Mutex<Slab<Arc<Holding>>>,
}

/// Entries by number; numbers are used again.
struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

/// Where something was entered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    shard: usize,
    number: usize,
}

impl Slot {
    /// The number of no slot.
    pub(crate) const NONE: usize = usize::MAX;

    /// The slot of this number.
    pub(crate) fn from_number(number: usize) -> Option<Self> {
        (number != Self::NONE).then_some(Self {
            shard: number % SHARDS,
            number: number / SHARDS,
        })
    }
}

impl From<Slot> for usize {
    fn from(slot: Slot) -> Self {
        slot.number * SHARDS + slot.shard
    }
}

/// What has come of leases since a drain began, and which keys the servers may
/// still keep for nobody, drain or not.
#[derive(Default)]
struct Tally {
    released: usize,
    cancelled: usize,
    /// By number: the key, and when the servers forget it.
    left: HashMap<u64, (LockKey, Instant)>,
    next: u64,
    /// When some of them may be forgotten; in an outage many are left at once,
    /// and it is not to be looked for each time.
    sweep_at: Option<Instant>,
}

/// The most keys that are remembered as left.
const MOST_LEFT: usize = 10_000;

impl Tally {
    fn leave(&mut self, key: LockKey, until: Instant) -> u64 {
        let now = Instant::now();
        if self.left.len() >= MOST_LEFT && self.sweep_at.is_none_or(|at| at <= now) {
            self.left.retain(|_, (_, until)| now < *until);
            self.sweep_at = self.left.values().map(|(_, until)| *until).min();
        }
        self.next = self.next.wrapping_add(1);
        if self.left.len() < MOST_LEFT {
            self.left.insert(self.next, (key, until));
        }
        self.next
    }
}

impl Live {
    /// Notes that somebody begins to take a lease; `None` while draining.
    ///
    /// A drain waits until what this returns has been dropped.
    pub(crate) fn candidate(self: &Arc<Self>) -> Option<Candidate> {
        let shard = shard_of_this_thread();
        self.shard(shard).candidates.fetch_add(1, Ordering::SeqCst);
        let candidate = Candidate {
            live: Arc::clone(self),
            shard,
        };
        // Counted first: a drain that is not seen here sees the count.
        (!self.is_draining()).then_some(candidate)
    }

    /// Enters a lease; `false` while draining.
    pub(crate) fn enter(&self, holding: &Arc<Holding>) -> bool {
        let shard = shard_of_this_thread();
        let mut leases = self.shard(shard).leases.lock();
        // Asked under the lock that a drain takes after it has begun.
        if self.is_draining() {
            return false;
        }
        let number = leases.insert(Arc::clone(holding));
        holding.entered(Slot { shard, number });
        true
    }

    /// Notes that the release of a lease has ended; the nth of its keys were
    /// not released.
    pub(crate) fn released(&self, holding: &Holding, unreleased: &[usize]) {
        if !self.remove(holding) {
            return;
        }
        let is_released = unreleased.is_empty();
        if is_released && !self.is_draining() {
            return;
        }
        let until = holding.lease.kept_until();
        let mut tally = self.tally.lock();
        for nth in unreleased {
            tally.leave(holding.lease.all_keys().nth(*nth).clone(), until);
        }
        if self.is_draining() {
            tally.released = tally.released.saturating_add(usize::from(is_released));
            drop(tally);
            self.changed.notify_waiters();
        }
    }

    /// Notes that a key is being given back that an acquire may have taken, and
    /// that servers would keep for so long; it is left until it has been
    /// [given back](Self::given_back).
    pub(crate) fn gives_back(&self, key: &LockKey, ttl: Duration) -> u64 {
        let until = Instant::now() + ttl;
        self.tally.lock().leave(key.clone(), until)
    }

    /// See [`gives_back`](Self::gives_back).
    pub(crate) fn given_back(&self, number: u64) {
        self.tally.lock().left.remove(&number);
    }

    /// Notes that the lease is not this manager's any more.
    pub(crate) fn handed_over(&self, holding: &Holding) {
        if self.remove(holding) {
            self.changed.notify_waiters();
        }
    }

    /// Notes that a body was dropped part-way by a drain.
    pub(crate) fn cancelled(&self) {
        let mut tally = self.tally.lock();
        tally.cancelled = tally.cancelled.saturating_add(1);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    /// From here on no lease is entered, and everybody who waits for one is
    /// told.
    pub(crate) fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let asleep: Vec<_> = shard.asleep.lock().iter().cloned().collect();
            asleep.into_iter().for_each(Waker::wake);
        }
    }

    /// Awaits the future unless a drain has begun or begins: `None` then, and
    /// the caller drops it.
    ///
    /// What is ready at its first poll costs no more than that.
    ///
    /// # Cancel safety
    ///
    /// That of the future.
    pub(crate) fn unless_draining<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Option<F::Output>> {
        let mut asleep: Option<Asleep<'_>> = None;
        poll_fn(move |cx| {
            // In this order: what is ready at once is entered nowhere.
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            match &asleep {
                Some(asleep) => asleep.is_woken_by(cx.waker()),
                None => asleep = Some(Asleep::enter(self, cx.waker().clone())),
            }
            // Entered first: a drain that is not seen here wakes it.
            if self.is_draining() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
    }

    /// Resolves when no lease is held, none is being released, and nobody
    /// takes one; after a drain has begun.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub(crate) async fn all_gone(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// The leases that are held or being released.
    pub(crate) fn leases(&self) -> Vec<Arc<Holding>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.leases.lock().iter().cloned());
        }
        all
    }

    /// Notes that every release that was asked for has been done: none of the
    /// keys that were not released is left.
    pub(crate) fn all_delivered(&self) {
        self.tally.lock().left.clear();
    }

    /// How many leases have been released, and bodies cancelled, since a drain
    /// began, and which keys are left.
    pub(crate) fn account(&self) -> (usize, usize, Vec<LockKey>) {
        let now = Instant::now();
        let mut left = Vec::new();
        for holding in self.leases() {
            let until = holding.lease.kept_until();
            left.extend(holding.lease.keys().iter().map(|key| (key.clone(), until)));
        }
        let tally = self.tally.lock();
        left.extend(tally.left.values().cloned());
        // Servers have forgotten the others by themselves.
        left.retain(|(_, until)| now < *until);
        let mut left: Vec<_> = left.into_iter().map(|(key, _)| key).collect();
        left.sort_unstable();
        left.dedup();
        (tally.released, tally.cancelled, left)
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| {
            shard.candidates.load(Ordering::SeqCst) == 0 && shard.leases.lock().is_empty()
        })
    }

    /// Whether the lease was entered, and had not been removed.
    fn remove(&self, holding: &Holding) -> bool {
        let Some(Slot { shard, number }) = holding.slot() else {
            return false;
        };
        let removed = self.shard(shard).leases.lock().remove(number);
        removed.is_some()
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is in bounds")]
    fn shard(&self, shard: usize) -> &Shard {
        &self.shards[shard % SHARDS]
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, entry: T) -> usize {
        if let Some(number) = self.free.pop()
            && let Some(free) = self.entries.get_mut(number)
        {
            *free = Some(entry);
            return number;
        }
        self.entries.push(Some(entry));
        self.entries.len().saturating_sub(1)
    }

    fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.entries.get_mut(number)?.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten()
    }

    fn remove(&mut self, number: usize) -> Option<T> {
        let removed = self.entries.get_mut(number)?.take()?;
        self.free.push(number);
        Some(removed)
    }

    fn is_empty(&self) -> bool {
        self.entries.len() == self.free.len()
    }
}

/// Somebody who waits, and is woken when a drain begins.
struct Asleep<'a> {
    shard: &'a Shard,
    number: usize,
}

impl<'a> Asleep<'a> {
    fn enter(live: &'a Live, waker: Waker) -> Self {
        let shard = live.shard(shard_of_this_thread());
        let number = shard.asleep.lock().insert(waker);
        Self { shard, number }
    }

    /// Another task may poll it by now.
    fn is_woken_by(&self, waker: &Waker) {
        let mut asleep = self.shard.asleep.lock();
        let entered = asleep.get_mut(self.number);
        if let Some(entered) = entered.filter(|entered| !entered.will_wake(waker)) {
            let before = mem::replace(entered, waker.clone());
            // What a waker does when it is dropped is anybody's.
            drop(asleep);
            drop(before);
        }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let entered = self.shard.asleep.lock().remove(self.number);
        drop(entered);
    }
}

/// Somebody who takes a lease: dropped once there is one, or none any more.
pub(crate) struct Candidate {
    live: Arc<Live>,
    shard: usize,
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let shard = self.live.shard(self.shard);
        shard.candidates.fetch_sub(1, Ordering::SeqCst);
        if self.live.is_draining() {
            self.live.changed.notify_waiters();
        }
    }
}

/// Threads take shards in turn, and keep them.
fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let take = || NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    // A thread that is ending has lost its own.
    let shard = SHARD.try_with(|shard| {
        let taken = shard.get().unwrap_or_else(take);
        shard.set(Some(taken));
        taken
    });
    shard.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        task::{Context, Wake},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_drain_wakes_whoever_polled_last() {
        let live = Live::default();
        let [first, last] = [(); 2].map(|()| Arc::new(Woken::default()));
        let never = pin!(pending::<()>());
        let mut waiting = pin!(live.unless_draining(never));
        for woken in [&first, &last] {
            let waker = Waker::from(Arc::clone(woken));
            let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        live.begin_drain();
        assert!(!first.0.load(Ordering::SeqCst) && last.0.load(Ordering::SeqCst));
        let polled = waiting.poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(None));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_servers_have_forgotten_make_room_for_others() {
        let live = Live::default();
        let key = |nth: usize| LockKey::new(format!("k:{nth}")).unwrap();
        let ttl = Duration::from_secs(1);
        for nth in 0..=MOST_LEFT {
            live.gives_back(&key(nth), ttl);
        }
        assert_eq!(live.account().2.len(), MOST_LEFT);
        tokio::time::advance(ttl).await;
        live.gives_back(&key(MOST_LEFT), ttl);
        assert_eq!(live.account().2, [key(MOST_LEFT)]);
    }
}
