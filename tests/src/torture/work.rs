//! Takes locks by each interface, and writes down what comes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lockguard::{
    FencingToken, Lease, LockError, LockGuard, LockManager, LostCause, ReleaseError, Released,
    distributed_lock,
};
use rand::{Rng as _, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    bugs::Bug,
    clock::Stamp,
    fault::bounds,
    journal::{
        Call, Interface, Journal, Look, Operation, Outcome, Record, RuntimeDrop, Stall, Start, Who,
    },
    plan::Plan,
};

/// How often a body looks at its lease.
const LOOK: Duration = Duration::from_millis(10);

/// What all calls of a client share.
pub(super) struct Recorder {
    pub(super) client: u16,
    pub(super) journal: Journal,
    pub(super) bug: Option<Bug>,
    calls: AtomicU64,
}

impl Recorder {
    pub(super) fn new(client: u16, journal: Journal, bug: Option<Bug>) -> Self {
        Self {
            client,
            journal,
            bug,
            calls: AtomicU64::new(0),
        }
    }

    /// Writes down that this process stood still.
    pub(super) fn stalled(&self, begin: Stamp, end: Stamp) {
        self.journal.write(&Record::Stall(Stall {
            client: self.client,
            begin,
            end,
        }));
    }

    /// Writes down that the runtime of the manager was dropped.
    pub(super) fn dropped_runtime(&self, begin: Stamp, end: Stamp) {
        self.journal.write(&Record::RuntimeDrop(RuntimeDrop {
            client: self.client,
            begin,
            end,
        }));
    }

    fn next(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

/// Makes the call; what it came to.
pub(super) async fn perform(
    recorder: &Arc<Recorder>,
    manager: &LockManager,
    plan: &Plan,
) -> Outcome {
    let mut call = Pending::new(recorder, plan, Operation::Acquire, recorder.next());
    let outcome = match (plan.interface, plan.cancel_after) {
        (Interface::Attribute, None) => by_attribute(&call, manager, plan).await,
        (Interface::Guard, None) => by_guard(&call, manager, plan).await,
        (Interface::Token, None) => by_token(&call, manager, plan).await,
        (Interface::Attribute, Some(after)) => {
            cancelled(after, by_attribute(&call, manager, plan)).await
        }
        (Interface::Guard, Some(after)) => cancelled(after, by_guard(&call, manager, plan)).await,
        (Interface::Token, Some(after)) => cancelled(after, by_token(&call, manager, plan)).await,
    };
    call.outcome = outcome;
    outcome
}

/// Drops the call after so long; unless it has ended, it is cancelled.
async fn cancelled(after: Duration, call: impl Future<Output = Outcome>) -> Outcome {
    timeout(after, call).await.unwrap_or(Outcome::Cancelled)
}

/// A call that is written down when it is dropped, which cancels it unless it
/// has an outcome.
struct Pending<'a> {
    recorder: &'a Arc<Recorder>,
    plan: &'a Plan,
    operation: Operation,
    who: Who,
    begin: Stamp,
    outcome: Outcome,
}

impl<'a> Pending<'a> {
    fn new(recorder: &'a Arc<Recorder>, plan: &'a Plan, operation: Operation, id: u64) -> Self {
        Self {
            recorder,
            plan,
            operation,
            who: Who {
                client: recorder.client,
                interface: plan.interface,
                key: plan.key,
                id,
            },
            begin: Stamp::now(),
            outcome: Outcome::Cancelled,
        }
    }

    /// Another operation of the same acquisition.
    fn then(&self, operation: Operation) -> Self {
        Self::new(self.recorder, self.plan, operation, self.who.id)
    }

    fn came_to(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let plan = self.plan;
        self.recorder.journal.write(&Record::Call(Call {
            who: self.who,
            operation: self.operation,
            outcome: self.outcome,
            is_fenced: plan.is_fenced,
            begin: self.begin,
            end: Stamp::now(),
            ttl: plan.ttl,
            wait: plan.wait,
            work: plan.work,
            limit: plan.max_hold.unwrap_or_default(),
        }));
    }
}

/// A body that has been entered; dropping it writes down its end.
struct Body<'a> {
    recorder: &'a Recorder,
    who: Who,
    deadline: Instant,
    lease: Option<Lease>,
}

