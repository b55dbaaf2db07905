//! The future of a locked function: acquire, body and release in one await.
//!
//! What an expansion repeats in every function is what the attribute costs the
//! compiler, and each await is a loop with calls of its own.
//! So the three awaits, the matches between them and the pinning are here,
//! once.

use std::{
    future::ready,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::{
    __private::LockOutput, acquire, backend::BoxFuture, guard::LockGuard, lock_error::LockError,
    request::LockRequest, run::Watch,
};

/// Runs a body under its lock; what goes wrong becomes the function's value.
pub fn locked<R: LockOutput, F: Future<Output = R>>(request: LockRequest, body: F) -> Locked<F, R> {
    Locked {
        tried: try_locked(request, body),
        failed: R::from_lock_error,
    }
}

/// Runs a body under its lock; what goes wrong is the caller's to tell.
pub fn try_locked<R, F: Future<Output = R>>(request: LockRequest, body: F) -> Tried<F, R> {
    under(acquire(request), body)
}

/// As [`try_locked`], with a lock that has been asked for already.
pub fn locked_since<R, F: Future<Output = R>>(acquired: Acquired, body: F) -> Tried<F, R> {
    under(Box::pin(ready(acquired)), body)
}

/// The lock, or why it was not taken.
pub type Acquired = Result<LockGuard, LockError>;

type Acquire = BoxFuture<'static, Acquired>;

/// Takes the lock.
///
/// Boxed, so that it is compiled once, and takes sixteen bytes of the function's
/// future; made of the request here, since a future that is made of a request
/// holds both.
pub fn acquire(request: LockRequest) -> BoxFuture<'static, Acquired> {
    match request.into_want() {
        Ok((core, want)) => {
            // Written into its box: `Box::pin` would copy all that it has room for.
            let acquire = Box::write(Box::new_uninit(), acquire::acquire(core, want));
            Box::into_pin(acquire)
        }
        Err(error) => Box::pin(ready(Err(error))),
    }
}

fn under<F, R>(acquire: Acquire, body: F) -> Tried<F, R> {
    Tried {
        step: Step::Body {
            body,
            lock: Lock::Wanted { acquire },
        },
    }
}

pin_project! {
    /// See [`locked`].
    #[must_use = "a body does nothing until it is awaited"]
    pub struct Locked<F, R> {
        #[pin]
        tried: Tried<F, R>,
        // Not a bound of the future, which would be a second error wherever
        // the bound of `locked` is one.
        failed: fn(LockError) -> R,
    }
}

impl<R, F: Future<Output = R>> Future for Locked<F, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let value = ready!(this.tried.poll(cx));
        Poll::Ready(value.unwrap_or_else(this.failed))
    }
}

pin_project! {
    /// See [`try_locked`].
    #[must_use = "a body does nothing until it is awaited"]
    pub struct Tried<F, R> {
        #[pin]
        step: Step<F, R>,
    }
}

pin_project! {
    #[project = StepNow]
    #[project_replace = StepBefore]
    enum Step<F, R> {
        // In this order: the body and all it owns are dropped before the lock.
        Body {
            #[pin]
            body: F,
            lock: Lock,
        },
        // The body is gone, and its value may take its place.
        Release {
            release: BoxFuture<'static, ()>,
            value: Result<R, LockError>,
        },
        Over,
    }
}

enum Lock {
    Wanted { acquire: Acquire },
    Held { guard: LockGuard, watch: Watch },
}

impl Lock {
    /// Waits for the lock.
    fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(&LockGuard, &mut Watch), LockError>> {
        if let Self::Wanted { acquire } = self {
            let guard = ready!(acquire.as_mut().poll(cx))?;
            let watch = Watch::default();
            *self = Self::Held { guard, watch };
        }
        match self {
            Self::Held { guard, watch } => Poll::Ready(Ok((guard, watch))),
            Self::Wanted { .. } => Poll::Pending,
        }
    }
}

impl<R, F: Future<Output = R>> Future for Tried<F, R> {
    type Output = Result<R, LockError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        if let StepNow::Body { body, lock } = step.as_mut().project() {
            let (guard, watch) = match ready!(lock.poll_held(cx)) {
                Ok(held) => held,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let value = ready!(watch.poll(guard, body, cx));
            // The body is dropped here, and then the lock is given back.
            let before = step.as_mut().project_replace(Step::Over);
            if let StepBefore::Body {
                lock: Lock::Held { guard, watch },
                ..
            } = before
            {
                let ended = watch.end(&guard);
                match guard.poll_release_after_body(ended, cx) {
                    Some(release) => step.set(Step::Release { release, value }),
                    None => return Poll::Ready(value),
                }
            }
        }
        if let StepNow::Release { release, .. } = step.as_mut().project() {
            ready!(release.as_mut().poll(cx));
        }
        match step.project_replace(Step::Over) {
            StepBefore::Release { value, .. } => Poll::Ready(value),
            // Nobody polls a future that is over.
            StepBefore::Body { .. } | StepBefore::Over => Poll::Pending,
        }
    }
}
