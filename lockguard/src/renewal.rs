//! Renews the leases that may be held longer than their ttl.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, task::yield_now, time::Instant};

use crate::{
    backend::{Backend, BackendError, BoxFuture, ExtendReply, ExtendRequest, ReleaseRequest},
    background::Background,
    cadence::{on_the_raster, renewal_interval, renewal_tick, retry_pause, ttl_lasting},
    clock::{until, until_unless},
    extend::{NotExtended, all_extended},
    lease::Lease,
    lost_cause::LostCause,
    queue::Place,
    token::OwnerToken,
    validity::{lifetime, node_budget},
};

/// Renews leases with a `max_hold` while they are held.
///
/// One task for the whole manager, on the runtime that the manager was made
/// on; it begins with the first such lease and ends with the last.
/// It renews each lease at a third of its ttl, many in one batch.
/// A renewal that fails is a warning and is tried again: only the deadline, or
/// a quorum that says "not yours", is a loss.
///
/// On a backend whose futures are ready at their first poll a renewal cannot
/// fail, so it is made up to the lease's limit in advance, without a task.
pub(crate) struct Renewal(Arc<Shared>);

struct Shared {
    backend: Arc<dyn Backend>,
    background: Background,
    /// Where the raster of due times begins.
    origin: Instant,
    schedule: Mutex<Schedule>,
    /// Held while a batch is put on its way: no lease is given back between
    /// the look whether it is held and the call that renews it.
    sending: Mutex<()>,
    /// Told when the task must look at the schedule again.
    changed: Notify,
}

#[derive(Default)]
struct Schedule {
    /// By when they are due, and with whom they may go.
    due: BTreeMap<(Instant, Class), Vec<Weak<Renewed>>>,
    /// How many are due, those that are gone included.
    entries: usize,
    /// How many leases are to be renewed and have not been given back.
    live: usize,
    is_running: bool,
}

/// The most leases that are renewed in one call.
const MOST_IN_BATCH: usize = 256;

/// The most calls that wait for an answer; what is due then waits.
const MOST_BATCHES: usize = 64;

/// How many entries of leases that are gone the schedule holds at least
/// before they are looked for.
const MOST_GONE: usize = 64;

/// Longer than any task sleeps without a reason.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// A lease that is renewed until it is given back.
pub(crate) struct Renewed {
    lease: Lease,
    token: OwnerToken,
    ttl: Duration,
    min_hold: Duration,
    class: Class,
    /// One for each key.
    places: Vec<Place>,
    /// No renewal is sent from here on.
    is_given_back: AtomicBool,
    /// Somebody else gives it back.
    is_left: AtomicBool,
    /// Renewals that have failed since the last that has not.
    failures: AtomicU32,
}

impl Renewed {
    pub(crate) fn new(
        lease: Lease,
        token: OwnerToken,
        ttl: Duration,
        min_hold: Duration,
        places: Vec<Place>,
    ) -> Self {
        Self {
            lease,
            token,
            ttl,
            min_hold,
            class: node_budget(ttl).as_millis().checked_ilog2().unwrap_or(0),
            places,
            is_given_back: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        }
    }

