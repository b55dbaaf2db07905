//! Renews the leases that may be held longer than their ttl.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    backend::Backend,
    background::Background,
    cadence::{on_the_raster, renewal_interval, renewal_tick, ttl_lasting},
    extend::{NotExtended, all_extended},
    holding::Holding,
    validity::lifetime,
};

mod renewed;
mod schedule;
mod task;

use schedule::Schedule;

pub(crate) use renewed::Renewed;

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
    schedule: Mutex<Schedule<Holding>>,
    /// Held while a batch is put on its way: no lease is given back between
    /// the look whether it is held and the call that renews it.
    sending: Mutex<()>,
    /// Told when the task must look at the schedule again.
    changed: Notify,
}

impl Renewal {
    pub(crate) fn new(backend: Arc<dyn Backend>, background: Background) -> Self {
        Self(Arc::new(Shared {
            backend,
            background,
            origin: Instant::now(),
            schedule: Mutex::new(Schedule::new()),
            sending: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Renews the lease until it is [given back](Self::stop), lost, or at its
    /// limit.
    pub(crate) fn start(&self, holding: &Arc<Holding>) {
        holding.renewed.begin();
        if self.0.backend.is_immediate() {
            self.0.renew_in_advance(holding);
        } else {
            self.0.enlist(holding);
        }
    }

    /// From here on no renewal of this lease is sent: whatever is asked of the
    /// backend after this call comes after the last one.
    pub(crate) fn stop(&self, holding: &Holding) {
        if !holding.renewed.is_begun() {
            return;
        }
        holding.renewed.give_back();
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
    fn renew_in_advance(&self, holding: &Holding) {
        let asked = Instant::now();
        let lease = &holding.lease;
        let Some(limit) = lease.limit() else {
            return;
        };
        let ttl = ttl_lasting(limit.saturating_duration_since(asked));
        let mut replies = self.backend.extend(holding.extends(ttl).collect());
        let mut nobody = Context::from_waker(Waker::noop());
        let Poll::Ready(replies) = replies.as_mut().poll(&mut nobody) else {
            tracing::warn!(
                key = %lease.key(),
                "failed to renew a lock: its backend is not immediate, as it says it is"
            );
            return;
        };
        match all_extended(&replies, lease.keys().len()) {
            Ok(()) => {
                lease.renewed_in_advance(holding.ttl);
                holding.places.renew(&holding.token, limit);
            }
            Err(NotExtended::Taken(nth)) => holding.was_taken(nth),
            Err(NotExtended::Failed(_, error)) => holding.warn_of_failure(1, &error),
        }
    }

    fn enlist(self: &Arc<Self>, holding: &Arc<Holding>) {
        let at = self.next_due(holding.ttl, holding.lease.deadline(), Instant::now());
        let is_running = {
            let mut schedule = self.schedule.lock();
            schedule.live = schedule.live.saturating_add(1);
            if schedule.push(at, holding.ttl, holding) {
                self.changed.notify_one();
            }
            mem::replace(&mut schedule.is_running, true)
        };
        if !is_running && !task::spawn(self) {
            tracing::warn!(
                key = %holding.lease.key(),
                "no tokio runtime is left to renew a lock; it is lost after its ttl"
            );
        }
    }

    /// When a lease that lasts until its deadline is to be renewed.
    fn next_due(&self, ttl: Duration, deadline: Instant, now: Instant) -> Instant {
        let before_the_end = lifetime(ttl).saturating_sub(renewal_interval(ttl));
        let due = deadline.checked_sub(before_the_end).unwrap_or(now);
        self.on_the_raster(due, ttl)
    }

    fn on_the_raster(&self, at: Instant, ttl: Duration) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        self.origin + on_the_raster(since, renewal_tick(ttl))
    }
}
