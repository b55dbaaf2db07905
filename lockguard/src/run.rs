//! Runs a body for as long as its lease lasts.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{
    backend::BoxFuture,
    current::Body,
    error::{LockError, LostCause},
    guard::LockGuard,
    lease::Lease,
    metrics,
    terms::OnLost,
};

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
pub(crate) fn run<'a, F: Future>(guard: &'a LockGuard, body: Pin<&'a mut F>) -> Run<'a, F> {
    Run {
        guard,
        body,
        watch: Watch::default(),
    }
}

/// See [`run`].
#[must_use = "a body does nothing until it is awaited"]
pub(crate) struct Run<'a, F> {
    guard: &'a LockGuard,
    body: Pin<&'a mut F>,
    watch: Watch,
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, LockError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.watch.poll(this.guard, this.body.as_mut(), cx)
    }
}

/// What is known of a body that runs.
#[derive(Default)]
pub(crate) struct Watch {
    /// Made at the first poll, in the task that runs the body.
    chain: Option<Arc<Body>>,
    /// Made when the body first has to wait.
    lost: Option<BoxFuture<'static, LostCause>>,
    /// The lease is lost, and the body goes on all the same.
    goes_on: bool,
}

impl Watch {
    /// Polls a body under its lock; see [`run`].
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
        {
            if guard.on_lost() == OnLost::Cancel {
                return Poll::Ready(Err(lose(guard, cause)));
            }
            self.goes_on = true;
            go_on(lease, cause);
        }
        let chain = match &mut self.chain {
            Some(chain) => chain,
            // A drain has given the lock back since: whatever `on_lost` says,
            // no body begins without it.
            None if !guard.begin_body() => {
                return Poll::Ready(Err(lose(guard, LostCause::Drained)));
            }
            begins => begins.insert(Body::new(Arc::clone(guard.holding()))),
        };
        if let Poll::Ready(value) = chain.poll(now, || body.poll(cx)) {
            if let Some(cause) = lease.ended(Instant::now()) {
                guard.core().count_finished_late();
                metrics::finished_late(lease.point());
                if !self.goes_on {
                    warn_of_late_finish(lease, cause);
                }
            }
            return Poll::Ready(Ok(value));
        }
        if self.goes_on {
            return Poll::Pending;
        }
        let lost = self.lost.get_or_insert_with(|| {
            let lease = lease.clone();
            Box::pin(async move { lease.lost().await })
        });
        match lost.as_mut().poll(cx) {
            Poll::Ready(cause) if guard.on_lost() == OnLost::Cancel => {
                Poll::Ready(Err(lose(guard, cause)))
            }
            Poll::Ready(cause) => {
                self.goes_on = true;
                go_on(lease, cause);
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The loss, where the body is to be dropped: its guard ends the lease then.
fn lose(guard: &LockGuard, cause: LostCause) -> LockError {
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
