//! A grant of a key to one owner for a bounded time.

use std::{borrow::Cow, fmt, panic::Location, pin::pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    clock::until,
    error::{LockError, LostCause},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    validity::lifetime,
};

/// A lease: what a body may know of the lock that it runs under.
///
/// A lease observes and never releases; that is the
/// [`LockGuard`](crate::LockGuard)'s work.
/// Clones are the same lease.
///
/// The deadline lies on the local monotonic clock, was counted from before the
/// request was sent, and is earlier than the servers' expiry by the drift
/// margin: no server, reply or task is needed to know that a lease has ended.
/// The monotonic clock stands still while a machine is suspended.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::{LockError, LockManager};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LockError> {
/// # let manager = LockManager::memory();
/// # async fn charge(account: u32) {}
/// let ttl = Duration::from_secs(2);
/// let charged = manager.lock("billing:run", ttl).run(async |lease| {
///     for account in 0..3 {
///         // No I/O: stop before the next side effect once the lock is lost.
///         lease.check()?;
///         charge(account).await;
///     }
///     Ok::<_, LockError>(3)
/// });
/// assert_eq!(charged.await??, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lease(Arc<Inner>);

struct Inner {
    keys: LockKeys,
    fencing_token: Option<FencingToken>,
    point: Point,
    start: Instant,
    state: Mutex<State>,
    /// Told of every change of the state.
    changed: Notify,
}

#[derive(Clone, Copy)]
struct State {
    deadline: Instant,
    phase: Phase,
    /// Which of the keys was lost, if it was one of them; else the first.
    lost_key: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Held,
    Released,
    Lost(LostCause),
}

