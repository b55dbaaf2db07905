//! From a request to a lease: attempts, pauses, and nothing left behind.

use std::{
    borrow::Cow,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use rand::Rng as _;
use tokio::time::{Instant, sleep};

use crate::{
    backend::{AcquireReply, AcquireRequest, BackendError, BoxFuture, Holder},
    backoff::{SETTLE_LIMIT, busy_pause, split_pause},
    clock::until,
    core::Core,
    current,
    error::{LockError, NodeError},
    key::LockKey,
    queue::{LocalHolder, Place, Turn},
    token::OwnerToken,
    validity::{TTL_RANGE, is_worth_having},
};

/// How long a waiter that is woken by releases goes without a look: a key may
/// be deleted by hand, and a wake may be lost.
const LONGEST_UNSEEN: Duration = Duration::from_secs(5);

/// What is asked for.
pub(crate) struct Want {
    pub(crate) key: LockKey,
    pub(crate) ttl: Duration,
    pub(crate) patience: Patience,
    pub(crate) label: String,
    /// The lock point's name.
    pub(crate) point: Cow<'static, str>,
}

/// How long to try.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// In line for so long; zero: not for another holder.
    Wait(Duration),
    /// So many attempts, so far apart.
    Tries {
        tries: u32,
        delay: Duration,
        jitter: f64,
    },
}

/// A granted lease that nobody owns yet: dropping it gives the key back.
pub(crate) struct Grant {
    pub(crate) undo: Undo,
    pub(crate) place: Place,
    pub(crate) start: Instant,
    pub(crate) ttl: Duration,
    pub(crate) point: Cow<'static, str>,
}

/// Gives back what an acquire may have taken, unless it is disarmed.
///
/// It stands between "a server may have granted" and "a guard exists".
pub(crate) struct Undo {
    pub(crate) core: Arc<Core>,
    pub(crate) key: LockKey,
    pub(crate) token: OwnerToken,
    is_armed: bool,
}

impl Undo {
    fn arm(core: &Arc<Core>, key: &LockKey, token: &OwnerToken) -> Self {
        Self {
            core: Arc::clone(core),
            key: key.clone(),
            token: token.clone(),
            is_armed: true,
        }
    }

    /// From here on somebody else is responsible for the key.
    pub(crate) fn disarm(&mut self) {
        self.is_armed = false;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if self.is_armed {
            // Dropping the release hands it to the background.
            drop(self.core.release(self.key.clone(), self.token.clone()));
        }
    }
}

/// Takes the key, or says why not.
///
/// # Cancel safety
///
/// Dropped at any await, the future leaves the line, and what a server may
/// have granted is given back in the background.
pub(crate) async fn acquire(core: Arc<Core>, want: Want) -> Result<Grant, LockError> {
    check(&core, &want)?;
    let place = core.queue.place(&want.key);
    let mut contest = Contest::new(&core, &want, &place);
    let _turn = contest.line_up().await?;
    loop {
        contest.wait_for_local_holder().await?;
        let refusal = match contest.attempt().await? {
            Ok((undo, start)) => {
                let (ttl, point) = (want.ttl, want.point.clone());
                place.hold(&undo.token, start, ttl);
                return Ok(Grant { undo, place, start, ttl, point });
            }
            Err(refusal) => refusal,
        };
        contest.pause_after(refusal).await?;
    }
}

/// What can be said before any server is asked.
fn check(core: &Arc<Core>, want: &Want) -> Result<(), LockError> {
    check_ttl(&want.key, want.ttl)?;
    if let Some(held_by) = current::holder_in_this_task(core, &want.key) {
        return Err(LockError::reentrant(&want.key, held_by, &*want.point));
    }
    Ok(())
}

pub(crate) fn check_ttl(key: &LockKey, ttl: Duration) -> Result<(), LockError> {
    if TTL_RANGE.contains(&ttl) {
        return Ok(());
    }
    let reason = format!("its ttl is {ttl:?}; give one within 10ms and 24h");
    Err(LockError::invalid_options(key, reason))
}

/// Why an attempt came to nothing.
enum Refusal {
    Busy(Holder),
    /// The votes were split.
    Split,
    /// Granted with less than half of the ttl left.
    Late,
}

/// One caller's contest for a key.
struct Contest<'a> {
    core: &'a Arc<Core>,
    want: &'a Want,
    place: &'a Place,
    begun: Instant,
    /// When waiting for another holder ends.
    deadline: Instant,
    /// Attempts that met another holder.
    busy: u32,
    /// Rounds since the votes were first split, and when that was.
    split: Option<(u32, Instant)>,
}

impl<'a> Contest<'a> {
    fn new(core: &'a Arc<Core>, want: &'a Want, place: &'a Place) -> Self {
        let begun = Instant::now();
        let wait = match want.patience {
            Patience::Wait(wait) => wait,
            Patience::Tries { tries, delay, .. } => delay.saturating_mul(tries),
        };
        Self {
            core,
            want,
            place,
            begun,
            deadline: begun + wait.min(FAR),
            busy: 0,
            split: None,
        }
    }

    /// Whether this caller stands in line; others attempt at once.
    fn is_in_line(&self) -> bool {
        matches!(self.want.patience, Patience::Wait(wait) if !wait.is_zero())
    }

    async fn line_up(&self) -> Result<Option<Turn>, LockError> {
        if !self.is_in_line() {
            return Ok(None);
        }
        match until(self.deadline, self.place.turn()).await {
            Some(turn) => Ok(Some(turn)),
            None => Err(self.busy_here()),
        }
    }

