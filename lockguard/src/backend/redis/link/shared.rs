//! The link as its task and those who send by it share it.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use parking_lot::Mutex;

use super::Link;
use crate::backend::redis::command::Command;

/// A link between its task and those who send by it; `None` once the task has
/// ended, or its runtime has.
#[derive(Clone)]
pub(in crate::backend::redis) struct SharedLink(Arc<Mutex<Option<Link>>>);

impl SharedLink {
    pub(in crate::backend::redis) fn none() -> Self {
        Self(Arc::default())
    }

    pub(in crate::backend::redis) fn new(link: Link) -> Self {
        Self(Arc::new(Mutex::new(Some(link))))
    }

    /// Runs the link until it ends.
    pub(in crate::backend::redis) async fn run(self) {
        let ending = EndsLink(self);
        poll_fn(|cx| match &mut *ending.0.0.lock() {
            Some(link) => {
                // What is told goes to subscribers and recorders, which are the
                // user's: a panic of theirs must not end all locking.
                let polled = catch_unwind(AssertUnwindSafe(|| link.poll(cx)));
                polled.unwrap_or_else(|_| link.go_on_after_panic(cx))
            }
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Takes a command in without the task; gives it back where that must not
    /// be.
    pub(in crate::backend::redis) fn send_at_once(&self, command: Command) -> Option<Command> {
        match self.0.try_lock().as_deref_mut() {
            Some(Some(link)) => link.send_at_once(command),
            _ => Some(command),
        }
    }

    /// Whether there is a timer that is to ring.
    #[cfg(test)]
    pub(in crate::backend::redis) fn has_alarm(&self) -> bool {
        let link = self.0.lock();
        link.as_ref().is_some_and(|link| link.alarm.is_some())
    }

    /// How many commands are on their way, and how many wait for others.
    #[cfg(test)]
    pub(in crate::backend::redis) fn load(&self) -> Option<(usize, usize)> {
        let link = self.0.lock();
        let link = link.as_ref()?;
        let under_way = link.under_way();
        Some((under_way, link.queue.len().saturating_sub(under_way)))
    }
}

/// Ends the link with its task.
struct EndsLink(SharedLink);

impl Drop for EndsLink {
    fn drop(&mut self) {
        let link = self.0.0.lock().take();
        drop(link);
    }
}