    /// Notes that somebody else gives the keys back.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::Release);
    }

    /// When the lease ends unless it is renewed; `None` when it is not held.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let is_ours = !self.is_given_back();
        is_ours.then(|| self.lease.deadline_if_held(now)).flatten()
    }

    fn is_given_back(&self) -> bool {
        self.is_given_back.load(Ordering::Acquire)
    }

    /// How long a lease that ends at its deadline, and is renewed now, must be
    /// kept; `None` when it lasts up to its limit already.
    fn ttl_needed(&self, deadline: Instant, now: Instant) -> Option<Duration> {
        let limit = self.lease.limit()?;
        let rest = limit.saturating_duration_since(now);
        (deadline < limit).then(|| self.ttl.min(ttl_lasting(rest)))
    }

    fn requests(&self, ttl: Duration) -> impl Iterator<Item = ExtendRequest> {
        let keys = self.lease.keys().iter();
        keys.map(move |key| ExtendRequest::new(key.clone(), self.token.clone(), ttl))
    }

    /// A renewal that was asked for at `asked` came to this deadline; `None`
    /// where the lease ended meanwhile, and is never revived.
    fn renewed(&self, asked: Instant, ttl: Duration) -> Option<Instant> {
        self.failures.store(0, Ordering::Relaxed);
        let deadline = self.lease.extended(asked, ttl).ok()?;
        for place in &self.places {
            place.renew(&self.token, asked + ttl);
        }
        Some(deadline)
    }

    /// The servers say that its nth key is not ours any more.
    fn taken(&self, nth: usize) {
        if self.lease.ended(Instant::now()).is_none() {
            self.lease.lose_nth(nth, LostCause::Taken);
        }
    }

    /// Whether this failure is the first in a row.
    fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// Leases that may wait equally long for an answer go in one batch.
type Class = u32;

