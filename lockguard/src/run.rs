//! Runs a body for as long as its lease lasts.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use crate::{
    backend::BoxFuture,
    current::{innermost, poll_within},
    guard::LockGuard,
    lease::Lease,
    lock_error::LockError,
    lost_cause::LostCause,
    metrics,
    observe::Running,
    terms::OnLost,
};

/// What is known of a body that runs.
#[derive(Default)]
pub(crate) struct Watch {
    /// Since the first poll, in the task that runs the body.
    running: Option<Running>,
    /// Made when the body first has to wait.
    loss: Option<BoxFuture<'static, LostCause>>,
    /// The lease is lost, and the body goes on all the same.
    goes_on: bool,
    has_finished: bool,
}

impl Watch {
    /// Polls the body until it ends or its lease does.
    ///
    /// The clock is compared before each poll of the body, so that a body that is
    /// always ready, or that uses up its cooperative budget, is stopped too; the
    /// timer merely wakes one that is idle.
    /// A value that the body has produced is returned, however late.
    /// Where the request says [`OnLost::Finish`], a body goes on after the loss.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`]; the caller drops the body then.
    pub(crate) fn poll<F: Future>(
        &mut self,
        guard: &LockGuard,
        body: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, LockError>> {
        let lease = guard.lease();
        let now = Instant::now();
        if !self.goes_on
            && let Some(cause) = lease.ended(now)
            && let Some(error) = self.lost(guard, cause)
        {
            return Poll::Ready(Err(error));
        }
        let running = match &mut self.running {
            Some(running) => running,
            // A drain has given the lock back since: whatever `on_lost` says,
            // no body begins without it.
            None if !guard.holding().begin_body(innermost()) => {
                return Poll::Ready(Err(stop(guard, LostCause::Drained)));
            }
            begins => begins.insert(Running::begin(lease)),
        };
        let poll = || poll_within(guard.holding(), body, cx);
        if let Poll::Ready(value) = running.watch(now, poll) {
            self.has_finished = true;
            return Poll::Ready(Ok(value));
        }
        if self.goes_on {
            return Poll::Pending;
        }
        let loss = self.loss.get_or_insert_with(|| {
            let lease = lease.clone();
            Box::pin(async move { lease.lost().await })
        });
        let cause = ready!(loss.as_mut().poll(cx));
        match self.lost(guard, cause) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }

    /// Ends the lease, once the body has been dropped, and says when; a body that
    /// finished after the loss is told of.
    ///
    /// # Errors
    ///
    /// What had ended the lease before.
    pub(crate) fn end(self, guard: &LockGuard) -> Result<Instant, LostCause> {
        // They end with the body, and not with the release.
        drop((self.running, self.loss));
        let lease = guard.lease();
        lease.end().inspect_err(|cause| {
            if self.has_finished {
                guard.core().count_finished_late();
                metrics::finished_late(lease.point());
                if !self.goes_on {
                    warn_of_late_finish(lease, *cause);
                }
            }
        })
    }

    /// The error, or `None` where the body goes on all the same.
    fn lost(&mut self, guard: &LockGuard, cause: LostCause) -> Option<LockError> {
        match guard.on_lost() {
            OnLost::Cancel => Some(stop(guard, cause)),
            OnLost::Finish => {
                self.goes_on = true;
                go_on(guard.lease(), cause);
                None
            }
        }
    }
}

/// The loss, where the body is to be dropped: its guard ends the lease then.
fn stop(guard: &LockGuard, cause: LostCause) -> LockError {
    let lease = guard.lease();
    if cause == LostCause::Drained {
        guard.core().live.cancelled();
    }
    tracing::warn!(
        key = %lease.key(),
        point = %lease.point(),
        "lost a lock: {cause}; its body was stopped part-way"
    );
    lease.lost_error(cause)
}

/// The loss, where the body is to finish all the same.
fn go_on(lease: &Lease, cause: LostCause) {
    lease.lose(cause);
    tracing::warn!(
        key = %lease.key(),
        point = %lease.point(),
        "lost a lock: {cause}; its body goes on, as `on_lost` says, and may not be alone"
    );
}

fn warn_of_late_finish(lease: &Lease, cause: LostCause) {
    tracing::warn!(
        key = %lease.key(),
        point = %lease.point(),
        "a body finished after its lock was lost: {cause}; its value is returned, and it may \
         not have been alone: give it a longer ttl, or let it yield more often"
    );
}
