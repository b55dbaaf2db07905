//! Runs a body for as long as its lease lasts.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use crate::{
    backend::BoxFuture,
    core::Core,
    current::Body,
    error::{LockError, LostCause},
    guard::LockGuard,
    lease::Lease,
};

/// Polls the body until it ends or its lease does.
///
/// The clock is compared before each poll of the body, so that a body that is
/// always ready, or that uses up its cooperative budget, is stopped too; the
/// timer merely wakes one that is idle.
/// A value that the body has produced is returned, however late.
///
/// # Errors
///
/// [`LockError::Lost`]; the caller drops the body then.
pub async fn run<F: Future>(guard: &LockGuard, body: Pin<&mut F>) -> Result<F::Output, LockError> {
    let lease = guard.lease();
    let Some(core) = guard.core() else {
        return Err(lease.lost_error(LostCause::Expired));
    };
    let run = Run {
        lease,
        core,
        body,
        chain: Body::new(core, lease),
        lost: None,
    };
    run.await
}

struct Run<'a, F> {
    lease: &'a Lease,
    core: &'a Arc<Core>,
    body: Pin<&'a mut F>,
    chain: Arc<Body>,
    /// Made when the body first has to wait.
    lost: Option<BoxFuture<'static, LostCause>>,
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, LockError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(cause) = this.lease.ended(Instant::now()) {
            return Poll::Ready(Err(this.lose(cause)));
        }
        let body = this.body.as_mut();
        if let Poll::Ready(value) = this.chain.poll(|| body.poll(cx)) {
            if let Some(cause) = this.lease.ended(Instant::now()) {
                this.finished_late(cause);
            }
            return Poll::Ready(Ok(value));
        }
        let lease = this.lease;
        let lost = this.lost.get_or_insert_with(|| {
            let lease = lease.clone();
            Box::pin(async move { lease.lost().await })
        });
        match lost.as_mut().poll(cx) {
            Poll::Ready(cause) => Poll::Ready(Err(this.lose(cause))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F> Run<'_, F> {
    fn lose(&self, cause: LostCause) -> LockError {
        self.lease.lose(cause);
        tracing::warn!(
            key = %self.lease.key(),
            point = %self.lease.point(),
            "lost a lock: {cause}; its body was stopped part-way"
        );
        self.lease.lost_error(cause)
    }

    fn finished_late(&self, cause: LostCause) {
        self.core.count_finished_late();
        tracing::warn!(
            key = %self.lease.key(),
            point = %self.lease.point(),
            "a body finished after its lock was lost: {cause}; its value is returned, and it \
             may not have been alone: give it a longer ttl, or let it yield more often"
        );
    }
}
