//! From a request to a lease: attempts, pauses, and nothing left behind.

use std::{
    future::{poll_fn, ready},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rand::Rng as _;
use tokio::{sync::oneshot, task::coop::consume_budget, time::Instant};

use crate::{
    backend::{AcquireReply, AcquireRequest, BackendError, BoxFuture, Holder, Pass, Waiter},
    backend_error::lock_error,
    backoff::{SETTLE_LIMIT, busy_pause, split_pause},
    clock::{sleep, until, until_unless, wall_clock},
    core::Core,
    current::held_in_this_task,
    error::{LockError, NodeError},
    fence,
    fencing_token::FencingToken,
    grant::{Grant, Undo},
    guard::LockGuard,
    holding::Holding,
    key::LockKey,
    keys::LockKeys,
    lease::{Lease, Since},
    line::InLine,
    observe::Acquiring,
    point::Point,
    queue::{LocalHolder, Place, Places, Turn},
    successor::Successor,
    terms::{Terms, check_ttl},
    token::OwnerToken,
    validity::{FAR, longest_attempt, node_budget},
};

/// How long a waiter that is woken by releases goes without a look: a key may
/// be deleted by hand, and a wake may be lost.
const LONGEST_UNSEEN: Duration = Duration::from_secs(5);

/// What is asked for.
pub(crate) struct Want {
    pub(crate) keys: LockKeys,
    pub(crate) ttl: Duration,
    pub(crate) terms: Terms,
    pub(crate) patience: Patience,
    /// `None`: the manager's.
    pub(crate) label: Option<String>,
    pub(crate) point: Point,
    /// Whether a fencing token is wanted.
    pub(crate) is_fenced: bool,
}

impl Want {
    /// Whether a place in the servers' line is of any use.
    fn may_wait(&self) -> bool {
        match self.patience {
            Patience::Wait(wait) => !wait.is_zero(),
            Patience::Tries { tries, .. } => tries > 1,
        }
    }
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

/// Takes the lock, or says why not.
///
/// # Cancel safety
///
/// As [`take`]'s.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function holds its arguments twice"
)]
pub(crate) fn acquire(
    core: Arc<Core>,
    want: Want,
) -> impl Future<Output = Result<LockGuard, LockError>> {
    async move {
        let places = core.queue.places(&want.keys);
        let Grant {
            mut undo,
            since,
            fencing_token,
            is_awaited,
            // Until the guard has been entered.
            candidate: _candidate,
        } = take(&core, &want, &places).await?;
        places.hold(&undo.token, since.asked, want.ttl);
        let token = undo.token.clone();
        let lease = Lease::new(
            want.keys,
            fencing_token,
            want.point,
            since,
            want.ttl,
            want.terms.max_hold,
        );
        let mut holding = Holding::new(core, lease, token, want.ttl, want.terms, places);
        holding.is_awaited = is_awaited;
        // From here on the guard gives the keys back.
        undo.disarm();
        // One that is refused gives them back at once.
        LockGuard::enter(holding).map_err(|refused| LockError::draining(refused.key()))
    }
}

/// Takes the keys, or says why not.
///
/// # Cancel safety
///
/// Dropped at any await, the future leaves the line, and what a server may
/// have granted is given back in the background.
pub(crate) async fn take(
    core: &Arc<Core>,
    want: &Want,
    places: &Places,
) -> Result<Grant, LockError> {
    let acquiring = Acquiring::begin(want);
    let contest = pin!(contend(core, want, places));
    let result = acquiring.watch(contest).await;
    acquiring.end(result)
}

/// See [`take`].
async fn contend(core: &Arc<Core>, want: &Want, places: &Places) -> Result<Grant, LockError> {
    check(core, want)?;
    let draining = || LockError::draining(want.keys.first());
    let candidate = core.live.candidate().ok_or_else(draining)?;
    // Dropped before `candidate`, and what it has taken is given back.
    let contest = pin!(contest(core, want, places));
    let contested = core.live.unless_draining(contest).await;
    let mut grant = contested.ok_or_else(draining)??;
    grant.candidate = Some(candidate);
    Ok(grant)
}

