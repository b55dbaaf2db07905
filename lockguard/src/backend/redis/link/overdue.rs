//! When a link's node, or an answer of it, is overdue.

use std::{mem, pin::Pin, sync::Arc, task::Context, time::Duration};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Link, connecting::Connection};
use crate::{backend::redis::command::Command, node_error::NodeError};

/// Between finding a command or its caller's time overdue and believing it.
///
/// A program that was stopped, or whose threads were all blocked, finds every
/// command overdue when it goes on, with the replies still unread.
pub(super) const SECOND_LOOK: Duration = Duration::from_millis(20);

/// An alarm that rings so late says that the program stood still.
const LATE: Duration = Duration::from_millis(5);

impl Link {
    /// Whether the alarm rings before this command's caller has to be told that
    /// there is no answer, and before the node can be overdue with it.
    pub(super) fn rings_in_time_for(&self, command: &Command) -> bool {
        let (Some(alarm), Some(limit)) = (&self.alarm, command.limit) else {
            return false;
        };
        alarm.deadline() <= limit.end_within(self.timeouts.response)
    }

    /// Whether the alarm is to ring, or to be set.
    pub(super) fn is_to_look_at_the_time(&self) -> bool {
        let rings = |alarm: &Pin<Box<Sleep>>| alarm.deadline() <= Instant::now();
        self.alarm.as_ref().is_none_or(rings)
    }

    /// Tells callers whose time is over, and gives the node up if it has kept
    /// us waiting for too long; whether it was.
    pub(super) fn look_at_the_time(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let overdue = |since| self.second_look.unwrap_or(since + self.timeouts.response);
            let overdue = self.waiting_since().map(overdue);
            let Some(next) = overdue.into_iter().chain(self.due).min() else {
                // One that has rung would wake nobody again.
                self.alarm
                    .take_if(|alarm| alarm.as_mut().poll(cx).is_ready());
                return false;
            };
            let alarm = match &mut self.alarm {
                Some(alarm) => alarm,
                none => none.insert(Box::pin(sleep_until(next))),
            };
            if next < alarm.deadline() {
                alarm.as_mut().reset(next);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.alarm = None;
            let now = Instant::now();
            self.tell_those_due(now);
            if self.is_overdue(now) {
                return true;
            }
        }
    }

    /// Tells those whose time is over that the node has not answered yet.
    fn tell_those_due(&mut self, now: Instant) {
        let Some(due) = self.due.filter(|due| *due <= now) else {
            return;
        };
        // What it stood still with is not sent, or its answer not read. Once: on a busy
        // machine the next look may be late as well.
        let is_first_look = !mem::replace(&mut self.is_second_look, false);
        if is_first_look && now > due + LATE {
            self.is_second_look = true;
            self.due = Some(now + SECOND_LOOK);
            return;
        }
        let why = match &self.connection {
            Connection::Down { since, .. } => {
                Some(self.overdue(now.saturating_duration_since(*since)))
            }
            Connection::Up(_) => None,
        };
        let node = &self.node;
        let waiting = self.queue.iter_mut().filter_map(|command| {
            let due = command.due()?;
            if now < due {
                return Some(due);
            }
            command.keep_waiting_no_longer(node, why.as_ref());
            None
        });
        self.due = waiting.min();
    }

    /// Gives the node up if it is overdue at a second look; whether it was.
    fn is_overdue(&mut self, now: Instant) -> bool {
        let since = self.waiting_since();
        let Some(since) = since.filter(|since| now >= *since + self.timeouts.response) else {
            self.second_look = None;
            return false;
        };
        match self.second_look {
            None => {
                self.second_look = Some(now + SECOND_LOOK);
                false
            }
            Some(look) if now < look => false,
            Some(_) => {
                self.second_look = None;
                self.turn_bad(self.overdue(now - since));
                true
            }
        }
    }

    /// Since when the node has kept us waiting, if it has.
    fn waiting_since(&self) -> Option<Instant> {
        match &self.connection {
            Connection::Down { since, .. } => self.bad.is_none().then_some(*since),
            Connection::Up(session) if session.under_way == 0 => None,
            Connection::Up(_) => self.queue.front().and_then(|oldest| oldest.sent),
        }
    }

    fn overdue(&self, waited: Duration) -> NodeError {
        let reason = match (&self.connection, &*self.contact.borrow()) {
            (Connection::Down { .. }, Some(Err(none))) => none.error.reason().to_owned(),
            (Connection::Down { .. }, _) => format!("no connection for {waited:.1?}"),
            (Connection::Up(_), _) => format!("no answer for {waited:.1?}"),
        };
        NodeError::new(Arc::clone(&self.node), reason)
    }
}
