//! One caller's contest for its keys, until it has them or has waited enough.

mod attempt;
mod local;
mod pause;

use std::{borrow::Cow, sync::Arc, task::Poll, time::Duration};

use rand::Rng as _;
use tokio::{sync::oneshot, task::coop::consume_budget, time::Instant};

use self::{attempt::Attempt, local::Lined};
use crate::{
    acquire::Want,
    backend::Holder,
    core::Core,
    grant::{Grant, Undo},
    key::LockKey,
    line::InLine,
    lock_error::LockError,
    queue::{InCrowd, Places, Turn},
    retry::Patience,
    token::OwnerToken,
    validity::{FAR, longest_attempt},
};

/// How long a waiter relies on being woken before it looks by itself: a key may
/// be deleted by hand, and a wake may be lost.
const LONGEST_UNSEEN: Duration = Duration::from_secs(5);

/// As [`take`](crate::acquire::take), without an eye on drains.
pub(crate) async fn contest<'a>(
    core: &'a Arc<Core>,
    want: &'a Want,
    places: &'a mut Places,
) -> Result<Grant<'a>, LockError> {
    if core.backend.is_immediate() {
        // A loop that takes free locks would never let other tasks run. Here, since
        // a lease may count from the beginning of the contest.
        consume_budget().await;
        if let Some(grant) = take_free(core, want)? {
            return Ok(grant);
        }
    }
    *places = core.queue.places(&want.keys);
    let mut contest = Contest::new(core, want, places);
    if contest.may_stand && core.contended.has(want.keys.first()) {
        contest.steps_into_line();
    }
    // What waits is boxed: most callers do not wait, and have a small future.
    contest.turn = match contest.line_up_at_once() {
        Poll::Ready(turn) => turn,
        Poll::Pending => match Box::pin(contest.line_up()).await {
            Lined::Turn(turn) => turn,
            Lined::Granted(grant) => return Ok(grant),
        },
    };
    loop {
        if contest.is_behind_local_holders()
            && let Some(grant) = Box::pin(contest.wait_for_local_holders()).await?
        {
            return Ok(grant);
        }
        let holder = match contest.attempt().await? {
            Attempt::Granted(grant) => return Ok(grant),
            Attempt::Busy(holder) => Some(holder),
            Attempt::Split => None,
        };
        if let Some(holder) = &holder
            && contest.is_in_crowds()
            && Box::pin(contest.join_crowd(holder)).await?
        {
            continue;
        }
        if contest.steps_into_line() {
            continue;
        }
        match holder {
            Some(holder) => {
                if let Some(grant) = Box::pin(contest.pause_busy(holder)).await? {
                    return Ok(grant);
                }
            }
            None => Box::pin(contest.pause_split()).await?,
        }
    }
}

/// Takes free keys for which nobody waits here, without a place in their lines.
///
/// Only of a backend that answers at once, where others of this process do as well
/// to ask it as to know who of them holds a key.
fn take_free<'a>(core: &'a Arc<Core>, want: &'a Want) -> Result<Option<Grant<'a>>, LockError> {
    static NOWHERE: Places = Places::none();
    // Tries are counted where they are paused between.
    let is_counted = matches!(want.patience, Patience::Tries { .. });
    if is_counted || !core.queue.places_there(&want.keys).are_none() {
        return Ok(None);
    }
    let mut contest = Contest::new(core, want, &NOWHERE);
    match contest.attempt_at_once()? {
        Some(Attempt::Granted(grant)) => Ok(Some(grant)),
        Some(Attempt::Busy(holder)) if !want.may_wait() => Err(contest.busy_error(&holder)),
        _ => Ok(None),
    }
}

/// One caller's contest for its keys.
struct Contest<'a> {
    core: &'a Arc<Core>,
    want: &'a Want,
    places: &'a Places,
    begun: Instant,
    /// Whether time may have passed since it began.
    has_waited: bool,
    /// When waiting for another holder ends.
    deadline: Instant,
    /// Attempts that met another holder.
    busy: u32,
    /// Wakes in a row that were there before anybody waited for them.
    hasty: u32,
    /// Rounds since the votes were first split, and when that was.
    split: Option<(u32, Instant)>,
    /// Whether the servers' line is of use.
    may_stand: bool,
    /// The place in the servers' line, from the second attempt on: most first
    /// ones are granted, and need none, but for a [contended] key.
    ///
    /// [contended]: crate::contended::Contended
    line: Option<Box<InLine>>,
    /// Whether another owner has been met.
    has_met_another: bool,
    /// Where the grant comes if a lease of ours hands the key on to us.
    granted: Option<oneshot::Receiver<Grant<'static>>>,
    /// The place among others of this process who want several keys.
    crowd: Option<InCrowd<'a>>,
    /// Given on last.
    turn: Option<Turn<'a>>,
}

impl<'a> Contest<'a> {
    fn new(core: &'a Arc<Core>, want: &'a Want, places: &'a Places) -> Self {
        let begun = Instant::now();
        let limit = match want.patience {
            Patience::Wait(limit) => limit,
            Patience::Tries { tries, delay, .. } => delay.saturating_mul(tries),
        };
        Self {
            core,
            want,
            places,
            begun,
            has_waited: false,
            deadline: begun + limit.min(FAR),
            busy: 0,
            hasty: 0,
            split: None,
            may_stand: want.may_wait() && core.backend.has_line(),
            line: None,
            has_met_another: false,
            granted: None,
            crowd: None,
            turn: None,
        }
    }

    /// What its owner tokens are labelled with.
    fn label(&self) -> &str {
        let label = self.want.label.as_deref();
        label.unwrap_or(&self.core.settings.label)
    }

    /// Whether this caller waits behind others of this process; others attempt at
    /// once.
    fn queues_here(&self) -> bool {
        matches!(self.want.patience, Patience::Wait(wait) if !wait.is_zero())
    }

    /// Whether the next attempt, which is to be made at once, is the first in
    /// line.
    fn steps_into_line(&mut self) -> bool {
        let Want { keys, ttl, .. } = self.want;
        let is_first = self.may_stand && self.line.is_none();
        if is_first {
            self.line = Some(Box::new(InLine::new(self.core, keys, self.label(), *ttl)));
        }
        is_first
    }

    /// From here on we ask again and again.
    fn leave_line(&mut self) {
        self.may_stand = false;
        self.line = None;
    }

    /// Gives up the place in line after a grant, without telling the servers what
    /// they know.
    fn close_line(&mut self) {
        if let Some(line) = self.line.take() {
            line.close();
        }
    }

    /// What gives back what is asked for with this token.
    fn undo(&self, token: OwnerToken) -> Undo<'a> {
        let Want { keys, ttl, .. } = self.want;
        Undo::arm(Cow::Borrowed(self.core), Cow::Borrowed(keys), token, *ttl)
    }

    /// Whether a grant that was asked for then is not worth having any more.
    fn is_late(&self, asked: Instant) -> bool {
        Instant::now() > asked + longest_attempt(self.want.ttl)
    }

    fn waited(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The key that the holder holds.
    fn key_of<'h>(&'h self, holder: &'h Holder) -> &'h LockKey {
        holder.key().unwrap_or(self.want.keys.first())
    }

    fn busy_error(&self, holder: &Holder) -> LockError {
        LockError::Busy {
            key: self.key_of(holder).into(),
            waited: self.waited(),
            holder: holder.label().map(Arc::from),
            retry_after: Some(holder.expires_in().unwrap_or(Duration::MAX)),
        }
    }
}

/// Uniform in 0…1.
fn draw() -> f64 {
    rand::rng().random()
}
