//! First come, first served among the waiters of one manager.

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    iter,
    pin::pin,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::{
    bell::Bell,
    clock::until,
    crowd::{Crowd, Tell, tell_all},
    key::LockKey,
    keys::LockKeys,
    sharded::{KeyMap, Sharded},
    successor::Successor,
    token::OwnerToken,
};

/// The lines of waiters, one for each key that anybody here waits for, or holds
/// after a wait or by servers.
///
/// Only the head of a line contends on the servers; the others cost them
/// nothing.
#[derive(Default)]
pub(crate) struct Queue {
    lines: Sharded<Lines>,
}

/// The lines of a shard.
#[derive(Default)]
struct Lines {
    by_key: Mutex<KeyMap<Arc<Line>>>,
    /// How many there are; written under the mutex, and read without.
    count: AtomicUsize,
}

/// One key's waiters in this process, and its holder if that is one of ours.
struct Line {
    key: LockKey,
    /// How many places it has; counted while the lines are locked.
    places: AtomicUsize,
    /// One permit: the right to contend on the servers. Fair, and given on
    /// when its holder's future is dropped.
    turn: Semaphore,
    state: Mutex<State>,
    /// How often a lease of ours has been given back here; counted while the
    /// state is locked.
    frees: AtomicU64,
    /// Told each time.
    freed: Bell,
    /// How often in a row a lease of ours was handed on without a look at who
    /// stands in line on the servers.
    handed_on: AtomicU32,
    /// Whether whoever has the turn stands in line on the servers too, which then
    /// decide when it is served.
    has_head_a_ticket: AtomicBool,
}

#[derive(Default)]
struct State {
    holder: Option<LocalHolder>,
    /// Who waits here to be handed the key by a lease of ours, in order.
    successors: VecDeque<Successor>,
    /// Who wants several keys and waits for this one.
    crowd: Crowd,
}

/// How often in a row a lease is handed on inside this process, while others
/// may queue.
const MOST_HANDED_ON: u32 = 32;

/// A lease of ours on a key.
#[derive(Debug, Clone)]
pub(crate) struct LocalHolder {
    pub(crate) token: OwnerToken,
    /// When the servers forget it, unless it is extended.
    pub(crate) until: Instant,
    /// It has been given back, and those who wait let others in first.
    pub(crate) is_open: bool,
}

/// A place in a key's line; leaving it is dropping it.
pub(crate) struct Place {
    queue: Arc<Queue>,
    line: Arc<Line>,
    /// How many frees this place has seen.
    seen: AtomicU64,
}

/// A place in the line of each key of a request; leaving is dropping it.
///
/// Whoever wants several keys never takes a turn, and is in the crowd of one of
/// them at a time: it holds nothing else while it waits, so that nobody waits for
/// it in a circle.
///
/// Whoever finds nobody there may need none: see [`Queue::places_there`].
pub(crate) struct Places {
    first: Option<Place>,
    /// Empty for a single key, and costs nothing then.
    rest: Vec<Place>,
}

/// The right to contend on the servers, passed on when it is dropped.
pub(crate) struct Turn<'a> {
    line: &'a Line,
    _permit: SemaphorePermit<'a>,
}

impl Turn<'_> {
    /// Notes that whoever has it stands in line on the servers: nobody behind it
    /// here is handed the key.
    pub(crate) fn stands_in_line(&self) {
        self.line.has_head_a_ticket.store(true, Ordering::Relaxed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.line.has_head_a_ticket.store(false, Ordering::Relaxed);
    }
}

/// A place among those who want several keys and wait for this one; leaving is
/// dropping it, before another is waited for.
pub(crate) struct InCrowd<'a> {
    place: &'a Place,
    me: Tell,
    /// When it began to want its keys.
    came: Instant,
}