impl<'a> Body<'a> {
    /// Enters the body of a lease that may be trusted until `deadline`.
    fn enter(
        call: &Pending<'a>,
        deadline: Instant,
        lease: Option<Lease>,
        token: Option<FencingToken>,
    ) -> Self {
        let plan = call.plan;
        call.recorder.journal.write(&Record::Start(Start {
            who: call.who,
            begin: call.begin,
            start: Stamp::now(),
            deadline: Stamp::of(deadline),
            token: token.map_or(0, FencingToken::get),
            ttl: plan.ttl,
            wait: plan.wait,
        }));
        Self {
            recorder: call.recorder,
            who: call.who,
            deadline,
            lease,
        }
    }

    fn of(call: &Pending<'a>, lease: &Lease) -> Self {
        Self::enter(
            call,
            lease.deadline(),
            Some(lease.clone()),
            lease.fencing_token(),
        )
    }

    /// Does the work; writes down each move of the deadline before it is
    /// relied upon.
    async fn work(&mut self, work: Duration) {
        let end = Instant::now() + work;
        loop {
            self.look();
            let now = Instant::now();
            if now >= end {
                return;
            }
            sleep_until(end.min(now + LOOK)).await;
        }
    }

    fn look(&mut self) {
        let deadline = self.lease.as_ref().map_or(self.deadline, Lease::deadline);
        if deadline > self.deadline {
            self.deadline = deadline;
            self.write(false);
        }
    }

    fn write(&self, is_end: bool) {
        self.recorder.journal.write(&Record::Look(Look {
            who: self.who,
            at: Stamp::now(),
            deadline: Stamp::of(self.deadline),
            is_end,
        }));
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.write(true);
    }
}

async fn by_attribute(call: &Pending<'_>, manager: &LockManager, plan: &Plan) -> Outcome {
    let done = match (plan.is_fenced, plan.max_hold) {
        (true, None) => fenced(call, manager, plan).await,
        (false, None) => plain(call, manager, plan).await,
        (true, Some(max_hold)) => renewed(call, manager, plan, max_hold).await,
        (false, Some(max_hold)) => renewed_plain(call, manager, plan, max_hold).await,
    };
    done.map_or_else(|error| outcome_of(&error), |()| Outcome::Done)
}

#[distributed_lock(
    key = &plan.name,
    ttl = plan.ttl,
    wait = plan.wait,
    manager = manager,
    bind = lease,
    fence = token
)]
async fn fenced(call: &Pending<'_>, manager: &LockManager, plan: &Plan) -> Result<(), LockError> {
    assert_eq!(Some(token), lease.fencing_token());
    Body::of(call, &lease).work(plan.work).await;
    Ok(())
}

#[distributed_lock(
    key = &plan.name,
    ttl = plan.ttl,
    wait = plan.wait,
    manager = manager,
    bind = lease
)]
async fn plain(call: &Pending<'_>, manager: &LockManager, plan: &Plan) -> Result<(), LockError> {
    Body::of(call, &lease).work(plan.work).await;
    Ok(())
}

#[distributed_lock(
    key = &plan.name,
    ttl = plan.ttl,
    wait = plan.wait,
    max_hold = max_hold,
    manager = manager,
    bind = lease,
    fence = token
)]
async fn renewed(
    call: &Pending<'_>,
    manager: &LockManager,
    plan: &Plan,
    max_hold: Duration,
) -> Result<(), LockError> {
    assert_eq!(Some(token), lease.fencing_token());
    Body::of(call, &lease).work(plan.work).await;
    Ok(())
}

#[distributed_lock(
    key = &plan.name,
    ttl = plan.ttl,
    wait = plan.wait,
    max_hold = max_hold,
    manager = manager,
    bind = lease
)]
async fn renewed_plain(
    call: &Pending<'_>,
    manager: &LockManager,
    plan: &Plan,
    max_hold: Duration,
) -> Result<(), LockError> {
    Body::of(call, &lease).work(plan.work).await;
    Ok(())
}

