//! What an acquire, a body and the end of a lease tell whoever watches.
//!
//! Spans and events name the key, metrics never do; nothing tells an owner
//! token.

use std::{future::poll_fn, pin::Pin, time::Duration};

use tokio::time::Instant;
use tracing::{Level, Span, debug, debug_span, enabled, field};

use crate::{
    acquire::Want,
    backend::{BackendError, ReleaseReply},
    lease::Lease,
    lock_error::LockError,
    lost_cause::LostCause,
    metrics::{self, Polls},
    point::Point,
};

/// One acquire, from its first try to its outcome; dropped before, it was
/// cancelled.
pub(crate) struct Acquiring<'a> {
    want: &'a Want,
    span: Span,
    /// Where anybody wants to know.
    begun: Option<Instant>,
    outcome: &'static str,
}

impl<'a> Acquiring<'a> {
    pub(crate) fn begin(want: &'a Want) -> Self {
        let (key, point) = (want.keys.first(), &want.point);
        let span = debug_span!(
            "lock.acquire",
            %key,
            %point,
            outcome = field::Empty,
            waited = field::Empty,
        );
        let is_watched = metrics::IS_ON || !span.is_disabled();
        Self {
            want,
            span,
            begun: is_watched.then(Instant::now),
            outcome: "cancelled",
        }
    }

    /// Polls the contest in the span.
    pub(crate) fn watch<F: Future>(
        &self,
        mut contest: Pin<&mut F>,
    ) -> impl Future<Output = F::Output> {
        poll_fn(move |cx| {
            let _entered = self.span.enter();
            contest.as_mut().poll(cx)
        })
    }

    /// What it came to.
    pub(crate) fn end<T>(mut self, result: &Result<T, LockError>) {
        self.outcome = result.as_ref().map_or_else(outcome, |_| "acquired");
        let Want { keys, point, .. } = self.want;
        match result {
            Ok(_) => debug!(key = %keys.first(), %point, waited = ?self.waited(), "granted"),
            Err(LockError::Busy { key, holder, .. }) => debug!(
                %key,
                %point,
                waited = ?self.waited(),
                holder = holder.as_deref().map(field::display),
                "busy"
            ),
            Err(error) => debug!(%point, waited = ?self.waited(), "failed to {error}"),
        }
    }

    fn waited(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| begun.elapsed())
    }
}

impl Drop for Acquiring<'_> {
    fn drop(&mut self) {
        let Some(begun) = self.begun else {
            return;
        };
        let waited = begun.elapsed();
        self.span.record("outcome", self.outcome);
        self.span.record("waited", field::debug(waited));
        metrics::acquired(&self.want.point, self.outcome, waited);
    }
}

/// Tells of an acquire that failed before it began.
pub(crate) fn refused(point: &Point, error: &LockError) {
    debug!(%point, "failed to {error}");
    metrics::acquired(point, outcome(error), Duration::ZERO);
}

/// What a failed acquire is called in spans and metrics.
fn outcome(error: &LockError) -> &'static str {
    match error {
        LockError::Busy { .. } => "busy",
        LockError::Unavailable { .. } => "unavailable",
        LockError::Lost { .. } => "lost",
        LockError::Reentrant { .. } => "reentrant",
        LockError::InvalidKey { .. } | LockError::InvalidOptions { .. } => "invalid",
        LockError::NotRegistered { .. } => "not_registered",
        LockError::Draining { .. } => "draining",
        LockError::RuntimeGone { .. } => "runtime_gone",
    }
}

/// A body that runs, where anybody wants to know; told when it is dropped, with
/// the body.
pub(crate) struct Running(Option<Box<Told>>);

struct Told {
    span: Span,
    polls: Polls,
}

impl Running {
    pub(crate) fn begin(lease: &Lease) -> Self {
        let (key, point) = (lease.key(), lease.point());
        let span = debug_span!("lock.body", %key, %point);
        let is_watched = metrics::IS_ON || !span.is_disabled();
        let told = || Told {
            polls: Polls::at(point),
            span,
        };
        Self(is_watched.then(|| Box::new(told())))
    }

    /// Polls in the span; the clock was read `now`, just before.
    pub(crate) fn watch<T>(&mut self, now: Instant, poll: impl FnOnce() -> T) -> T {
        let entered = self.0.as_ref().map(|told| told.span.enter());
        let polled = poll();
        drop(entered);
        if let Some(told) = &mut self.0 {
            told.polls.polled(now);
        }
        polled
    }
}

/// A lease that is being given back, where anybody wants to know.
pub(crate) struct Ending(Option<Lease>);

impl Ending {
    pub(crate) fn begin(lease: &Lease) -> Self {
        metrics::held(lease.point(), || lease.usage(Instant::now()));
        let is_watched = metrics::IS_ON || enabled!(Level::DEBUG);
        Self(is_watched.then(|| lease.clone()))
    }

    /// What the servers say to the release of one of the keys, of which the
    /// number is given.
    pub(crate) fn answered(&self, (nth, reply): &(usize, Result<ReleaseReply, BackendError>)) {
        let Some(lease) = &self.0 else {
            return;
        };
        let key = lease.all_keys().nth(*nth);
        debug!(%key, point = %lease.point(), ?reply, "released");
        // After its deadline the servers may rightly have forgotten it.
        if matches!(reply, Ok(ReleaseReply::NotHeld | ReleaseReply::NotOwner))
            && lease.is_given_back_early(Instant::now())
        {
            metrics::lost(lease.point(), LostCause::Taken);
        }
    }
}