impl InCrowd<'_> {
    pub(crate) fn is_at(&self, place: &Place) -> bool {
        ptr::eq(self.place, place)
    }

    /// Shows that it is there: a first that does not is passed over.
    ///
    /// Gives when to look again; `None` where it is the first, who asks when the key
    /// is given back.
    pub(crate) fn show(&self) -> Option<Instant> {
        self.crowd(|crowd| crowd.show(&self.me, self.came, Instant::now()))
    }

    /// Shows that it is there, and asks.
    pub(crate) fn asks(&self) {
        let now = Instant::now();
        self.crowd(|crowd| {
            crowd.asked = Some(now);
            crowd.show(&self.me, self.came, now);
        });
    }

    /// When one of the crowd last asked.
    pub(crate) fn asked(&self) -> Option<Instant> {
        self.crowd(|crowd| crowd.asked)
    }

    /// Waits until it is the first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it where it stands.
    pub(crate) async fn first(&self) {
        while let Some(due) = self.show() {
            if until(due, self.me.notified()).await.is_none() {
                tell_all(self.crowd(|crowd| crowd.pass_over(Instant::now())));
            }
        }
    }

    fn crowd<T>(&self, with: impl FnOnce(&mut Crowd) -> T) -> T {
        with(&mut self.place.line.state.lock().crowd)
    }
}

impl Drop for InCrowd<'_> {
    fn drop(&mut self) {
        tell_all(self.crowd(|crowd| crowd.leave(&self.me, Instant::now())));
    }
}

impl Queue {
    /// Steps up to the lines of these keys.
    pub(crate) fn places(self: &Arc<Self>, keys: &LockKeys) -> Places {
        let mut places = Places::none();
        keys.iter().for_each(|key| places.add(self.place(key)));
        places
    }

    /// Steps up to those of their lines that there are: one for each key that
    /// somebody here waits for, or holds after a wait.
    pub(crate) fn places_there(self: &Arc<Self>, keys: &LockKeys) -> Places {
        let mut places = Places::none();
        for key in keys {
            let lines = self.lines.of(key);
            if lines.are_some()
                && let Some(line) = lines.by_key.lock().get(key)
            {
                places.add(self.place_in(line));
            }
        }
        places
    }

    /// Steps up to the line of this key.
    pub(crate) fn place(self: &Arc<Self>, key: &LockKey) -> Place {
        let lines = self.lines.of(key);
        let mut by_key = lines.by_key.lock();
        let line = by_key.entry(key.clone());
        let place = self.place_in(line.or_insert_with(|| Arc::new(Line::new(key.clone()))));
        lines.are(by_key.len());
        place
    }

    /// To be called while the lines are locked.
    fn place_in(self: &Arc<Self>, line: &Arc<Line>) -> Place {
        line.places.fetch_add(1, Ordering::Relaxed);
        Place {
            queue: Arc::clone(self),
            line: Arc::clone(line),
            seen: AtomicU64::new(line.frees.load(Ordering::Acquire)),
        }
    }

    /// How many keys are waited for or held.
    fn len(&self) -> usize {
        self.lines.iter().map(Lines::len).sum()
    }
}

impl Lines {
    /// Whether there are any.
    ///
    /// Whoever has stepped up before it asked a store is seen by whoever asks the
    /// store, and looks, after that.
    fn are_some(&self) -> bool {
        self.len() > 0
    }

    fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// To be called while they are locked.
    fn are(&self, count: usize) {
        self.count.store(count, Ordering::Release);
    }
}

impl Line {
    fn new(key: LockKey) -> Self {
        Self {
            key,
            places: AtomicUsize::new(0),
            turn: Semaphore::new(1),
            state: Mutex::default(),
            frees: AtomicU64::new(0),
            freed: Bell::default(),
            handed_on: AtomicU32::new(0),
            has_head_a_ticket: AtomicBool::new(false),
        }
    }

    fn turn_of<'a>(&'a self, permit: SemaphorePermit<'a>) -> Turn<'a> {
        Turn {
            line: self,
            _permit: permit,
        }
    }

