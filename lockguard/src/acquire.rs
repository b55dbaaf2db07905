//! From a request to a lease, with nothing left behind.

use std::{pin::pin, sync::Arc, time::Duration};

use crate::{
    contest::contest,
    core::Core,
    current::held_in_this_task,
    grant::Grant,
    guard::LockGuard,
    holding::Holding,
    keys::LockKeys,
    lease::Lease,
    lock_error::LockError,
    observe::Acquiring,
    point::Point,
    queue::Places,
    retry::Patience,
    terms::{Terms, check_ttl},
};

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
    pub(crate) fn may_wait(&self) -> bool {
        match self.patience {
            Patience::Wait(wait) => !wait.is_zero(),
            Patience::Tries { tries, .. } => tries > 1,
        }
    }
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
        let mut places = Places::none();
        let Grant {
            undo,
            since,
            fencing_token,
            had_to_wait,
            candidate,
        } = take(&core, &want, &mut places).await?;
        // What gives the keys back borrows what the lease takes; from here on nothing
        // can fail, and nothing of anybody else's runs, until the guard gives them back.
        let token = undo.into_token();
        places.hold(&token, since.asked, want.ttl);
        let lease = Lease::new(
            want.keys,
            fencing_token,
            want.point,
            since,
            want.ttl,
            want.terms.max_hold,
        );
        let holding = Holding::new(
            core,
            lease,
            token,
            want.ttl,
            want.terms,
            places,
            had_to_wait,
        );
        let entered = LockGuard::enter(holding);
        // One that is refused gives them back at once; a drain waits until then.
        let guard = entered.map_err(|refused| LockError::draining(refused.key()));
        drop(candidate);
        guard
    }
}

/// Takes the keys, or says why not; the places are those that it had to take.
///
/// # Cancel safety
///
/// Dropped at any await, the future leaves the line, and what a server may
/// have granted is given back in the background.
pub(crate) async fn take<'a>(
    core: &'a Arc<Core>,
    want: &'a Want,
    places: &'a mut Places,
) -> Result<Grant<'a>, LockError> {
    let acquiring = Acquiring::begin(want);
    let contest = pin!(contend(core, want, places));
    let result = acquiring.watch(contest).await;
    acquiring.end(&result);
    result
}

/// See [`take`].
async fn contend<'a>(
    core: &'a Arc<Core>,
    want: &'a Want,
    places: &'a mut Places,
) -> Result<Grant<'a>, LockError> {
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