async fn by_guard(call: &Pending<'_>, manager: &LockManager, plan: &Plan) -> Outcome {
    let mut request = manager.lock(&plan.name, plan.ttl);
    if plan.is_fenced {
        request = request.fenced();
    }
    if let Some(max_hold) = plan.max_hold {
        request = request.max_hold(max_hold);
    }
    let acquired = if plan.wait.is_zero() {
        request.try_acquire().await
    } else {
        request.wait(plan.wait).acquire().await
    };
    match acquired {
        Ok(guard) => under_guard(call, guard, plan).await,
        Err(error) => outcome_of(&error),
    }
}

/// Does the work for as long as the lease lasts, and gives it back.
async fn under_guard(call: &Pending<'_>, guard: LockGuard, plan: &Plan) -> Outcome {
    if call.recorder.bug == Some(Bug::DeadlineFromReply) {
        return trust_from_the_reply(call, guard, plan).await;
    }
    let mut body = Body::of(call, guard.lease());
    let work = async {
        body.work(plan.work / 2).await;
        if plan.extends {
            let extend = call.then(Operation::Extend);
            let extended = guard.extend(plan.ttl).await;
            extend.came_to(extended.map_or_else(|error| outcome_of(&error), |()| Outcome::Done));
        }
        body.work(plan.work / 2).await;
    };
    let lost = tokio::select! {
        biased;
        cause = guard.lost() => Some(cause),
        () = work => None,
    };
    drop(body);
    if let Some(cause) = lost {
        return outcome_of_loss(cause);
    }
    if plan.drops_guard {
        drop(guard);
        return Outcome::Done;
    }
    let release = call.then(Operation::Release);
    let released = guard.release().await;
    release.came_to(released.map_or_else(|error| outcome_of_release(&error), |()| Outcome::Done));
    Outcome::Done
}

/// [`Bug::DeadlineFromReply`]: what a client does that dates its lease from
/// the reply.
async fn trust_from_the_reply(call: &Pending<'_>, guard: LockGuard, plan: &Plan) -> Outcome {
    let deadline = Instant::now() + bounds::lifetime(plan.ttl);
    let mut body = Body::enter(call, deadline, None, guard.fencing_token());
    body.work(
        plan.work
            .min(deadline.saturating_duration_since(Instant::now())),
    )
    .await;
    Outcome::Done
}

async fn by_token(call: &Pending<'_>, manager: &LockManager, plan: &Plan) -> Outcome {
    let asked = Instant::now();
    let token = match manager.acquire(&plan.name, plan.ttl).await {
        Ok(token) => token,
        Err(error) => return outcome_of(&error),
    };
    // The lease counts from an attempt that came later, if anything.
    let deadline = asked + bounds::lifetime(plan.ttl);
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        let mut body = Body::enter(call, deadline, None, None);
        body.work(plan.work.min(left)).await;
    }
    let release = call.then(Operation::Release);
    let released = manager.release(&plan.name, &token).await;
    release.came_to(match released {
        Ok(Released::Freed) => Outcome::Done,
        Ok(_) => Outcome::NotHeld,
        Err(error) => outcome_of_release(&error),
    });
    Outcome::Done
}

fn outcome_of(error: &LockError) -> Outcome {
    match error {
        LockError::Busy { .. } => Outcome::Busy,
        LockError::Unavailable { .. } => Outcome::Unavailable,
        LockError::Lost { cause, .. } => outcome_of_loss(*cause),
        LockError::RuntimeGone { .. } => Outcome::RuntimeGone,
        _ => Outcome::Other,
    }
}

fn outcome_of_loss(cause: LostCause) -> Outcome {
    match cause {
        LostCause::Expired => Outcome::Expired,
        LostCause::Taken => Outcome::Taken,
        LostCause::MaxHold => Outcome::MaxHold,
        _ => Outcome::Other,
    }
}

fn outcome_of_release(error: &ReleaseError) -> Outcome {
    match error {
        ReleaseError::Lost { cause, .. } => outcome_of_loss(*cause),
        ReleaseError::NotOwner { .. } => Outcome::NotOwner,
        ReleaseError::Unavailable { .. } => Outcome::Unavailable,
        _ => Outcome::Other,
    }
}

/// Between two calls of a task.
pub(super) async fn pace(random: &mut StdRng) {
    sleep(Duration::from_micros(random.random_range(0..25_000))).await;
}