    /// Notes that a lease of ours has been given back, and wakes the head of
    /// the line and whoever waits without standing in it.
    fn free(&self, change: impl FnOnce(&mut Option<LocalHolder>)) {
        let mut state = self.state.lock();
        change(&mut state.holder);
        let frees = self.frees.load(Ordering::Relaxed);
        self.frees.store(frees.wrapping_add(1), Ordering::Release);
        let foremost = state.crowd.freed();
        drop(state);
        self.freed.ring();
        tell_all(foremost);
    }
}

impl Places {
    /// No place in any line.
    pub(crate) const fn none() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }

    fn add(&mut self, place: Place) {
        match &self.first {
            None => self.first = Some(place),
            Some(_) => self.rest.push(place),
        }
    }

    /// The right to contend for a single key, in the order of arrival.
    ///
    /// # Cancel safety
    ///
    /// As [`Place::turn`].
    pub(crate) async fn turn(&self) -> Turn<'_> {
        match self.single() {
            Some(place) => place.turn().await,
            None => pending().await,
        }
    }

    /// The same, where there is nobody to wait for; `None` for several keys, which
    /// are contended for without.
    pub(crate) fn turn_at_once(&self) -> Poll<Option<Turn<'_>>> {
        match self.single().map(Place::turn_at_once) {
            Some(None) => Poll::Pending,
            turn => Poll::Ready(turn.flatten()),
        }
    }

    /// The place of a single key.
    fn single(&self) -> Option<&Place> {
        self.first.as_ref().filter(|_| self.rest.is_empty())
    }

    /// The place of this key; the first where it is none of ours, if there is one.
    pub(crate) fn of(&self, key: &LockKey) -> Option<&Place> {
        let mut rest = self.rest.iter();
        let of_key = rest.find(|place| place.key() == key);
        of_key.or(self.first.as_ref())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.first.iter().chain(&self.rest)
    }

    pub(crate) fn are_none(&self) -> bool {
        self.first.is_none()
    }

    /// Names the last of those who have the single key next, if it is handed on.
    pub(crate) fn add_successor(&self, successor: Successor) {
        const MANY: usize = 64;
        let Some(place) = &self.first else { return };
        let successors = &mut place.line.state.lock().successors;
        // Those who gave up leave now and then, so that the line stays short.
        if successors.len() >= MANY && successors.len().is_power_of_two() {
            successors.retain(Successor::is_there);
        }
        successors.push_back(successor);
    }

    /// Names the first of them.
    pub(crate) fn add_first_successor(&self, successor: Successor) {
        let Some(place) = &self.first else { return };
        let successors = &mut place.line.state.lock().successors;
        // The one that was first has given up, or somebody else would not be.
        while successors.front().is_some_and(|first| !first.is_there()) {
            successors.pop_front();
        }
        successors.push_front(successor);
    }

    /// Who has the single key next, if somebody is there, the servers need not be
    /// asked who, and the key is ours to hand on.
    pub(crate) fn successor(&self, is_ours: impl FnOnce() -> bool) -> Option<Successor> {
        let line = &self.single()?.line;
        if line.has_head_a_ticket.load(Ordering::Relaxed)
            || line.handed_on.load(Ordering::Relaxed) >= MOST_HANDED_ON
        {
            return None;
        }
        let successors = &mut line.state.lock().successors;
        if successors.is_empty() || !is_ours() {
            return None;
        }
        let successor = iter::from_fn(|| successors.pop_front()).find(Successor::is_there)?;
        line.handed_on.fetch_add(1, Ordering::Relaxed);
        Some(successor)
    }

    /// Notes that the servers granted the keys in the order of their lines.
    pub(crate) fn was_in_order(&self) {
        for place in self.iter() {
            place.line.handed_on.store(0, Ordering::Relaxed);
        }
    }

    /// The first of the keys that a lease of ours holds, and which.
    pub(crate) fn local_holder(&self) -> Option<(&Place, LocalHolder)> {
        self.iter()
            .find_map(|place| Some((place, place.local_holder()?)))
    }

    /// The first of the keys that others here wait for who want several.
    pub(crate) fn crowded(&self) -> Option<&Place> {
        let is_crowded = |place: &&Place| !place.line.state.lock().crowd.is_empty();
        self.iter().find(is_crowded)
    }

    /// Notes what has been freed so far: [`Place::freed`] waits for more.
    pub(crate) fn look(&self) {
        self.iter().for_each(Place::look);
    }

    /// Notes that a lease of ours holds the keys, for that long from `start`.
    pub(crate) fn hold(&self, token: &OwnerToken, start: Instant, ttl: Duration) {
        self.iter().for_each(|place| place.hold(token, start, ttl));
    }

    /// See [`Place::renew`].
    pub(crate) fn renew(&self, token: &OwnerToken, until: Instant) {
        self.iter().for_each(|place| place.renew(token, until));
    }

    /// See [`Place::keep`].
    pub(crate) fn keep(&self, token: &OwnerToken, until: Instant) {
        self.iter().for_each(|place| place.keep(token, until));
    }

    /// See [`Place::open`].
    pub(crate) fn open(&self, token: &OwnerToken, until: Instant) {
        self.iter().for_each(|place| place.open(token, until));
    }

    /// Forgets the holder, whose release is on its way: whoever comes from here
    /// on does not wait for it, and whoever waits goes on waiting.
    pub(crate) fn leave(&self, token: &OwnerToken) {
        for place in self.iter() {
            forget(&mut place.line.state.lock().holder, token);
        }
    }

    /// Notes that the lease with this token has been given back.
    pub(crate) fn free(&self, token: &OwnerToken) {
        self.iter().for_each(|place| place.free(token));
    }
}