impl Lease {
    /// The lease of these keys that counts from `start`.
    pub(crate) fn new(
        keys: LockKeys,
        fencing_token: Option<FencingToken>,
        point: Point,
        start: Instant,
        ttl: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            keys,
            fencing_token,
            point,
            start,
            state: Mutex::new(State {
                deadline: start + lifetime(ttl),
                phase: Phase::Held,
                lost_key: 0,
            }),
            changed: Notify::new(),
        }))
    }

    /// The keys, sorted and as the servers store them, prefix included.
    pub fn keys(&self) -> &[LockKey] {
        self.0.keys.as_slice()
    }

    /// The lease's fencing token, if it was asked for by
    /// [`fenced`](crate::LockRequest::fenced): one for all keys, and the same
    /// for as long as the lease lasts.
    pub fn fencing_token(&self) -> Option<FencingToken> {
        self.0.fencing_token
    }

    /// When the lease ends unless it is extended, on the monotonic clock.
    pub fn deadline(&self) -> Instant {
        self.0.state.lock().deadline
    }

    /// What is left until the deadline; zero once the lease has ended.
    pub fn remaining(&self) -> Duration {
        let state = *self.0.state.lock();
        match state.phase {
            Phase::Held => state.deadline.saturating_duration_since(Instant::now()),
            Phase::Released | Phase::Lost(_) => Duration::ZERO,
        }
    }

    /// Whether the lease can be trusted now: not released, not known to be
    /// lost, and its deadline has not passed.
    pub fn is_held(&self) -> bool {
        self.ended(Instant::now()).is_none()
    }

    /// Checks that the lease can be trusted now, without I/O.
    ///
    /// Call it before each side effect and in long loops: code between two
    /// await points is not stopped by a lost lease.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`] once the lease has ended.
    pub fn check(&self) -> Result<(), LockError> {
        match self.ended(Instant::now()) {
            None => Ok(()),
            Some(cause) => Err(self.lost_error(cause)),
        }
    }

    /// Resolves when the lease has ended, at the deadline at the latest.
    ///
    /// A lease that was given back has ended too, and counts as
    /// [`LostCause::Expired`].
    ///
    /// For work that the body has spawned or handed on, which is not stopped
    /// with it.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub async fn lost(&self) -> LostCause {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(cause) = self.ended(Instant::now()) {
                return cause;
            }
            until(self.deadline(), changed).await;
        }
    }

    /// The lock point that took the lease.
    pub(crate) fn point(&self) -> &Point {
        &self.0.point
    }

    /// The first of the keys.
    pub(crate) fn key(&self) -> &LockKey {
        self.0.keys.first()
    }

    /// What ended the lease before `now`, if anything has; a released lease
    /// counts as expired.
    pub(crate) fn ended(&self, now: Instant) -> Option<LostCause> {
        let state = *self.0.state.lock();
        match state.phase {
            Phase::Lost(cause) => Some(cause),
            Phase::Held if now < state.deadline => None,
            Phase::Held | Phase::Released => Some(LostCause::Expired),
        }
    }

    /// Notes that the owner gives the lease back.
    ///
    /// # Errors
    ///
    /// What had ended the lease before.
    pub(crate) fn end(&self) -> Result<(), LostCause> {
        let mut state = self.0.state.lock();
        let State {
            phase, deadline, ..
        } = *state;
        if phase == Phase::Held {
            state.phase = Phase::Released;
        }
        drop(state);
        self.0.changed.notify_waiters();
        match phase {
            Phase::Lost(cause) => Err(cause),
            Phase::Held if Instant::now() < deadline => Ok(()),
            Phase::Held | Phase::Released => Err(LostCause::Expired),
        }
    }

    /// Notes that the lease is lost.
    pub(crate) fn lose(&self, cause: LostCause) {
        self.lose_nth(0, cause);
    }

    /// Notes that the lease is lost, since its nth key is.
    pub(crate) fn lose_nth(&self, lost_key: usize, cause: LostCause) {
        let mut state = self.0.state.lock();
        if state.phase == Phase::Held {
            state.phase = Phase::Lost(cause);
            state.lost_key = lost_key;
        }
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Moves the deadline of a lease that has not ended to where an extension
    /// that was asked for at `asked` puts it; never to an earlier one.
    ///
    /// # Errors
    ///
    /// What has ended the lease meanwhile: a deadline that has passed is never
    /// revived.
    pub(crate) fn extended(&self, asked: Instant, ttl: Duration) -> Result<(), LostCause> {
        let mut state = self.0.state.lock();
        match state.phase {
            Phase::Lost(cause) => return Err(cause),
            Phase::Held if Instant::now() < state.deadline => {
                state.deadline = state.deadline.max(asked + lifetime(ttl));
            }
            Phase::Held | Phase::Released => return Err(LostCause::Expired),
        }
        drop(state);
        self.0.changed.notify_waiters();
        Ok(())
    }

    /// The loss as the caller sees it.
    pub(crate) fn lost_error(&self, cause: LostCause) -> LockError {
        let lost_key = self.0.state.lock().lost_key;
        LockError::Lost {
            key: self.keys().get(lost_key).unwrap_or(self.key()).into(),
            cause,
            held: self.0.start.elapsed(),
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.0.state.lock();
        f.debug_struct("Lease")
            .field("keys", &self.0.keys)
            .field("point", &format_args!("{}", self.0.point))
            .field("fencing_token", &self.0.fencing_token)
            .field("phase", &state.phase)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

/// A lock point's name, or where in the source it stands.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Named(Cow<'static, str>),
    At(&'static Location<'static>),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::At(location) => write!(f, "{}:{}", location.file(), location.line()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(ttl: Duration) -> Lease {
        let point = Point::Named(Cow::Borrowed("tests"));
        Lease::new(
            LockKey::new("k").unwrap().into(),
            None,
            point,
            Instant::now(),
            ttl,
        )
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn lost_resolves_at_the_deadline_and_not_later() {
        let lease = lease(SECOND);
        let deadline = lease.deadline();
        assert_eq!(lease.lost().await, LostCause::Expired);
        // The paused clock moves in whole milliseconds.
        assert!(Instant::now() - deadline <= Duration::from_millis(1));
        assert!(!lease.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn lost_follows_a_deadline_that_was_moved() {
        let lease = lease(SECOND);
        let start = Instant::now();
        let waiting = lease.clone();
        let lost = tokio::spawn(async move { waiting.lost().await });
        tokio::task::yield_now().await;
        lease.extended(Instant::now(), 3 * SECOND).unwrap();
        assert_eq!(lost.await.unwrap(), LostCause::Expired);
        assert!(start.elapsed() > 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_passed_deadline_is_never_revived() {
        let lease = lease(SECOND);
        let asked = Instant::now();
        tokio::time::advance(SECOND).await;
        assert_eq!(lease.extended(asked, 10 * SECOND), Err(LostCause::Expired));
        assert!(!lease.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn an_extension_never_brings_the_deadline_forward() {
        let lease = lease(10 * SECOND);
        let deadline = lease.deadline();
        lease.extended(Instant::now(), SECOND).unwrap();
        assert_eq!(lease.deadline(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_loss_wakes_whoever_waits_for_it() {
        let lease = lease(SECOND);
        let waiting = lease.clone();
        let lost = tokio::spawn(async move { waiting.lost().await });
        tokio::task::yield_now().await;
        lease.lose(LostCause::Taken);
        assert_eq!(lost.await.unwrap(), LostCause::Taken);
        assert!(lease.check().unwrap_err().is_lost());
    }
}