/// As [`take`], without an eye on drains.
async fn contest(core: &Arc<Core>, want: &Want, places: &Places) -> Result<Grant, LockError> {
    if core.backend.is_immediate() {
        // A loop of locks that are free would never let other tasks run; before
        // the contest begins, from which a lease may count.
        consume_budget().await;
    }
    let mut contest = Contest::new(core, want, places);
    // Whoever waits boxes what it waits for, so that those who do not, most of
    // all, have a small future.
    contest.turn = match contest.line_up_at_once() {
        Poll::Ready(turn) => turn,
        Poll::Pending => match Box::pin(contest.line_up()).await {
            Lined::Turn(turn) => turn,
            Lined::Granted(grant) => return Ok(grant),
        },
    };
    loop {
        // Whatever is freed from here on is waited for no longer.
        places.look();
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

/// What can be said before any server is asked.
fn check(core: &Arc<Core>, want: &Want) -> Result<(), LockError> {
    check_ttl(want.keys.first(), want.ttl)?;
    if let Some(problem) = want.terms.problem(want.ttl) {
        return Err(LockError::invalid_options(want.keys.first(), problem));
    }
    for key in &want.keys {
        if let Some(held) = held_in_this_task(core, key) {
            let (held_by, wanted_by) = (held.point().to_string(), want.point.to_string());
            return Err(LockError::reentrant(key, held_by, wanted_by));
        }
    }
    Ok(())
}

/// What standing in this process's line came to.
enum Lined<'a> {
    /// The right to ask the servers, or none, and they are asked all the same.
    Turn(Option<Turn<'a>>),
    /// A lease of ours has handed the key on.
    Granted(Grant),
}

/// An attempt that is sent, and may be granted from here on.
struct Sent {
    /// What a lease counts from.
    since: Since,
    /// Who stands in line if it is refused.
    waiter: Option<Waiter>,
    undo: Undo,
}

/// The answer to an attempt.
type Answer = BoxFuture<'static, Result<AcquireReply, BackendError>>;

/// What an attempt came to.
enum Attempt {
    Granted(Grant),
    Busy(Holder),
    /// The votes were split.
    Split,
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
    granted: Option<oneshot::Receiver<Grant>>,
    /// Since when a lease of the last attempt counts, where it may be granted
    /// after it was refused.
    asked: Option<Since>,
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
        let mut contest = Self {
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
            asked: None,
            turn: None,
        };
        if contest.may_stand && core.contended.has(want.keys.first()) {
            contest.steps_into_line();
        }
        contest
    }

    /// What its owner tokens are labelled with.
    fn label(&self) -> &str {
        let label = self.want.label.as_deref();
        label.unwrap_or(&self.core.settings.label)
    }

    /// Whether this caller stands in line; others attempt at once.
    fn is_in_line(&self) -> bool {
        matches!(self.want.patience, Patience::Wait(wait) if !wait.is_zero())
    }

    /// The turn that [`line_up`](Self::line_up) waits for, where there is nobody
    /// to wait for.
    fn line_up_at_once(&self) -> Poll<Option<Turn<'a>>> {
        if self.is_in_line() {
            self.places.turn_at_once()
        } else {
            Poll::Ready(None)
        }
    }

    /// Waits for the turn, or until a lease of ours hands the key on; without
    /// either the caller looks all the same.
    async fn line_up(&mut self) -> Lined<'a> {
        let places = self.places;
        let mut turn = pin!(places.turn());
        let first = poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
        if let Poll::Ready(turn) = first {
            return Lined::Turn(turn);
        }
        self.has_waited = true;
        if let Some(successor) = self.successor() {
            places.add_successor(successor);
        }
        // Whoever waits in vain looks once by itself: nobody is told that the
        // key is busy who has not heard of a holder.
        let granted = &mut self.granted;
        let lined = until(
            self.deadline,
            poll_fn(|cx| {
                if let Some(grant) = poll_granted(granted, cx) {
                    return Poll::Ready(Lined::Granted(grant));
                }
                turn.as_mut().poll(cx).map(Lined::Turn)
            }),
        );
        match lined.await {
            Some(Lined::Granted(grant)) => match self.taken_over(grant) {
                Some(grant) => Lined::Granted(grant),
                None => Lined::Turn(None),
            },
            Some(turn) => turn,
            None => {
                // It leaves, and nothing is to be reserved for it.
                self.leave_line();
                Lined::Turn(None)
            }
        }
    }

    /// While a lease of ours holds one of the keys the servers need not be
    /// asked: its release wakes us, or hands the key on.
    fn is_behind_local_holders(&self) -> bool {
        if !self.is_in_line() || self.core.background.is_homeless() {
            return false;
        }
        // The servers tell us of that release as of any other, and reserve the
        // key for us.
        let is_entered = self.line.as_deref().is_some_and(InLine::is_entered);
        if is_entered && !self.want.keys.are_several() {
            return false;
        }
        self.granted.is_some() || self.places.have_local_holder()
    }

    /// See [`is_behind_local_holders`](Self::is_behind_local_holders).
    async fn wait_for_local_holders(&mut self) -> Result<Option<Grant>, LockError> {
        let places = self.places;
        for place in places.iter() {
            let mut unseen = None;
            // Asked again after each wait: the holder may have been renewed,
            // or be given back but for a rest.
            while let Some(holder) = place.local_holder() {
                self.has_waited = true;
                let unseen = *unseen.get_or_insert_with(|| Instant::now() + LONGEST_UNSEEN);
                if self.granted.is_none()
                    && let Some(successor) = self.successor()
                {
                    places.add_first_successor(successor);
                }
                let look = holder.until.min(unseen).min(self.deadline);
                let told = until(look, freed_or_granted(place, &mut self.granted)).await;
                if let Some(Some(grant)) = told {
                    return Ok(self.taken_over(grant));
                }
                let now = Instant::now();
                if now >= self.deadline {
                    if holder.is_open {
                        // Nobody knows whether it is busy.
                        break;
                    }
                    return Err(self.busy_error(&local_holder(place.key(), &holder)));
                }
                if told.is_none() && now >= unseen {
                    break;
                }
            }
        }
        Ok(self.withdraw())
    }

    /// From here on the servers are asked, unless a lease of ours has handed the
    /// key on in this moment.
    fn withdraw(&mut self) -> Option<Grant> {
        let mut granted = self.granted.take()?;
        granted.close();
        let grant = granted.try_recv().ok()?;
        self.taken_over(grant)
    }

    /// A grant that a holder of ours has handed on, if it is worth having; else
    /// it is given back here.
    fn taken_over(&self, grant: Grant) -> Option<Grant> {
        if let Some(token) = grant.fencing_token {
            self.core.fences.saw(&self.want.keys, token);
        }
        (!self.is_late(grant.since.asked)).then_some(grant)
    }

    /// Whether a grant that was asked for then is not worth having any more.
    fn is_late(&self, asked: Instant) -> bool {
        asked.elapsed() > longest_attempt(self.want.ttl)
    }

    /// What a lease of ours hands the key on to, where that can be done.
    fn successor(&mut self) -> Option<Successor> {
        if self.want.keys.are_several() || !self.may_stand {
            return None;
        }
        let token = OwnerToken::with_label(self.label());
        let keys = self.want.keys.clone();
        let request = self.fenced(AcquireRequest::new(keys, token, self.want.ttl));
        let (successor, granted) = Successor::new(self.core, request);
        self.granted = Some(granted);
        Some(successor)
    }

    /// One attempt with a token of its own.
    async fn attempt(&mut self) -> Result<Attempt, LockError> {
        let (sent, acquire) = self.ask();
        // A later grant would be none: no backend is waited for longer,
        // whatever it does, unless it never takes as long.
        let ttl = self.want.ttl;
        let keeps_time = self.core.backend.keeps_time();
        let deadline = || sent.since.asked + longest_attempt(ttl);
        let reply = match &mut self.line {
            Some(line) => {
                let overtaken = Box::pin(line.unless_overtaken(sent.since.asked, acquire));
                until_unless(keeps_time, deadline, overtaken).await
            }
            None => until_unless(keeps_time, deadline, acquire).await.map(Some),
        };
        match reply {
            Some(Some(reply)) => self.settle(sent, reply),
            Some(None) => Ok(self.overtaken(sent)),
            None => self.settle(sent, Err(self.core.no_answer(longest_attempt(ttl)))),
        }
    }

    /// Sends an attempt's question; where the answer comes.
    fn ask(&mut self) -> (Sent, Answer) {
        let (token, request) = self.request();
        // Whatever is freed from here on is worth another attempt.
        self.places.look();
        let epoch = self.core.epoch();
        // The lease counts from here, before the first byte is sent.
        let start = if mem::replace(&mut self.has_waited, true) {
            Instant::now()
        } else {
            self.begun
        };
        if let (Some(_), Some(turn)) = (&request.waiter, &self.turn) {
            turn.stands_in_line();
        }
        let is_taker = |waiter: &Waiter| waiter.takes_grants;
        let may_be_granted = request.waiter.as_ref().is_some_and(is_taker);
        let since = Since::asked(start, epoch);
        self.asked = may_be_granted.then(|| since.clone());
        let sent = Sent {
            since,
            waiter: request.waiter.clone(),
            undo: Undo::arm(self.core, &self.want.keys, token, self.want.ttl),
        };
        (sent, self.core.backend.acquire(request))
    }

    /// An attempt that the next has overtaken is given back, and its waiter stays
    /// in line.
    ///
    /// The key is reserved for the next already, where this one was refused, and
    /// other nodes are silent: those may be so for long.
    fn overtaken(&self, mut sent: Sent) -> Attempt {
        if !self.want.keys.are_several() {
            sent.undo.waiter = sent.waiter.take();
        }
        Attempt::Split
    }

    /// What an answer comes to.
    fn settle(
        &mut self,
        sent: Sent,
        reply: Result<AcquireReply, BackendError>,
    ) -> Result<Attempt, LockError> {
        let Sent {
            since, mut undo, ..
        } = sent;
        match reply {
            // Given back by `undo`, both of them.
            Ok(AcquireReply::Granted | AcquireReply::GrantedWith(_))
                if self.is_late(since.asked) =>
            {
                Err(self.late_error())
            }
            // Nobody knows on which side of a restart it was granted: it is
            // given back, and tried again.
            Ok(AcquireReply::Granted | AcquireReply::GrantedWith(_)) if since.is_over() => {
                Ok(Attempt::Split)
            }
            Ok(AcquireReply::Granted) if self.want.is_fenced => Err(self.unfenced_error()),
            Ok(AcquireReply::Granted) => Ok(self.granted(undo, since, None)),
            Ok(AcquireReply::GrantedWith(token)) => Ok(self.granted(undo, since, Some(token))),
            Ok(AcquireReply::Busy(holder)) => {
                undo.disarm();
                self.has_met_another = true;
                if let Some(fence) = holder.fence() {
                    self.core.fences.saw(&self.want.keys, fence);
                }
                Ok(Attempt::Busy(holder))
            }
            Ok(AcquireReply::Split) => {
                undo.disarm();
                Ok(Attempt::Split)
            }
            Err(error) => {
                if matches!(error, BackendError::RuntimeGone) {
                    // Nothing was granted, and nothing can be given back.
                    undo.disarm();
                    self.close_line();
                }
                Err(lock_error(self.want.keys.first(), error))
            }
        }
    }

    fn granted(
        &mut self,
        undo: Undo,
        since: Since,
        fencing_token: Option<FencingToken>,
    ) -> Attempt {
        self.close_line();
        self.places.was_in_order();
        if let Some(token) = fencing_token {
            self.core.fences.saw(&self.want.keys, token);
        }
        Attempt::Granted(Grant::new(undo, since, fencing_token, self.has_met_another))
    }

    /// No server needs to be told that we left its line, unless we wanted more
    /// than its key: then a grant takes nobody out.
    fn close_line(&mut self) {
        let line = self.line.take();
        if let Some(line) = line.filter(|_| !self.want.keys.are_several()) {
            line.close();
        }
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

    /// What to ask for, with which token.
    fn request(&mut self) -> (OwnerToken, AcquireRequest) {
        let Want { keys, ttl, .. } = self.want;
        // Not who was refused in line, and may have been told in vain: one that
        // hangs keeps a grant for its ttl, and a reservation for less.
        // Fences rise, and several keys are taken, by a question alone.
        let is_to_take_grants = self.busy == 0 && !self.want.is_fenced && !keys.are_several();
        let (token, waiter) = match self.line.as_deref_mut().map(InLine::begin) {
            Some((token, waiter)) if is_to_take_grants => (token, Some(waiter.taking_grants())),
            Some((token, waiter)) => (token, Some(waiter)),
            None => (OwnerToken::with_label(self.label()), None),
        };
        let mut request = AcquireRequest::new(keys.clone(), token.clone(), *ttl);
        request.waiter = waiter;
        request.is_curt = self.may_stand && self.line.is_none();
        let request = self.fenced(request);
        (token, request)
    }

    /// The same with a fencing token, if one is wanted.
    fn fenced(&self, request: AcquireRequest) -> AcquireRequest {
        if !self.want.is_fenced {
            return request;
        }
        let greatest = self.core.fences.greatest(&self.want.keys);
        let longest = self.want.terms.longest(self.want.ttl);
        request.fenced(
            fence::proposal(greatest, wall_clock()),
            fence::life(longest),
        )
    }

    /// Waits until another attempt is worth making, or says that none is.
    async fn pause_busy(&mut self, holder: Holder) -> Result<Option<Grant>, LockError> {
        self.split = None;
        let met = self.busy;
        self.busy = met.saturating_add(1);
        let now = Instant::now();
        if self.has_had_enough(now) {
            return Err(self.busy_error(&holder));
        }
        if holder.place().is_none() {
            // The servers did not let us into the line.
            self.leave_line();
        }
        let (deadline, between_tries) = (self.deadline, self.pause_between_tries());
        // Tries are counted, and end at no time.
        let look_after = |pause| match between_tries {
            Some(pause) => now + pause,
            None => (now + pause).min(deadline),
        };
        if let Some(line) = &mut self.line {
            let look = look_after(line.pause(&holder, met, draw()));
            if until(look, line.passed()).await == Some(Pass::Granted)
                && let Some(grant) = self.passed_on()
            {
                return Ok(Some(grant));
            }
        } else {
            let key = self.key_of(&holder).clone();
            let wake = self.wake(&key).await;
            let left = holder.expires_in();
            let pause = match &wake {
                Some(_) => left.unwrap_or(LONGEST_UNSEEN).min(LONGEST_UNSEEN),
                None => busy_pause(met, left, draw()),
            };
            let look = look_after(pause);
            until(look, Self::freed(self.places, &key, wake)).await;
        }
        if between_tries.is_none() && Instant::now() >= deadline {
            return Err(self.busy_error(&holder));
        }
        Ok(None)
    }

    /// The grant of the key that has been passed on to us: the last attempt's,
    /// which was refused before, if it is worth having; else we ask for it.
    fn passed_on(&mut self) -> Option<Grant> {
        let start = Instant::now();
        let asked = self.asked.take()?;
        if self.is_late(asked.asked) || asked.is_over() {
            return None;
        }
        let token = self.line.take()?.into_next();
        let undo = Undo::arm(self.core, &self.want.keys, token, self.want.ttl);
        self.places.was_in_order();
        let since = Since { start, ..asked };
        Some(Grant::new(undo, since, None, true))
    }

    /// Whether a busy key is not worth another attempt.
    fn has_had_enough(&self, now: Instant) -> bool {
        match self.want.patience {
            Patience::Tries { tries, .. } => self.busy >= tries,
            Patience::Wait(_) => now >= self.deadline,
        }
    }

    /// The pause before the next try, where they are counted.
    fn pause_between_tries(&self) -> Option<Duration> {
        match self.want.patience {
            Patience::Tries { delay, jitter, .. } => {
                Some(delay.min(FAR).mul_f64(1.0 - jitter * draw()))
            }
            Patience::Wait(_) => None,
        }
    }

    /// Split votes are settled even without a `wait`, within a bounded time.
    async fn pause_split(&mut self) -> Result<(), LockError> {
        let now = Instant::now();
        let (rounds, since) = self.split.unwrap_or((0, now));
        let end = self.deadline.max(since + SETTLE_LIMIT);
        if now >= end {
            return Err(LockError::busy(self.want.keys.first(), self.waited()));
        }
        self.split = Some((rounds.saturating_add(1), since));
        if let Some(line) = &mut self.line
            && !self.want.keys.are_several()
        {
            // The lowest ticket is passed what the others give back.
            let reserved = node_budget(self.want.ttl).saturating_mul(2);
            let look = now + line.pause_split(reserved, rounds, draw());
            until(look.min(end), line.passed()).await;
        } else {
            sleep(split_pause(rounds, draw())).await;
        }
        Ok(())
    }

    /// The backend's wake for this key; `None` where there is none to be had.
    ///
    /// A wake that is there at once says that the key is free already, which
    /// is worth one look; a backend that says so again and again, while it
    /// refuses the key, is not believed.
    async fn wake(&mut self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let mut wake = self.core.backend.freed(key)?;
        if poll_fn(|cx| Poll::Ready(wake.as_mut().poll(cx).is_pending())).await {
            self.hasty = 0;
            return Some(wake);
        }
        self.hasty = self.hasty.saturating_add(1);
        (self.hasty == 1).then(|| Box::pin(ready(())) as _)
    }

    /// A release of this key by one of ours, or one that the backend tells of.
    async fn freed(places: &Places, key: &LockKey, mut by_backend: Option<BoxFuture<'static, ()>>) {
        let mut by_place = pin!(places.of(key).freed());
        poll_fn(|cx| {
            let told = by_backend
                .as_mut()
                .is_some_and(|freed| freed.as_mut().poll(cx).is_ready());
            // Both are polled, so that both know the waker.
            if by_place.as_mut().poll(cx).is_ready() || told {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
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

    fn unfenced_error(&self) -> LockError {
        let address = self.core.backend.address();
        let reason = format!("the lock store gives no fencing tokens ({address})");
        LockError::invalid_options(self.want.keys.first(), reason)
    }

    fn late_error(&self) -> LockError {
        let address = self.core.backend.address();
        let late = NodeError::new(address, "granted with less than half of the ttl left");
        LockError::unavailable(self.want.keys.first(), [late])
    }
}

/// Resolves when the holder of ours has given the key back, with a grant where
/// it has handed the key on.
async fn freed_or_granted(
    place: &Place,
    granted: &mut Option<oneshot::Receiver<Grant>>,
) -> Option<Grant> {
    let mut freed = pin!(place.freed());
    poll_fn(|cx| match poll_granted(granted, cx) {
        Some(grant) => Poll::Ready(Some(grant)),
        None => freed.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The grant, if it has come; nobody is asked any more where none will come.
fn poll_granted(
    granted: &mut Option<oneshot::Receiver<Grant>>,
    cx: &mut Context<'_>,
) -> Option<Grant> {
    match Pin::new(granted.as_mut()?).poll(cx) {
        Poll::Pending => None,
        Poll::Ready(grant) => {
            *granted = None;
            grant.ok()
        }
    }
}

fn local_holder(key: &LockKey, holder: &LocalHolder) -> Holder {
    let left = holder.until.saturating_duration_since(Instant::now());
    Holder::new(holder.token.expose().as_bytes(), Some(left)).of_key(key.clone())
}

/// Uniform in 0…1.
fn draw() -> f64 {
    rand::rng().random()
}
