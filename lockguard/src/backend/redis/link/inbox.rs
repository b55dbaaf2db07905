//! What a link is told that its task has not taken in yet.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use parking_lot::Mutex;

use super::{MOST_UNANSWERED, Message};

/// A way to tell a link something: a message takes one lock, and those that have come
/// are taken in by one.
pub(in crate::backend::redis) fn inbox() -> (Inlet, Inbox) {
    let inbox = Arc::<Shared>::default();
    (Inlet(Arc::new(Closing(Arc::clone(&inbox)))), Inbox(inbox))
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Whether a message waits, or none can come any more; written under the lock.
    has_news: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    is_closed: bool,
    /// Wakes the link's task; `None` before it has looked here.
    waker: Option<Waker>,
}

impl Shared {
    /// Lets nothing in any more.
    fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        self.has_news.store(true, Ordering::Release);
        let waker = waiting.waker.clone();
        // Some executors poll what they wake at once.
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Where a link is told something; the last clone closes it.
#[derive(Clone)]
pub(in crate::backend::redis) struct Inlet(Arc<Closing>);

struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::redis) enum NotTaken {
    /// Too many wait for the task.
    Full,
    Closed,
}

impl Inlet {
    /// Puts a message behind those before it.
    pub(in crate::backend::redis) fn put(&self, message: Message) -> Result<(), NotTaken> {
        let Shared { waiting, has_news } = &*self.0.0;
        let mut waiting = waiting.lock();
        if waiting.is_closed {
            return Err(NotTaken::Closed);
        }
        if waiting.messages.len() >= MOST_UNANSWERED && message.is_refusable() {
            return Err(NotTaken::Full);
        }
        // Where others wait before it, the task has been woken for them.
        let is_first = waiting.messages.is_empty();
        let waker = is_first.then(|| waiting.waker.clone()).flatten();
        waiting.messages.push_back(message);
        has_news.store(true, Ordering::Release);
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

/// The link's side.
pub(in crate::backend::redis) struct Inbox(Arc<Shared>);

impl Inbox {
    /// Swaps what has come for `room`, which is empty; whether nothing will come any
    /// more, for which the task is woken otherwise.
    pub(super) fn take(&self, room: &mut VecDeque<Message>, cx: &Context<'_>) -> bool {
        let mut waiting = self.0.waiting.lock();
        mem::swap(&mut waiting.messages, room);
        match &mut waiting.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.0.has_news.store(waiting.is_closed, Ordering::Release);
        waiting.is_closed
    }

    /// Whether a message waits, or none can come any more.
    ///
    /// Whoever has put one there sees it.
    pub(super) fn has_news(&self) -> bool {
        self.0.has_news.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
        // Whoever waits for an answer is told that there is none, and may look here.
        let mut waiting = self.0.waiting.lock();
        let gone = (mem::take(&mut waiting.messages), waiting.waker.take());
        drop(waiting);
        drop(gone);
    }
}