impl Place {
    pub(crate) fn key(&self) -> &LockKey {
        &self.line.key
    }

    /// Waits until everybody who came earlier has the key or has left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; whoever is next moves up.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        match self.line.turn.acquire().await {
            Ok(permit) => self.line.turn_of(permit),
            // Nothing closes the semaphore; to wait is the safe answer.
            Err(_) => pending().await,
        }
    }

    /// As [`turn`](Self::turn), where nobody came earlier: a permit that
    /// somebody waits for is not to be had.
    fn turn_at_once(&self) -> Option<Turn<'_>> {
        let permit = self.line.turn.try_acquire().ok()?;
        Some(self.line.turn_of(permit))
    }

    /// A place among those who want several keys and wait for this one, from when it
    /// first [shows](InCrowd::show) itself, by when each came: one of them asks when
    /// the key is given back, since all at once would only be in each other's way.
    pub(crate) fn crowd(&self, came: Instant) -> InCrowd<'_> {
        InCrowd {
            place: self,
            me: Tell::default(),
            came,
        }
    }

    /// The lease of ours that holds the key, if its ttl has not passed.
    pub(crate) fn local_holder(&self) -> Option<LocalHolder> {
        let state = self.line.state.lock();
        let holder = state.holder.as_ref();
        holder
            .filter(|holder| Instant::now() < holder.until)
            .cloned()
    }

    /// Notes what has been freed so far.
    fn look(&self) {
        let frees = self.line.frees.load(Ordering::Acquire);
        self.seen.store(frees, Ordering::Relaxed);
    }

    /// Resolves when a lease of ours on this key has been given back since the
    /// last look, the last time that this resolved, or else since this place
    /// was taken.
    pub(crate) async fn freed(&self) {
        loop {
            let mut told = pin!(self.line.freed.listen());
            // From here on no change is missed.
            told.as_mut().enable();
            let frees = {
                let _state = self.line.state.lock();
                self.line.frees.load(Ordering::Relaxed)
            };
            if self.seen.swap(frees, Ordering::Relaxed) != frees {
                return;
            }
            told.await;
        }
    }

    /// Notes that a lease of ours holds the key, for that long from `start`.
    pub(crate) fn hold(&self, token: &OwnerToken, start: Instant, ttl: Duration) {
        self.line.state.lock().holder = Some(LocalHolder {
            token: token.clone(),
            until: start + ttl,
            is_open: false,
        });
    }

    /// Notes that the lease with this token, if it still holds the key, has
    /// been renewed.
    pub(crate) fn renew(&self, token: &OwnerToken, until: Instant) {
        let holder = &mut self.line.state.lock().holder;
        if let Some(holder) = holder.as_mut().filter(|holder| holder.token == *token) {
            holder.until = holder.until.max(until);
        }
    }

    /// Notes that the lease with this token has been given back but for a
    /// rest, and lets those who wait for it wait for that only.
    pub(crate) fn keep(&self, token: &OwnerToken, until: Instant) {
        self.line.free(|holder| {
            if let Some(holder) = holder.as_mut().filter(|holder| holder.token == *token) {
                holder.until = holder.until.min(until);
            }
        });
    }

    /// Notes that the lease with this token has been given back, and lets those
    /// who wait for it wait on, for others to ask first.
    pub(crate) fn open(&self, token: &OwnerToken, until: Instant) {
        self.line.free(|holder| {
            if let Some(holder) = holder.as_mut().filter(|holder| holder.token == *token) {
                holder.until = until;
                holder.is_open = true;
            }
        });
    }

    /// Notes that the lease with this token has been given back, and wakes the
    /// head of the line and whoever waits without standing in it.
    pub(crate) fn free(&self, token: &OwnerToken) {
        self.line.free(|holder| forget(holder, token));
    }
}

