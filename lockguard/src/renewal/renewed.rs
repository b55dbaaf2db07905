//! How one lease is renewed.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{backend::BackendError, cadence::ttl_lasting, holding::Holding, lost_cause::LostCause};

/// How far the renewal of a lease has come.
#[derive(Default)]
pub(crate) struct Renewed {
    is_begun: AtomicBool,
    /// No renewal is sent from here on.
    is_given_back: AtomicBool,
    /// Somebody else gives it back.
    is_left: AtomicBool,
    /// Renewals that have failed since the last that has not.
    failures: AtomicU32,
}

impl Renewed {
    pub(super) fn begin(&self) {
        self.is_begun.store(true, Ordering::Release);
    }

    /// Whether the lease is renewed, or has been until it was given back.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Acquire)
    }

    pub(super) fn give_back(&self) {
        self.is_given_back.store(true, Ordering::Release);
    }

    pub(super) fn is_given_back(&self) -> bool {
        self.is_given_back.load(Ordering::Acquire)
    }

    /// Notes that somebody else gives the keys back.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::Release);
    }

    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Acquire)
    }

    /// Counts a failure; whether it is the first in a row.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) == 0
    }
}

impl Holding {
    /// When the lease ends unless it is renewed; `None` when it is not held.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let is_ours = !self.renewed.is_given_back();
        is_ours.then(|| self.lease.deadline_if_held(now)).flatten()
    }

    /// How long a lease that ends at its deadline, and is renewed now, must be
    /// kept; `None` when it lasts up to its limit already.
    pub(super) fn ttl_needed(&self, deadline: Instant, now: Instant) -> Option<Duration> {
        let limit = self.lease.limit()?;
        let rest = limit.saturating_duration_since(now);
        (deadline < limit).then(|| self.ttl.min(ttl_lasting(rest)))
    }

    /// A renewal that was asked for at `asked` came to this deadline; `None`
    /// where the lease ended meanwhile, and is never revived.
    pub(super) fn was_renewed(&self, asked: Instant, ttl: Duration) -> Option<Instant> {
        self.renewed.failures.store(0, Ordering::Relaxed);
        self.extended(asked, ttl).ok()
    }

    /// The servers say that its nth key is not ours any more.
    pub(super) fn was_taken(&self, nth: usize) {
        if self.lease.ended(Instant::now()).is_none() {
            self.lease.lose_nth(nth, LostCause::Taken);
        }
    }

    pub(super) fn warn_of_failure(&self, leases: usize, error: &BackendError) {
        tracing::warn!(
            key = %self.lease.key(),
            point = %self.lease.point(),
            leases,
            "failed to renew a lock: could not {error}; it is tried again until the deadline"
        );
    }
}
