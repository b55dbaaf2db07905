//! A grant of a key to one owner for a bounded time.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::{
    backend::Epoch,
    bell::Bell,
    cadence::renewed_lifetime,
    clock::until,
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    lock_error::LockError,
    lost_cause::LostCause,
    metrics,
    point::Point,
    validity::{FAR, lifetime, share},
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

/// Since when a lease counts.
#[derive(Debug, Clone)]
pub(crate) struct Since {
    /// What its ttl counts from: before the first byte of the question was sent.
    pub(crate) asked: Instant,
    /// When it was held, as far as anybody here knew; later than the question
    /// where the answer was to wait, and the grant a message.
    pub(crate) start: Instant,
    /// The lock store's epoch when the lease was asked for; the lease ends with
    /// it.
    pub(crate) epoch: Option<Epoch>,
}

impl Since {
    /// The answer to a question that was asked then is the grant.
    pub(crate) fn asked(asked: Instant, epoch: Option<Epoch>) -> Self {
        Self {
            asked,
            start: asked,
            epoch,
        }
    }

    /// Whether its lock store has lost everything since.
    pub(crate) fn is_over(&self) -> bool {
        self.epoch.as_ref().is_some_and(Epoch::is_over)
    }
}

struct Inner {
    keys: LockKeys,
    fencing_token: Option<FencingToken>,
    point: Point,
    start: Instant,
    /// Where `max_hold` ends the lease, renewed or not.
    limit: Option<Instant>,
    state: Mutex<State>,
    /// See [`Since`].
    epoch: Option<Epoch>,
    /// Told when the lease has been lost or given back.
    changed: Bell,
}

