//! From one lease of this process to the next, in one round trip.

use std::{borrow::Cow, sync::Arc};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    backend::{
        AcquireReply, AcquireRequest, BackendError, BoxFuture, ReleaseReply, ReleaseRequest,
    },
    clock::until_unless,
    core::Core,
    grant::{Grant, Undo},
    lease::Since,
    validity::longest_attempt,
};

/// Who has the key next in this process, while one of ours holds it.
///
/// Whoever gives the key back asks for the successor, so that nobody waits for
/// a task that is not polled.
pub(crate) struct Successor {
    core: Arc<Core>,
    request: AcquireRequest,
    grant: oneshot::Sender<Grant<'static>>,
}

impl Successor {
    /// Asks for what is requested, and where the grant will come.
    pub(crate) fn new(
        core: &Arc<Core>,
        request: AcquireRequest,
    ) -> (Self, oneshot::Receiver<Grant<'static>>) {
        let (grant, granted) = oneshot::channel();
        let successor = Self {
            core: Arc::clone(core),
            request,
            grant,
        };
        (successor, granted)
    }

    /// Whether it still waits.
    pub(crate) fn is_there(&self) -> bool {
        !self.grant.is_closed()
    }

    /// Gives the key on to it, or where that cannot be done, to the servers.
    ///
    /// Asked for now, as every release is.
    pub(crate) fn hand_on(
        self,
        mut release: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let core = Arc::clone(&self.core);
        let taken_over = self.take_over(&release);
        Box::pin(async move {
            let taken_over = taken_over.await;
            if taken_over == TakenOver::Yes {
                return Ok(ReleaseReply::Freed);
            }
            // It says why, if the key is not ours; it is asked now, and not before.
            release.asked = None;
            match core.backend.release(release).await {
                Ok(_) if taken_over == TakenOver::Perhaps => Ok(ReleaseReply::Freed),
                reply => reply,
            }
        })
    }

    /// Puts its token in the place of the one that is given back.
    ///
    /// A successor that has gone meanwhile gives the key back.
    fn take_over(self, release: &ReleaseRequest) -> BoxFuture<'static, TakenOver> {
        let Self {
            core,
            request,
            grant,
        } = self;
        let keeps_time = core.backend.keeps_time();
        let longest = longest_attempt(request.ttl);
        let is_fenced = request.fence.is_some();
        let mut undo = Undo::arm(
            Cow::Owned(Arc::clone(&core)),
            Cow::Owned(request.keys.clone()),
            request.token.clone(),
            request.ttl,
        );
        let epoch = core.epoch();
        // The lease counts from here, before the first byte is sent.
        let since = Since::asked(Instant::now(), epoch);
        let replacing = request.replacing(release.token.clone());
        let acquire = core.backend.acquire(replacing);
        Box::pin(async move {
            let deadline = || since.asked + longest;
            let fencing_token = match until_unless(keeps_time, deadline, acquire).await {
                // Nobody knows on which side of a restart it was granted.
                Some(Ok(_)) if since.is_over() => {
                    return TakenOver::Perhaps;
                }
                Some(Ok(AcquireReply::Granted)) if !is_fenced => None,
                Some(Ok(AcquireReply::GrantedWith(token))) if is_fenced => Some(token),
                Some(Ok(AcquireReply::Busy(_) | AcquireReply::Split)) => {
                    undo.disarm();
                    return TakenOver::No;
                }
                _ => return TakenOver::Perhaps,
            };
            // Where it has gone, this gives the key back.
            let granted = Grant::new(undo, since, fencing_token, true);
            drop(grant.send(granted));
            TakenOver::Yes
        })
    }
}

/// Whether a successor holds the key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TakenOver {
    Yes,
    No,
    /// It is given back in its name, whatever there is of it.
    Perhaps,
}
