//! Ends every lease of a manager within a time.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    backend::CloseReply, clock::until, core::Core, key::LockKey, lost_cause::LostCause,
    validity::FAR,
};

/// What came of a drain: see [`LockManager::drain`](crate::LockManager::drain).
///
/// Counts are those since the first drain of the manager began.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockguard::LockError> {
/// let manager = LockManager::memory();
/// let guard = manager.lock("seat:17", Duration::from_secs(2)).acquire().await?;
/// let drained = manager.drain(Duration::from_millis(100)).await;
/// assert_eq!((drained.released(), drained.cancelled()), (1, 0));
/// assert!(drained.is_clean());
/// assert!(guard.check().unwrap_err().is_lost());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    released: usize,
    cancelled: usize,
    left: Vec<LockKey>,
}

impl Drained {
    /// How many leases have been given back, by their owners or by the drain.
    pub fn released(&self) -> usize {
        self.released
    }

    /// How many bodies were dropped part-way, and reported
    /// [`LockError::Lost`](crate::LockError::Lost).
    pub fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// The keys that could not be released, sorted, as the servers store them:
    /// too few servers have said that they are free, or a body that nothing
    /// stops still runs under them.
    ///
    /// They are free by their ttl.
    /// A key that was passed on to a waiter at the moment in which it was told of
    /// the drain, and could not be given back, is not among them.
    pub fn left(&self) -> &[LockKey] {
        &self.left
    }

    /// Whether no body was cancelled and no key is left.
    pub fn is_clean(&self) -> bool {
        self.cancelled == 0 && self.left.is_empty()
    }

    /// The same with what came of another manager's drain.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.released = self.released.saturating_add(other.released);
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.left.extend(other.left);
        self.left.sort_unstable();
        self
    }
}

impl fmt::Display for Drained {
    /// For a log: `2 leases released, 1 body cancelled, left: a, b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count, one, many| if count == 1 { one } else { many };
        let leases = plural(self.released, "lease", "leases");
        let bodies = plural(self.cancelled, "body", "bodies");
        let (released, cancelled) = (self.released, self.cancelled);
        write!(
            f,
            "{released} {leases} released, {cancelled} {bodies} cancelled"
        )?;
        for (nth, key) in self.left.iter().enumerate() {
            write!(f, "{} {key}", if nth == 0 { ", left:" } else { "," })?;
        }
        Ok(())
    }
}

/// The most that is kept back for releases.
///
/// A server has one second to answer; the rest is for bodies that are slow to
/// be dropped.
const MOST_FOR_RELEASES: Duration = Duration::from_secs(2);

/// Ends every lease.
///
/// # Cancel safety
///
/// The manager gives no more leases; those that are held go on, or have been
/// ended, and the drain can be repeated.
pub(crate) async fn drain(core: &Arc<Core>, timeout: Duration) -> Drained {
    let end = Instant::now() + timeout.min(FAR);
    let for_releases = (timeout / 4).min(MOST_FOR_RELEASES);
    core.live.begin_drain();
    let _ = until(end - for_releases, core.live.all_gone()).await;
    end_all(core);
    let flushed = async {
        core.live.all_gone().await;
        core.background.idle().await;
    };
    // A body that nothing stops must not keep connections from being closed.
    let _ = until(end - for_releases / 4, flushed).await;
    if let Some(Ok(CloseReply::Flushed)) = until(end, core.backend.close()).await {
        core.live.all_delivered();
    }
    let (released, cancelled, left) = core.live.account();
    Drained {
        released,
        cancelled,
        left,
    }
}

/// Ends the leases that are still held, and gives back those without a body.
///
/// The lease of a body is given back when the body has been dropped, and not
/// before: nobody else gets in while it runs.
fn end_all(core: &Core) {
    for holding in core.live.leases() {
        let now = Instant::now();
        if holding.lease.ended(now).is_none() {
            holding.lease.lose(LostCause::Drained);
        }
        if holding.leave_if_bare() {
            let _ = holding.lease.end();
            // Dropping a release hands it to the background.
            drop(holding.release(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(keys: &[&str]) -> Drained {
        Drained {
            released: 1,
            cancelled: 2,
            left: keys.iter().map(|key| LockKey::new(key).unwrap()).collect(),
        }
    }

    #[test]
    fn what_several_managers_left_is_listed_together_and_in_order() {
        let both = left(&["b", "d"]).and(left(&["a", "c"]));
        assert_eq!(
            both.to_string(),
            "2 leases released, 4 bodies cancelled, left: a, b, c, d"
        );
        assert!(!Drained::default().and(left(&["a"])).is_clean());
    }
}