#[derive(Clone, Copy)]
struct State {
    deadline: Instant,
    /// What the deadline counts from.
    counts_from: Instant,
    /// Until when the servers keep the keys at least.
    kept_until: Instant,
    /// The ttl of a lease that was renewed up to its limit in advance.
    ahead: Option<Duration>,
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
    /// The lease of these keys.
    pub(crate) fn new(
        keys: LockKeys,
        fencing_token: Option<FencingToken>,
        point: Point,
        Since {
            asked,
            start,
            epoch,
        }: Since,
        ttl: Duration,
        max_hold: Option<Duration>,
    ) -> Self {
        let limit = max_hold.map(|max_hold| start + max_hold.min(FAR));
        Self(Arc::new(Inner {
            keys,
            fencing_token,
            point,
            start,
            limit,
            state: Mutex::new(State {
                deadline: asked + lifetime(ttl),
                counts_from: asked,
                kept_until: asked + ttl,
                ahead: None,
                phase: Phase::Held,
                lost_key: 0,
            }),
            epoch,
            changed: Bell::default(),
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

    /// When the lease ends unless it is extended or renewed, on the monotonic
    /// clock.
    pub fn deadline(&self) -> Instant {
        self.0.deadline(&self.0.state(), Instant::now())
    }

    /// What is left until the deadline; zero once the lease has ended.
    pub fn remaining(&self) -> Duration {
        let now = Instant::now();
        let deadline = self.deadline_if_held(now);
        deadline.map_or(Duration::ZERO, |deadline| deadline - now)
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
            let mut changed = pin!(self.0.changed.listen());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(cause) = self.ended(Instant::now()) {
                return cause;
            }
            // A deadline that was moved meanwhile is waited for again.
            let end = self.0.ends_at(&self.0.state());
            match &self.0.epoch {
                None => {
                    until(end, changed).await;
                }
                Some(epoch) => {
                    let over = pin!(epoch.over());
                    until(end, either(changed, over)).await;
                }
            }
        }
    }

    /// The lock point that took the lease.
    pub(crate) fn point(&self) -> &Point {
        &self.0.point
    }

    pub(crate) fn all_keys(&self) -> &LockKeys {
        &self.0.keys
    }

    /// The first of the keys.
    pub(crate) fn key(&self) -> &LockKey {
        self.0.keys.first()
    }

    /// What ended the lease before `now`, if anything has; a released lease
    /// counts as expired.
    pub(crate) fn ended(&self, now: Instant) -> Option<LostCause> {
        self.0.ended(&self.0.state(), now)
    }

    /// When the lease ends unless it is extended; `None` once it has ended.
    pub(crate) fn deadline_if_held(&self, now: Instant) -> Option<Instant> {
        let state = self.0.state();
        let is_held = self.0.ended(&state, now).is_none();
        is_held.then(|| self.0.deadline(&state, now))
    }

    /// Notes that the owner gives the lease back, and when.
    ///
    /// # Errors
    ///
    /// What had ended the lease before.
    pub(crate) fn end(&self) -> Result<Instant, LostCause> {
        let mut state = self.0.state();
        let now = Instant::now();
        let ended = self.0.ended(&state, now);
        let is_first = state.phase == Phase::Held;
        if is_first {
            state.phase = ended.map_or(Phase::Released, Phase::Lost);
        }
        drop(state);
        self.0.changed.ring();
        let Some(cause) = ended else {
            return Ok(now);
        };
        if is_first {
            metrics::lost(&self.0.point, cause);
        }
        Err(cause)
    }

    /// Notes that the lease is lost.
    pub(crate) fn lose(&self, cause: LostCause) {
        self.lose_nth(0, cause);
    }

    /// Notes that the lease is lost, since its nth key is.
    pub(crate) fn lose_nth(&self, lost_key: usize, cause: LostCause) {
        let mut state = self.0.state();
        if state.phase == Phase::Held {
            state.phase = Phase::Lost(cause);
            state.lost_key = lost_key;
            MutexGuard::unlocked(&mut state, || metrics::lost(&self.0.point, cause));
        }
        drop(state);
        self.0.changed.ring();
    }

    /// Moves the deadline of a lease that has not ended to where an extension
    /// that was asked for at `asked` puts it, and says where it is; never to an
    /// earlier one, and never beyond what `max_hold` allows.
    ///
    /// # Errors
    ///
    /// What has ended the lease meanwhile: a deadline that has passed is never
    /// revived.
    pub(crate) fn extended(&self, asked: Instant, ttl: Duration) -> Result<Instant, LostCause> {
        let mut state = self.0.state();
        let now = Instant::now();
        if let Some(cause) = self.0.ended(&state, now) {
            return Err(cause);
        }
        let deadline = asked + lifetime(ttl);
        let deadline = self.0.limit.map_or(deadline, |limit| deadline.min(limit));
        if state.deadline < deadline {
            state.deadline = deadline;
            state.counts_from = asked;
        }
        state.kept_until = state.kept_until.max(asked + ttl);
        Ok(self.0.deadline(&state, now))
    }

    /// Notes that the keys are kept up to the limit: renewals that cannot fail
    /// were made in advance.
    ///
    /// The deadline still moves as if each came on time, so that a program
    /// sees in memory what it will see on servers.
    pub(crate) fn renewed_in_advance(&self, ttl: Duration) {
        let mut state = self.0.state();
        if let Some(limit) = self.0.limit {
            state.ahead = Some(ttl);
            state.kept_until = state.kept_until.max(limit);
        }
    }

    /// For how long it was held by `now`, and which share of its time was
    /// used: of the validity since it was last extended, or of `max_hold`,
    /// whichever is more.
    pub(crate) fn usage(&self, now: Instant) -> (Duration, f64) {
        let state = *self.0.state.lock();
        let held = now.saturating_duration_since(self.0.start);
        let of_limit = self
            .0
            .limit
            .map_or(0.0, |limit| share(held, limit - self.0.start));
        // Renewals that were made in advance are never late.
        let of_validity = if state.ahead.is_some() {
            0.0
        } else {
            let since = now.saturating_duration_since(state.counts_from);
            share(since, state.deadline - state.counts_from)
        };
        (held, of_limit.max(of_validity))
    }

    /// Whether the lease was given back, and would not have ended by `now`.
    pub(crate) fn is_given_back_early(&self, now: Instant) -> bool {
        let state = *self.0.state.lock();
        state.phase == Phase::Released && now < self.0.ends_at(&state)
    }

    /// Since when it is held.
    pub(crate) fn start(&self) -> Instant {
        self.0.start
    }

    /// Where `max_hold` ends the lease.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.0.limit
    }

    /// Until when the servers keep the keys at least, unless they are given
    /// back.
    pub(crate) fn kept_until(&self) -> Instant {
        self.0.state.lock().kept_until
    }

    /// What is left at `now` of a least hold time, and whether the servers
    /// would forget the lease, which has not ended otherwise, before that.
    pub(crate) fn rest_of(&self, min_hold: Duration, now: Instant) -> Rest {
        let state = *self.0.state();
        let until = self.0.start + min_hold.min(FAR);
        let is_ours = !matches!(state.phase, Phase::Lost(_)) && now < self.0.ends_at(&state);
        Rest {
            left: until.saturating_duration_since(now),
            until,
            is_to_be_lengthened: is_ours && state.kept_until < until,
        }
    }

    /// The key that was lost, where one of several was; else the first.
    pub(crate) fn lost_key(&self) -> &LockKey {
        self.0.keys.nth(self.0.state().lost_key)
    }

    /// The loss as the caller sees it.
    pub(crate) fn lost_error(&self, cause: LostCause) -> LockError {
        LockError::Lost {
            key: self.lost_key().into(),
            cause,
            held: self.0.start.elapsed(),
        }
    }
}

/// What is left of a least hold time.
pub(crate) struct Rest {
    pub(crate) left: Duration,
    pub(crate) until: Instant,
    /// Whether the servers must be asked to keep the keys longer.
    pub(crate) is_to_be_lengthened: bool,
}

impl Inner {
    /// How the lease stands; lost, where its lock store has lost everything.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        if state.phase == Phase::Held && self.epoch.as_ref().is_some_and(Epoch::is_over) {
            state.phase = Phase::Lost(LostCause::Taken);
            // A recorder is the user's, and may look at the lease.
            MutexGuard::unlocked(&mut state, || metrics::lost(&self.point, LostCause::Taken));
        }
        state
    }