impl Renewal {
    pub(crate) fn new(backend: Arc<dyn Backend>, background: Background) -> Self {
        Self(Arc::new(Shared {
            backend,
            background,
            origin: Instant::now(),
            schedule: Mutex::default(),
            sending: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Renews the lease until it is [given back](Self::stop), lost, or at its
    /// limit.
    pub(crate) fn start(&self, renewed: Renewed) -> Arc<Renewed> {
        let renewed = Arc::new(renewed);
        if self.0.backend.is_immediate() {
            self.0.renew_in_advance(&renewed);
        } else {
            self.0.enlist(&renewed);
        }
        renewed
    }

    /// From here on no renewal of this lease is sent: whatever is asked of the
    /// backend after this call comes after the last one.
    pub(crate) fn stop(&self, renewed: &Renewed) {
        renewed.is_given_back.store(true, Ordering::Release);
        if self.0.backend.is_immediate() {
            return;
        }
        drop(self.0.sending.lock());
        let mut schedule = self.0.schedule.lock();
        schedule.live = schedule.live.saturating_sub(1);
        if schedule.live == 0 {
            self.0.changed.notify_one();
        }
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal")
            .field("leases", &self.0.schedule.lock().live)
            .finish()
    }
}

impl Shared {
    /// The renewals up to the limit, all at once.
    fn renew_in_advance(&self, renewed: &Renewed) {
        let asked = Instant::now();
        let Some(limit) = renewed.lease.limit() else {
            return;
        };
        let ttl = ttl_lasting(limit.saturating_duration_since(asked));
        let mut replies = self.backend.extend(renewed.requests(ttl).collect());
        let mut nobody = Context::from_waker(Waker::noop());
        let Poll::Ready(replies) = replies.as_mut().poll(&mut nobody) else {
            tracing::warn!(
                key = %renewed.lease.key(),
                "failed to renew a lock: its backend is not immediate, as it says it is"
            );
            return;
        };
        match all_extended(&replies, renewed.lease.keys().len()) {
            Ok(()) => {
                renewed.lease.renewed_in_advance(renewed.ttl);
                for place in &renewed.places {
                    place.renew(&renewed.token, limit);
                }
            }
            Err(NotExtended::Taken(nth)) => renewed.taken(nth),
            Err(NotExtended::Failed(_, error)) => warn_of_failure(renewed, 1, &error),
        }
    }

    fn enlist(self: &Arc<Self>, renewed: &Arc<Renewed>) {
        let at = self.next_due(renewed, renewed.lease.deadline(), Instant::now());
        let is_running = {
            let mut schedule = self.schedule.lock();
            schedule.live = schedule.live.saturating_add(1);
            if schedule.push(at, renewed) {
                self.changed.notify_one();
            }
            mem::replace(&mut schedule.is_running, true)
        };
        if is_running {
            return;
        }
        let running = Running(Some(Arc::clone(self)));
        if !self.background.spawn(work(Arc::clone(self), running)) {
            tracing::warn!(
                key = %renewed.lease.key(),
                "no tokio runtime is left to renew a lock; it is lost after its ttl"
            );
        }
    }

    /// When a lease that lasts until its deadline is to be renewed.
    fn next_due(&self, renewed: &Renewed, deadline: Instant, now: Instant) -> Instant {
        let lasts = lifetime(renewed.ttl);
        let before_the_end = lasts.saturating_sub(renewal_interval(renewed.ttl));
        let due = deadline.checked_sub(before_the_end).unwrap_or(now);
        self.on_the_raster(due, renewed)
    }

    fn on_the_raster(&self, at: Instant, renewed: &Renewed) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        self.origin + on_the_raster(since, renewal_tick(renewed.ttl))
    }

    /// What the task does next.
    fn step(self: &Arc<Self>, in_flight: usize) -> Step {
        let now = Instant::now();
        let mut schedule = self.schedule.lock();
        if schedule.live == 0 {
            schedule.clear();
        }
        if schedule.due.is_empty() && in_flight == 0 {
            schedule.is_running = false;
            return Step::End;
        }
        if in_flight >= MOST_BATCHES {
            return Step::Wait(now + IDLE);
        }
        let batch = schedule.take_due(now);
        if batch.is_empty() {
            return Step::Wait(schedule.first().unwrap_or(now + IDLE));
        }
        drop(schedule);
        self.send(batch)
    }

    /// Puts one batch on its way.
    fn send(self: &Arc<Self>, batch: Vec<Arc<Renewed>>) -> Step {
        let mut sent = Vec::with_capacity(batch.len());
        let mut requests = Vec::with_capacity(batch.len());
        let sending = self.sending.lock();
        let asked = Instant::now();
        for renewed in batch {
            let Some(deadline) = renewed.deadline(asked) else {
                continue;
            };
            let due = self.next_due(&renewed, deadline, asked);
            if due > asked + renewal_tick(renewed.ttl) {
                // Extended by its owner since.
                self.schedule.lock().push(due, &renewed);
                continue;
            }
            let Some(ttl) = renewed.ttl_needed(deadline, asked) else {
                continue;
            };
            requests.extend(renewed.requests(ttl));
            sent.push((renewed, ttl));
        }
        if sent.is_empty() {
            return Step::Again;
        }
        let replies = self.backend.extend(requests);
        drop(sending);
        Step::Sent(Box::pin(Arc::clone(self).settle(asked, sent, replies)))
    }

    /// Waits for the answers to a batch, and does what follows.
    async fn settle(self: Arc<Self>, asked: Instant, sent: Vec<Sent>, replies: Replies) {
        let budgets = sent.iter().map(|(renewed, _)| node_budget(renewed.ttl));
        let budget = budgets.max().unwrap_or_default();
        let keeps_time = self.backend.keeps_time();
        let replies = until_unless(keeps_time, || asked + budget, replies).await;
        let replies = replies.unwrap_or_else(|| {
            let silent = BackendError::no_answer(self.backend.address(), budget);
            let keys = sent.iter().map(|(renewed, _)| renewed.lease.keys().len());
            vec![Err(silent); keys.sum()]
        });
        let now = Instant::now();
        let mut rest = &replies[..];
        let mut failing: Option<(Arc<Renewed>, usize, BackendError)> = None;
        for (renewed, ttl) in sent {
            let keys = renewed.lease.keys().len();
            let (answers, others) = rest.split_at_checked(keys).unwrap_or((rest, &[]));
            rest = others;
            let extended = all_extended(answers, keys);
            if renewed.is_given_back() {
                self.give_back_again(&renewed);
                continue;
            }
            match extended {
                Ok(()) => {
                    if let Some(deadline) = renewed.renewed(asked, ttl) {
                        self.renew_again(self.next_due(&renewed, deadline, now), &renewed);
                    }
                }
                Err(NotExtended::Taken(nth)) => renewed.taken(nth),
                Err(NotExtended::Failed(_, error)) => {
                    let retry = asked + retry_pause(renewed.ttl);
                    self.renew_again(self.on_the_raster(retry, &renewed), &renewed);
                    if renewed.failed() {
                        let (_, count, _) = failing.get_or_insert((renewed, 0, error));
                        *count = count.saturating_add(1);
                    }
                }
            }
        }
        if let Some((renewed, count, error)) = failing {
            warn_of_failure(&renewed, count, &error);
        }
    }

    fn renew_again(&self, at: Instant, renewed: &Arc<Renewed>) {
        self.schedule.lock().push(at, renewed);
    }

    /// The renewal was on its way when the lease was given back.
    ///
    /// It creates no key, so that a key that was freed stays free.
    /// One that is kept for a rest may have been lengthened again, by a node
    /// that got the two in the other order.
    fn give_back_again(&self, renewed: &Renewed) {
        if renewed.min_hold.is_zero() || renewed.is_left.load(Ordering::Acquire) {
            return;
        }
        let rest = renewed.lease.rest_of(renewed.min_hold, Instant::now()).left;
        for key in renewed.lease.keys() {
            let request = ReleaseRequest::new(key.clone(), renewed.token.clone()).keeping(rest);
            let release = self.backend.release(request);
            self.background.finish(Box::pin(async move {
                let _ = release.await;
            }));
        }
    }
}

impl Schedule {
    /// When the first is due.
    fn first(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Enters a lease; whether it is now the first that is due.
    fn push(&mut self, at: Instant, renewed: &Arc<Renewed>) -> bool {
        if self.entries > MOST_GONE.saturating_add(self.live.saturating_mul(2)) {
            self.forget_those_gone();
        }
        let is_first = self.first().is_none_or(|first| at < first);
        let due = self.due.entry((at, renewed.class)).or_default();
        due.push(Arc::downgrade(renewed));
        self.entries = self.entries.saturating_add(1);
        is_first
    }

    /// Takes out what is due now and may go in one batch.
    fn take_due(&mut self, now: Instant) -> Vec<Arc<Renewed>> {
        let mut batch = Vec::new();
        let first = self.due.keys().next().map(|(_, class)| *class);
        let due = self.due.iter_mut().take_while(|((at, _), _)| *at <= now);
        for (_, due) in due.filter(|((_, class), _)| Some(*class) == first) {
            let room = MOST_IN_BATCH.saturating_sub(batch.len());
            let taken = due.split_off(due.len().saturating_sub(room));
            self.entries = self.entries.saturating_sub(taken.len());
            batch.extend(taken.iter().filter_map(Weak::upgrade));
            if batch.len() == MOST_IN_BATCH {
                break;
            }
        }
        self.due.retain(|_, due| !due.is_empty());
        batch
    }

    fn forget_those_gone(&mut self) {
        self.due.retain(|_, due| {
            due.retain(|renewed| renewed.strong_count() > 0);
            !due.is_empty()
        });
        self.entries = self.due.values().map(Vec::len).sum();
    }

    fn clear(&mut self) {
        self.due.clear();
        self.entries = 0;
    }
}

/// A renewal on its way, and the ttl that it asks for.
type Sent = (Arc<Renewed>, Duration);

type Replies = BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>>;

/// What the task does next.
enum Step {
    /// A batch was put on its way; more may be due.
    Sent(BoxFuture<'static, ()>),
    /// Nothing was sent; more may be due.
    Again,
    /// Nothing is due before this instant.
    Wait(Instant),
    /// No lease is left to be renewed.
    End,
}

/// Notes that the task has ended, however it ends.
struct Running(Option<Arc<Shared>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            // With its runtime, or by a panic of a backend; the next lease
            // starts it again.
            shared.schedule.lock().is_running = false;
        }
    }
}

/// The task: as long as there are leases to be renewed.
async fn work(shared: Arc<Shared>, mut running: Running) {
    let mut flights: Vec<BoxFuture<'static, ()>> = Vec::new();
    loop {
        let mut changed = pin!(shared.changed.notified());
        // From here on no change is missed.
        changed.as_mut().enable();
        match shared.step(flights.len()) {
            Step::Sent(mut flight) => {
                let first = poll_fn(|cx| Poll::Ready(flight.as_mut().poll(cx))).await;
                if first.is_pending() {
                    flights.push(flight);
                }
                // Batches are work for the runtime's other tasks to interrupt.
                yield_now().await;
            }
            Step::Again => yield_now().await,
            Step::Wait(at) => {
                let moved = poll_fn(|cx| {
                    let in_flight = flights.len();
                    flights.retain_mut(|flight| flight.as_mut().poll(cx).is_pending());
                    if changed.as_mut().poll(cx).is_ready() || flights.len() < in_flight {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                until(at, moved).await;
            }
            Step::End => {
                // Said under the lock, since when another task may run.
                running.0 = None;
                return;
            }
        }
    }
}

fn warn_of_failure(renewed: &Renewed, count: usize, error: &BackendError) {
    tracing::warn!(
        key = %renewed.lease.key(),
        point = %renewed.lease.point(),
        leases = count,
        "failed to renew a lock: could not {error}; it is tried again until the deadline"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::LockKey, lease::Since, point::Point};

    fn renewed() -> Arc<Renewed> {
        renewed_of(IDLE)
    }

    fn renewed_of(ttl: Duration) -> Arc<Renewed> {
        let key = LockKey::new("k").unwrap();
        let (point, since) = (
            Point::Named("tests".into()),
            Since::asked(Instant::now(), None),
        );
        let lease = Lease::new(key.into(), None, point, since, ttl, None);
        let token = OwnerToken::with_label("");
        Arc::new(Renewed::new(lease, token, ttl, Duration::ZERO, Vec::new()))
    }

    /// Else a short lease would be lost while an answer is waited for that a long
    /// one has the time for.
    #[tokio::test]
    async fn leases_with_unlike_times_for_an_answer_are_not_renewed_together() {
        let at = Instant::now();
        let mut schedule = Schedule::default();
        let (short, long) = (renewed_of(Duration::from_millis(100)), renewed());
        schedule.push(at, &long);
        schedule.push(at, &short);
        for renewed in [short, long] {
            let batch = schedule.take_due(at);
            assert!(matches!(&batch[..], [only] if Arc::ptr_eq(only, &renewed)));
        }
    }

    #[tokio::test]
    async fn a_batch_takes_so_many_and_leaves_the_rest() {
        const MOMENT: Duration = Duration::from_millis(1);
        let at = Instant::now();
        let mut schedule = Schedule::default();
        let held: Vec<_> = (0..MOST_IN_BATCH + 10).map(|_| renewed()).collect();
        let (early, late) = held.split_at(MOST_IN_BATCH / 2);
        for (due, held) in [(at, early), (at + MOMENT, late)] {
            for renewed in held {
                schedule.push(due, renewed);
            }
        }
        assert_eq!(schedule.take_due(at + MOMENT).len(), MOST_IN_BATCH);
        assert_eq!(schedule.take_due(at + MOMENT).len(), 10);
        assert_eq!(schedule.entries, 0);
    }

    /// Of a ttl of a day they would be kept for hours.
    #[tokio::test]
    async fn few_leases_are_kept_in_mind_that_are_gone_and_all_that_are_not() {
        let at = Instant::now() + IDLE;
        let mut schedule = Schedule {
            live: 10,
            ..Schedule::default()
        };
        let held: Vec<_> = (0..schedule.live).map(|_| renewed()).collect();
        for renewed in &held {
            schedule.push(at, renewed);
        }
        for _ in 0..10 * MOST_GONE {
            schedule.push(at, &renewed());
        }
        let entries = schedule.due.values().map(Vec::len).sum::<usize>();
        assert_eq!(schedule.entries, entries);
        assert!(entries <= 2 * MOST_GONE, "{entries}");
        assert_eq!(schedule.take_due(at).len(), held.len());
    }
}
