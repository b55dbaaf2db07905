//! Tells whoever waits.

use std::sync::OnceLock;

use tokio::sync::{Notify, futures::Notified};

/// Tells whoever waits, and costs next to nothing as long as nobody ever has.
///
/// Nothing is missed where it is rung after a change that was made under a
/// mutex, and whoever listens takes that mutex, and looks, once it is enabled:
/// either it finds the change, or whoever makes it finds the listener.
#[derive(Default)]
pub(crate) struct Bell(OnceLock<Notify>);

impl Bell {
    /// Wakes everybody who listens.
    pub(crate) fn ring(&self) {
        if let Some(listeners) = self.0.get() {
            listeners.notify_waiters();
        }
    }

    /// Resolves at the first ring since it was enabled, or first polled.
    pub(crate) fn listen(&self) -> Notified<'_> {
        self.0.get_or_init(Notify::new).notified()
    }
}