    /// When the lease ends as far as it has been renewed by `now`.
    fn deadline(&self, state: &State, now: Instant) -> Instant {
        let (Some(ttl), Some(limit)) = (state.ahead, self.limit) else {
            return state.deadline;
        };
        let lasts = renewed_lifetime(now.saturating_duration_since(self.start), ttl);
        state.deadline.max(limit.min(self.start + lasts))
    }

    /// What ended the lease before `now`, if anything has; a released lease
    /// counts as expired.
    fn ended(&self, state: &State, now: Instant) -> Option<LostCause> {
        match state.phase {
            Phase::Held if now < self.ends_at(state) => None,
            Phase::Held => Some(self.cause(state)),
            Phase::Released => Some(LostCause::Expired),
            Phase::Lost(cause) => Some(cause),
        }
    }

    /// When the lease ends by itself if nobody does anything more about it.
    fn ends_at(&self, state: &State) -> Instant {
        match (state.ahead, self.limit) {
            (Some(_), Some(limit)) => limit,
            _ => state.deadline,
        }
    }

    /// What ends the lease at its end.
    fn cause(&self, state: &State) -> LostCause {
        match self.limit {
            Some(limit) if limit <= self.ends_at(state) => LostCause::MaxHold,
            _ => LostCause::Expired,
        }
    }
}

/// Resolves when one of the two does.
async fn either(
    mut one: Pin<&mut impl Future<Output = ()>>,
    mut other: Pin<&mut impl Future<Output = ()>>,
) {
    poll_fn(|cx| {
        if one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.0.state();
        f.debug_struct("Lease")
            .field("keys", &self.0.keys)
            .field("point", &format_args!("{}", self.0.point))
            .field("fencing_token", &self.0.fencing_token)
            .field("phase", &state.phase)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(ttl: Duration) -> Lease {
        let point = Point::Named("tests".into());
        Lease::new(
            LockKey::new("k").unwrap().into(),
            None,
            point,
            Since::asked(Instant::now(), None),
            ttl,
            None,
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
