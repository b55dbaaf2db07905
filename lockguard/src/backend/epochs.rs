//! When everything that a lock store has granted is void at once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

/// Counts how often a lock store has lost everything that it had granted.
///
/// A lease ends at once when the epoch ends in which it was asked for.
/// Clones count together.
#[derive(Clone)]
pub struct Epochs(Arc<Inner>);

struct Inner {
    number: AtomicU64,
    /// Told after the number has changed.
    changed: watch::Sender<()>,
}

impl Epochs {
    /// Begins with the first epoch.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            number: AtomicU64::new(0),
            changed: watch::Sender::new(()),
        }))
    }

    /// Ends the epoch: every lease that was asked for before this is void.
    ///
    /// Call it before anything is granted that the store will remember.
    pub fn end(&self) {
        self.0.number.fetch_add(1, Ordering::Release);
        self.0.changed.send_replace(());
    }

    /// The epoch of now.
    pub(crate) fn current(&self) -> Epoch {
        Epoch {
            number: self.number(),
            epochs: self.clone(),
        }
    }

    fn number(&self) -> u64 {
        self.0.number.load(Ordering::Acquire)
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Epochs").field(&self.number()).finish()
    }
}

/// One epoch of a lock store.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    number: u64,
    epochs: Epochs,
}

impl Epoch {
    pub(crate) fn is_over(&self) -> bool {
        self.epochs.number() != self.number
    }

    /// Resolves when the epoch is over.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens when the future is dropped.
    pub(crate) async fn over(&self) {
        // From here on no change is missed.
        let mut changed = self.epochs.0.changed.subscribe();
        while !self.is_over() {
            // The sender is ours: it is never an error.
            let _ = changed.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn an_epoch_is_over_when_the_next_has_begun() {
        let epochs = Epochs::new();
        let first = epochs.current();
        assert!(!first.is_over());
        epochs.clone().end();
        first.over().await;
        assert!(first.is_over() && !epochs.current().is_over());
    }

    #[tokio::test]
    async fn an_epoch_stays_over_whatever_comes_after() {
        let epochs = Epochs::new();
        let first = epochs.current();
        for _ in 0..3 {
            epochs.end();
            assert!(first.is_over());
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_of_an_epoch_is_told() {
        let epochs = Epochs::new();
        let epoch = epochs.current();
        let mut over = Box::pin(epoch.over());
        let waits = poll_fn(|cx| Poll::Ready(over.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        epochs.end();
        timeout(Duration::from_secs(10), over).await.unwrap();
    }
}