    /// While a lease of ours holds the key the servers need not be asked: its
    /// release wakes us.
    async fn wait_for_local_holder(&self) -> Result<(), LockError> {
        let now = Instant::now();
        let Some(holder) = self.place.local_holder(now) else {
            return Ok(());
        };
        if !self.is_in_line() {
            return Ok(());
        }
        let look = holder.until.min(now + LONGEST_UNSEEN).min(self.deadline);
        until(look, self.place.freed()).await;
        if Instant::now() < self.deadline {
            Ok(())
        } else {
            Err(self.busy_error(local_holder(&holder)))
        }
    }

    /// One attempt with a token of its own.
    async fn attempt(&self) -> Result<Result<(Undo, Instant), Refusal>, LockError> {
        let token = OwnerToken::with_label(&self.want.label);
        let request = AcquireRequest::new(self.want.key.clone(), token.clone(), self.want.ttl);
        // The lease counts from here, before the first byte is sent.
        let start = Instant::now();
        let mut undo = Undo::arm(self.core, &self.want.key, &token);
        let reply = self.core.backend.acquire(request).await;
        match reply {
            Ok(AcquireReply::Granted) if is_worth_having(self.want.ttl, start.elapsed()) => {
                Ok(Ok((undo, start)))
            }
            // Given back by `undo`.
            Ok(AcquireReply::Granted) => Ok(Err(Refusal::Late)),
            Ok(AcquireReply::Busy(holder)) => {
                undo.disarm();
                Ok(Err(Refusal::Busy(holder)))
            }
            Ok(AcquireReply::Split) => {
                undo.disarm();
                Ok(Err(Refusal::Split))
            }
            Err(error) => Err(self.backend_error(error)),
        }
    }

    /// Waits until another attempt is worth making, or says that none is.
    async fn pause_after(&mut self, refusal: Refusal) -> Result<(), LockError> {
        match refusal {
            Refusal::Busy(holder) => self.pause_busy(holder).await,
            Refusal::Split | Refusal::Late => self.pause_split(&refusal).await,
        }
    }

    async fn pause_busy(&mut self, holder: Holder) -> Result<(), LockError> {
        self.split = None;
        let met = self.busy;
        self.busy = met.saturating_add(1);
        let now = Instant::now();
        match self.want.patience {
            Patience::Tries { tries, .. } if self.busy >= tries => Err(self.busy_error(holder)),
            Patience::Tries { delay, jitter, .. } => {
                sleep(delay.mul_f64(1.0 - jitter * draw())).await;
                Ok(())
            }
            Patience::Wait(_) if now >= self.deadline => Err(self.busy_error(holder)),
            Patience::Wait(_) => {
                let wake = self.core.backend.freed(&self.want.key);
                let pause = match &wake {
                    Some(_) => holder.expires_in().unwrap_or(LONGEST_UNSEEN).min(LONGEST_UNSEEN),
                    None => busy_pause(met, holder.expires_in(), draw()),
                };
                let look = (now + pause).min(self.deadline);
                until(look, self.freed(wake)).await;
                if Instant::now() < self.deadline {
                    Ok(())
                } else {
                    Err(self.busy_error(holder))
                }
            }
        }
    }

    /// Split votes are settled even without a `wait`, within a bounded time.
    async fn pause_split(&mut self, refusal: &Refusal) -> Result<(), LockError> {
        let now = Instant::now();
        let (rounds, since) = self.split.unwrap_or((0, now));
        if now >= self.deadline.max(since + SETTLE_LIMIT) {
            return Err(match refusal {
                Refusal::Late => self.late_error(),
                _ => LockError::busy(&self.want.key, self.waited()),
            });
        }
        self.split = Some((rounds.saturating_add(1), since));
        sleep(split_pause(rounds, draw())).await;
        Ok(())
    }

    /// A release by one of ours, or one that the backend tells of.
    async fn freed(&self, wake: Option<BoxFuture<'static, ()>>) {
        let mut here = pin!(self.place.freed());
        let mut there = wake;
        poll_fn(|cx| {
            let is_here = here.as_mut().poll(cx).is_ready();
            let is_there = there.as_mut().is_some_and(|wake| wake.as_mut().poll(cx).is_ready());
            if is_here || is_there { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn waited(&self) -> Duration {
        self.begun.elapsed()
    }

    fn busy_error(&self, holder: Holder) -> LockError {
        LockError::Busy {
            key: (&self.want.key).into(),
            waited: self.waited(),
            holder: holder.label().map(Arc::from),
            retry_after: Some(holder.expires_in().unwrap_or(Duration::MAX)),
        }
    }

    /// Busy before our turn came: the holder is one of ours, if it is known.
    fn busy_here(&self) -> LockError {
        match self.place.local_holder(Instant::now()) {
            Some(holder) => self.busy_error(local_holder(&holder)),
            None => LockError::busy(&self.want.key, self.waited()),
        }
    }

    fn late_error(&self) -> LockError {
        let address = self.core.backend.address();
        let late = NodeError::new(address, "granted with less than half of the ttl left");
        LockError::unavailable(&self.want.key, [late])
    }

    fn backend_error(&self, error: BackendError) -> LockError {
        lock_error(&self.want.key, error)
    }
}

/// A backend's error as the user sees it.
pub(crate) fn lock_error(key: &LockKey, error: BackendError) -> LockError {
    match error {
        BackendError::Unavailable { nodes } => LockError::unavailable(key, nodes),
        BackendError::InvalidKey { reason } => {
            LockError::invalid_key(key, format!("it {reason}"))
        }
        BackendError::RuntimeGone => LockError::runtime_gone(key),
    }
}

fn local_holder(holder: &LocalHolder) -> Holder {
    let left = holder.until.saturating_duration_since(Instant::now());
    Holder::new(holder.token.expose().as_bytes(), Some(left))
}

/// A wait beyond this is for ever, and an instant cannot hold much more.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Uniform in 0…1.
fn draw() -> f64 {
    rand::rng().random()
}
