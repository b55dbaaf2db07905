//! How a link gets its connection, and loses it.

use std::{
    collections::VecDeque,
    mem,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rand::Rng as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Link;
use crate::{
    backend::{
        BoxFuture,
        redis::{
            command::Command,
            connection::{self, Opened, Refused},
            probe::NodeFacts,
            session::Session,
        },
    },
    backoff::growing_pause,
    metrics,
    node_error::NodeError,
    node_status::NodeRole,
};

/// How the last attempt to connect went; `None` before the first has ended.
pub(in crate::backend::redis) type Contact = Option<Result<NodeFacts, NoContact>>;

/// Why there is no connection to a node.
#[derive(Debug, Clone)]
pub(crate) struct NoContact {
    pub(crate) error: NodeError,
    /// Whether it is a server that cannot keep locks, and never will.
    pub(crate) is_for_good: bool,
    /// The node that is the same server, if one is.
    pub(crate) twin: Option<Arc<str>>,
    /// What it said it was.
    pub(crate) role: NodeRole,
}

/// The pauses between attempts to connect to a node that is gone.
pub(super) const RECONNECT_PAUSE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(1);

/// The link's connection.
pub(super) enum Connection {
    Down { since: Instant, next: Next },
    Up(Session),
}

/// What is being done about a connection.
pub(super) enum Next {
    Pause(Pin<Box<Sleep>>),
    Attempt(BoxFuture<'static, Result<Opened, Refused>>),
}

impl Link {
    /// Goes on with making a connection; whether something has changed.
    pub(super) fn reconnect(&mut self, cx: &mut Context<'_>) -> bool {
        let Connection::Down { next, .. } = &mut self.connection else {
            return false;
        };
        match next {
            Next::Pause(pause) => {
                if pause.as_mut().poll(cx).is_pending() {
                    return false;
                }
                let attempt = self.attempt();
                if let Connection::Down { next, .. } = &mut self.connection {
                    *next = attempt;
                }
            }
            Next::Attempt(attempt) => match poll_attempt(attempt, cx) {
                Poll::Pending => return false,
                Poll::Ready(outcome) => {
                    *next = pause_after(self.attempts);
                    match outcome {
                        Ok(opened) => self.come_up_unless_twin(opened),
                        Err(refused) => self.stay_down(self.no_contact(refused)),
                    }
                }
            },
        }
        true
    }

    fn attempt(&mut self) -> Next {
        self.attempts = self.attempts.saturating_add(1);
        let lingering = self.lingering.clone();
        Next::Attempt(Box::pin(connection::open(
            self.address.clone(),
            self.lookup.clone(),
            self.timeouts.connect,
            lingering,
            Arc::clone(&self.pushes),
        )))
    }

    /// Comes up, unless another node of the manager is this very server, whose
    /// vote would count twice.
    fn come_up_unless_twin(&mut self, opened: Opened) {
        let run = opened.facts.run_id.as_deref();
        let now = Instant::now();
        let claim = run.map_or(Ok(()), |run| self.twins.claim(&self.node, run, now));
        let Err(twin) = claim else {
            self.come_up(opened);
            return;
        };
        let reason = format!(
            "this is the same server as {twin}, whose vote would count twice; give it once"
        );
        self.warn_once(&reason);
        self.stay_down(NoContact {
            error: NodeError::new(Arc::clone(&self.node), reason),
            is_for_good: true,
            twin: Some(twin),
            role: opened.facts.role,
        });
    }

    fn no_contact(&self, refused: Refused) -> NoContact {
        let (reason, is_for_good, role) = match refused {
            Refused::ForNow(reason) => (reason, false, NodeRole::Unknown),
            Refused::ByKind(role, reason) => (reason, true, role),
        };
        NoContact {
            error: NodeError::new(Arc::clone(&self.node), reason),
            is_for_good,
            twin: None,
            role,
        }
    }

    fn come_up(&mut self, opened: Opened) {
        let Opened {
            wire,
            facts,
            identity,
        } = opened;
        for warning in facts.warnings() {
            self.warn_once(&warning);
        }
        let now = Instant::now();
        // Before anything is sent to it.
        if self.restarts.connected(facts.run_id.as_deref(), now)
            && let Some(warning) = self.restarts.warning(now)
        {
            tracing::warn!(node = &*self.node, "{warning}");
        }
        let is_told = facts.push_refusal.is_none();
        self.contact.send_replace(Some(Ok(facts)));
        self.lingering = None;
        let channel = is_told.then(|| self.pushes.channel().into());
        let has_others = self.twins.are_several();
        self.connection = Connection::Up(Session::new(wire, identity, channel, has_others));
        self.up_since = now;
        // Before anything else, so that the node keeps nothing of ours.
        let mut queue: VecDeque<_> = self.owed.take().into_iter().map(Command::owed).collect();
        let owes_nothing = queue.is_empty();
        // What has waited for the connection longer than its caller is late.
        let waiting = mem::take(&mut self.queue);
        queue.extend(waiting.into_iter().filter_map(Command::unless_abandoned));
        self.queue = queue;
        if self.bad.is_none() {
            metrics::node_is_up(&self.node);
            self.wake_waiters();
        } else if owes_nothing {
            self.recover();
        }
    }

    fn stay_down(&mut self, no_contact: NoContact) {
        let NoContact {
            error, is_for_good, ..
        } = no_contact.clone();
        self.contact.send_replace(Some(Err(no_contact)));
        if is_for_good && self.bad.is_none() {
            self.turn_bad(error);
        } else if self.bad.is_some() {
            self.bad = Some(error);
        }
    }

    /// The node answers.
    pub(super) fn recover(&mut self) {
        if self.bad.take().is_some() {
            tracing::info!(node = &*self.node, "the node answers again");
            metrics::node_is_up(&self.node);
            self.owed.forget_unsent();
            self.wake_waiters();
        }
    }

    /// Wakes who waits for a message, once there is a connection and they are not
    /// refused.
    fn wake_waiters(&self) {
        if let Connection::Up(session) = &self.connection {
            self.pushes.connected(session.has_channel());
        }
    }

    pub(super) fn warn_once(&mut self, warning: &str) {
        if self.warned.insert(warning.to_owned()) {
            tracing::warn!(node = &*self.node, "{warning}");
        }
    }

    /// Closes the connection, if there is one, and says how many commands were
    /// on their way.
    pub(super) fn close(&mut self) -> usize {
        let Connection::Up(session) = &mut self.connection else {
            return 0;
        };
        let under_way = session.under_way;
        if under_way > 0 {
            self.lingering = session.identity.take();
        }
        // One that lasted was good, though nobody asked anything: servers and what
        // stands before them close connections that are idle.
        if self.up_since.elapsed() >= *RECONNECT_PAUSE.end() {
            self.attempts = 0;
        }
        // At once, where the connection was good for something.
        let next = if self.attempts == 0 {
            self.attempt()
        } else {
            pause_after(self.attempts)
        };
        self.connection = Connection::Down {
            since: Instant::now(),
            next,
        };
        under_way
    }
}

/// Polls an attempt; a panic is a refusal, since what has panicked must not be polled
/// again: the runtime panics where the system has no thread for blocking work.
fn poll_attempt(
    attempt: &mut BoxFuture<'static, Result<Opened, Refused>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Opened, Refused>> {
    let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(cx)));
    polled.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("without words");
        Poll::Ready(Err(Refused::ForNow(format!("a panic: {said}"))))
    })
}

fn pause_after(attempts: u32) -> Next {
    let draw = rand::rng().random();
    let pause = growing_pause(&RECONNECT_PAUSE, attempts.saturating_sub(1), draw);
    Next::Pause(Box::pin(sleep_until(Instant::now() + pause)))
}