/// Forgets the holder, if it is the one with this token.
fn forget(holder: &mut Option<LocalHolder>, token: &OwnerToken) {
    holder.take_if(|holder| holder.token == *token);
}

impl Drop for Place {
    /// Forgets the line with its last place.
    fn drop(&mut self) {
        let lines = self.queue.lines.of(&self.line.key);
        let mut by_key = lines.by_key.lock();
        if self.line.places.fetch_sub(1, Ordering::Relaxed) == 1 {
            by_key.remove(&self.line.key);
            lines.are(by_key.len());
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("keys", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LockKey {
        LockKey::new("k").unwrap()
    }

    #[tokio::test]
    async fn places_are_served_in_the_order_of_arrival() {
        let queue = Arc::new(Queue::default());
        let place = queue.place(&key());
        let first = place.turn().await;
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiters: Vec<_> = (0..5)
            .map(|n| {
                let place = queue.place(&key());
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let _turn = place.turn().await;
                    served.lock().push(n);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(first);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(*served.lock(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_line_is_forgotten_with_its_last_place() {
        let queue = Arc::new(Queue::default());
        let (a, b) = (queue.place(&key()), queue.place(&key()));
        assert_eq!(queue.len(), 1);
        drop(a);
        assert_eq!(queue.len(), 1);
        drop(b);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_free_between_a_look_and_the_wait_is_not_missed() {
        let queue = Arc::new(Queue::default());
        let place = queue.place(&key());
        place.look();
        queue.place(&key()).free(&OwnerToken::with_label(""));
        place.freed().await;
        let told = tokio::time::timeout(Duration::ZERO, place.freed()).await;
        assert!(told.is_err(), "woken twice by one release");
    }

    #[tokio::test]
    async fn several_keys_take_no_turn() {
        let queue = Arc::new(Queue::default());
        let keys = ["a", "b"].map(|key| LockKey::new(key).unwrap());
        let places = queue.places(&LockKeys::new(keys.clone()).unwrap());
        assert!(matches!(places.turn_at_once(), Poll::Ready(None)));
        let place = queue.place(&keys[0]);
        let _turn = place.turn().await;
        assert!(matches!(places.turn_at_once(), Poll::Ready(None)));
    }

    #[tokio::test]
    async fn a_free_of_an_older_lease_leaves_the_newer_holder() {
        let queue = Arc::new(Queue::default());
        let place = queue.place(&key());
        let (old, new) = (OwnerToken::with_label(""), OwnerToken::with_label(""));
        let now = Instant::now();
        place.hold(&new, now, Duration::from_secs(1));
        place.free(&old);
        assert!(place.local_holder().is_some());
        place.free(&new);
        assert!(place.local_holder().is_none());
    }
}
