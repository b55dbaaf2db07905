//! The task that owns the connection to a node.

mod connecting;
mod inbox;
mod overdue;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use redis::{RedisResult, Value};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, Sleep},
};

pub(crate) use self::connecting::NoContact;
pub(super) use self::{
    connecting::Contact,
    inbox::{Inlet, NotTaken, inbox},
    shared::SharedLink,
};
use self::{
    connecting::{Connection, Next},
    inbox::Inbox,
};
use super::{
    Timeouts,
    address::Address,
    command::{Command, Task},
    connection::{self, Identity},
    failure,
    lookup::Lookup,
    owed::Owed,
    push::Pushes,
    reply::{is_noscript, release_replies},
    restarts::Restarts,
    session::MOST_UNDER_WAY,
    twins::Twins,
};
use crate::{
    backend::{AcquireRequest, CloseReply},
    metrics,
    node_error::NodeError,
};

/// The most commands that wait for an answer, and the most that wait for the
/// task to take them in, but for releases; more are refused.
pub(super) const MOST_UNANSWERED: usize = 1 << 15;

pub(super) const TOO_MANY: &str = "too many commands are waiting for it";

/// For how many messages room is kept from one look into the inbox to the next, as
/// many as are put there meanwhile where some hundred tasks ask.
const ROOM_KEPT: usize = 64;

/// For how many commands the queue keeps room while none is in it: a node that
/// was slow for a moment has had hundreds, and those of five would keep a quarter of
/// a mebibyte.
const QUEUE_KEPT: usize = 32;

/// How many commands a release overtakes at the most, to go out with others: few
/// enough that to find its place costs its caller little.
const MOST_OVERTAKEN: usize = 16;

/// How many rounds a poll makes at the most: neither connections that break again
/// and again nor a server that sends without end may keep the link from looking
/// at the clock, or other tasks from running.
const PASSES: usize = 8;

/// How many messages a round takes in at the most: so many that a reply behind
/// them seldom waits for another turn of the runtime.
const MOST_UNASKED: usize = 4096;

/// More than anybody waits, and little enough to be added to any instant.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The task that owns the connection to a node.
///
/// Commands leave in the order in which they were asked, but for releases that go
/// out with others, on one connection at a time; a successor is opened when the
/// one before is closed.
///
/// The node turns bad when it has owed the answer to a command that was sent,
/// or has been without a connection, for longer than the response timeout.
/// How long commands have waited to be sent says nothing about the node.
/// While it is bad, commands are answered at once, and releases are owed: they
/// are the first that is sent when it is back, and their answers end it.
pub(super) struct Link {
    node: Arc<str>,
    address: Address,
    lookup: Lookup,
    timeouts: Timeouts,
    inbox: Inbox,
    contact: watch::Sender<Contact>,
    /// Kept for its room.
    arrived: VecDeque<Message>,
    /// Asked and not answered: those that are on their way, in the order in which the
    /// server answers, then those that are not sent, in the order in which they will
    /// be.
    queue: VecDeque<Command>,
    owed: Owed,
    connection: Connection,
    /// Why the node is bad, if it is.
    bad: Option<NodeError>,
    /// Rings when the node may be overdue, or a caller be told that it does not
    /// answer; sometimes too soon.
    alarm: Option<Pin<Box<Sleep>>>,
    /// When the first caller is to be told that there is no answer, or before.
    due: Option<Instant>,
    /// Whether those who are due are told at the next look, however late it is.
    is_second_look: bool,
    /// When a node that was found overdue is looked at again.
    second_look: Option<Instant>,
    /// Attempts to connect since the node last answered a command, or kept a
    /// connection for long.
    attempts: u32,
    /// When the last connection was made.
    up_since: Instant,
    /// The connection before, if something of it may still be at the server.
    lingering: Option<Identity>,
    pushes: Arc<Pushes>,
    /// What was warned of, each once.
    warned: HashSet<String>,
    restarts: Arc<Restarts>,
    twins: Twins,
    /// Every `RedisNode` is gone, or one was closed: nothing comes in any more.
    is_closing: bool,
    /// Who waits until the node is owed nothing.
    waiting: Vec<oneshot::Sender<CloseReply>>,
    /// Wakes the task; `None` before its first poll.
    waker: Option<Waker>,
}

/// What a link is told.
#[expect(clippy::large_enum_variant, reason = "nearly every one is a command")]
pub(super) enum Message {
    Command(Command),
    /// Take nothing in any more, and tell when the node is owed nothing; the
    /// connection is closed then, or when nobody waits for it any more.
    Close(oneshot::Sender<CloseReply>),
}

impl Message {
    /// Whether it is refused where many are waiting.
    fn is_refusable(&self) -> bool {
        match self {
            Self::Command(command) => command.is_refusable(),
            Self::Close(_) => false,
        }
    }
}

impl Link {
    pub(super) fn new(
        address: Address,
        timeouts: Timeouts,
        inbox: Inbox,
        contact: watch::Sender<Contact>,
        pushes: Arc<Pushes>,
        restarts: Arc<Restarts>,
        twins: Twins,
    ) -> Self {
        let timeouts = Timeouts {
            connect: timeouts.connect.min(LONGEST_TIMEOUT),
            response: timeouts.response.min(LONGEST_TIMEOUT),
        };
        let lookup = Lookup::default();
        let attempt = connection::open(
            address.clone(),
            lookup.clone(),
            timeouts.connect,
            None,
            Arc::clone(&pushes),
        );
        Self {
            node: Arc::clone(address.name()),
            timeouts,
            inbox,
            contact,
            arrived: VecDeque::new(),
            queue: VecDeque::new(),
            owed: Owed::to(Arc::clone(address.name())),
            address,
            lookup,
            connection: Connection::Down {
                since: Instant::now(),
                next: Next::Attempt(Box::pin(attempt)),
            },
            bad: None,
            alarm: None,
            due: None,
            is_second_look: false,
            second_look: None,
            attempts: 1,
            up_since: Instant::now(),
            lingering: None,
            pushes,
            warned: HashSet::new(),
            restarts,
            twins,
            is_closing: false,
            waiting: Vec::new(),
            waker: None,
        }
    }

    /// Runs until every `RedisNode` is gone, or one was closed, and every
    /// command answered.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let most = match &mut self.connection {
            Connection::Down { .. } => MOST_UNDER_WAY,
            Connection::Up(session) => session.begin_poll(),
        };
        let mut replies = 0;
        let is_over = self.advance(&mut replies, most, cx);
        if let Connection::Up(session) = &mut self.connection
            && is_over.is_pending()
        {
            session.end_poll(replies, cx);
        }
        is_over
    }

    /// Goes on until nothing is to be done, or as many replies have been taken in
    /// as are allowed.
    fn advance(&mut self, replies: &mut usize, mut most: usize, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..PASSES {
            self.receive(cx);
            let has_moved = match self.connection {
                Connection::Down { .. } => self.reconnect(cx),
                Connection::Up(_) => self.serve(replies, most, cx),
            };
            if *replies >= most && matches!(self.connection, Connection::Up(_)) {
                if !self.is_to_look_at_the_time() {
                    return Poll::Pending;
                }
                // Nobody is told that there is no answer while one is unread.
                most = most.saturating_add(MOST_UNDER_WAY);
                continue;
            }
            if has_moved || self.look_at_the_time(cx) {
                continue;
            }
            let is_idle = self.queue.is_empty();
            if is_idle {
                self.queue.shrink_to(QUEUE_KEPT);
            }
            return if self.is_closing && is_idle && !self.is_waited_for(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        self.look_at_the_time(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Puts a command behind those that are asked already, and sends it where
    /// that is worth a system call; where the task must take it in, gives it
    /// back.
    ///
    /// Commands mostly come one at a time, and waking the task for one costs more
    /// than sending it here.
    /// Where no alarm would ring in time for it, the task is needed to set one.
    fn send_at_once(&mut self, command: Command) -> Option<Command> {
        let is_next = self.arrived.is_empty() && !self.inbox.has_news();
        let is_well = self.bad.is_none() && self.rings_in_time_for(&command);
        let (Connection::Up(session), Some(waker), true) =
            (&self.connection, &self.waker, is_next && is_well)
        else {
            return Some(command);
        };
        let unsent = self.queue.len().saturating_sub(session.under_way);
        let is_worth_it = session.is_worth_sending(unsent.saturating_add(1));
        // Where others wait before it, the task has been woken for them.
        let waker = (is_worth_it || unsent == 0).then(|| waker.clone());
        self.take_in(command);
        if let Some(waker) = waker {
            // A connection that is broken is replaced on the task's runtime.
            let is_for_the_task =
                !is_worth_it || self.write(&mut Context::from_waker(&waker)).is_err();
            if is_for_the_task {
                waker.wake();
            }
        }
        None
    }

    /// Takes in what was asked.
    fn receive(&mut self, cx: &mut Context<'_>) {
        // What a panic has left.
        self.admit_arrived();
        if !self.is_closing {
            self.is_closing = self.inbox.take(&mut self.arrived, cx);
            self.admit_arrived();
            self.arrived.shrink_to(ROOM_KEPT);
        }
    }

    fn admit_arrived(&mut self) {
        while let Some(message) = self.arrived.pop_front() {
            match message {
                Message::Command(command) => self.admit(command),
                Message::Close(waiting) => {
                    self.waiting.push(waiting);
                    self.inbox.close();
                }
            }
        }
    }

    fn admit(&mut self, command: Command) {
        // The first answer of a node that is back is still out.
        let is_back = matches!(self.connection, Connection::Up(_)) && command.is_debt();
        match &self.bad {
            Some(reason) if !is_back => refuse(command, reason, &mut self.owed),
            _ => self.take_in(command),
        }
    }

    fn take_in(&mut self, command: Command) {
        if self.queue.len() >= MOST_UNANSWERED && command.is_refusable() {
            command.fail(&NodeError::new(Arc::clone(&self.node), TOO_MANY));
            return;
        }
        self.due = self.due.into_iter().chain(command.due()).min();
        match self.place_among_releases(&command) {
            Some(place) => self.queue.insert(place, command),
            None => self.queue.push_back(command),
        }
    }

    /// Where a release goes out with others that wait to be sent, if they are near;
    /// it overtakes what does not mind.
    fn place_among_releases(&self, command: &Command) -> Option<usize> {
        let token = &command.as_plain_release()?.token;
        let unsent = self.queue.range(self.under_way()..).rev();
        for (nth, before) in unsent.take(MOST_OVERTAKEN + 1).enumerate() {
            if before.as_plain_release().is_some() {
                return Some(self.queue.len() - nth);
            }
            if !before.may_be_overtaken_by(token) {
                return None;
            }
        }
        None
    }

    /// Sends what waits and takes in what has come, until the replies are so many;
    /// whether something has changed.
    fn serve(&mut self, replies: &mut usize, most: usize, cx: &mut Context<'_>) -> bool {
        let written = self.write(cx);
        let mut has_moved = written.is_err();
        if let Err(error) = written {
            self.break_off(failure::of_connection(&error));
        }
        // Asked again, in their order, before whatever waits.
        let mut again = Vec::new();
        let mut unasked = 0_usize;
        while let Connection::Up(session) = &mut self.connection
            && *replies < most
            && unasked < MOST_UNASKED
            && let Poll::Ready(reply) = session.wire.poll_next(cx)
        {
            has_moved = true;
            match reply {
                Ok(Value::Push { kind, data }) => {
                    unasked = unasked.saturating_add(1);
                    self.pushes.receive(&kind, &data);
                }
                Ok(reply) => {
                    *replies = replies.saturating_add(self.answer_all(reply, &mut again));
                }
                Err(error) => self.break_off(failure::of_connection(&error)),
            }
        }
        let under_way = self.under_way();
        for command in again.into_iter().rev() {
            match (&self.connection, &self.bad) {
                (Connection::Down { .. }, Some(reason)) => refuse(command, reason, &mut self.owed),
                _ => self.queue.insert(under_way, command),
            }
        }
        has_moved
    }

    /// Sends what waits; what the node is not to be asked now is answered
    /// instead.
    ///
    /// # Errors
    ///
    /// The connection is broken, which the next to write finds, too.
    fn write(&mut self, cx: &mut Context<'_>) -> RedisResult<()> {
        let Connection::Up(session) = &mut self.connection else {
            return Ok(());
        };
        let is_kept_out = |command: &Command| {
            let request = command.as_acquire()?;
            let is_fenced = request.fence.is_some();
            let reason = self.restarts.refusal_now(is_fenced)?;
            Some(NodeError::new(Arc::clone(&self.node), reason))
        };
        if session.is_time_to_send(self.queue.len(), cx) {
            session.send(&mut self.queue, is_kept_out);
        }
        session.wire.flush(cx)
    }

    /// Takes in a reply, to one command or to several that were one call; how many it
    /// answers. What is to be asked next goes to `again`.
    fn answer_all(&mut self, reply: Value, again: &mut Vec<Command>) -> usize {
        let followers = self.queue.front().map_or(0, |command| command.followers);
        if followers == 0 {
            again.extend(self.answer(reply));
            return 1;
        }
        let together = followers + 1;
        if let Connection::Up(session) = &mut self.connection
            && let Some(under_way) = session.under_way.checked_sub(together)
            && matches!(reply, Value::ServerError(_))
            && !is_noscript(&reply)
        {
            // It may be for one key of the call that the user has no right to, say, and
            // is not said for which: each is asked alone, and has its own answer.
            session.joins_releases = false;
            session.under_way = under_way;
            again.extend(self.queue.drain(..together));
            return together;
        }
        for reply in release_replies(reply, together) {
            again.extend(self.answer(reply));
        }
        together
    }

    /// Takes in the reply to the oldest command that is on its way; gives back
    /// what is to be asked next.
    fn answer(&mut self, reply: Value) -> Option<Command> {
        let Connection::Up(session) = &mut self.connection else {
            return None;
        };
        let still_under_way = session.under_way.checked_sub(1);
        let answered = still_under_way.and_then(|under_way| {
            session.under_way = under_way;
            self.queue.pop_front()
        });
        let Some(command) = answered else {
            self.break_off("a reply that nobody asked for".to_owned());
            return None;
        };
        // Whoever may not look can still lock.
        if !matches!(command.task, Task::Look { .. }) {
            for missing in failure::missing_rights(&reply) {
                self.lacks(missing);
            }
        }
        if let Some(reason) = command.unfit(&reply) {
            // Connected anew, it says what it is, and is sent what it is owed.
            let error = NodeError::new(Arc::clone(&self.node), reason);
            if let Some(debt) = command.fail_by(&reply, &error) {
                self.owed.push(debt);
            }
            self.turn_bad(error);
            return None;
        }
        let again = command.accept(reply, &self.node);
        self.attempts = 0;
        self.recover();
        again
    }

    /// Notes that we lack a right at the server.
    fn lacks(&mut self, right: String) {
        self.warn_once(&right);
        self.contact.send_modify(|contact| {
            if let Some(Ok(facts)) = contact
                && !facts.missing_rights.contains(&right)
            {
                facts.missing_rights.push(right);
            }
        });
    }

    /// The connection is broken: what was on its way goes out on the next.
    fn break_off(&mut self, reason: String) {
        let error = NodeError::new(Arc::clone(&self.node), reason);
        if self.bad.is_some() {
            self.turn_bad(error);
            return;
        }
        tracing::debug!(
            node = &*self.node,
            reason = error.reason(),
            "connection lost"
        );
        self.start_over(&error);
    }

    /// Sends what was on its way once more, on the next connection.
    fn start_over(&mut self, error: &NodeError) {
        let under_way = self.close();
        let unsent = self.queue.split_off(under_way);
        for command in mem::replace(&mut self.queue, unsent).into_iter().rev() {
            if command.is_worn_out() && !command.is_abandoned() {
                if let Some(debt) = command.fail(error) {
                    self.queue.push_front(Command::owed(debt));
                }
                continue;
            }
            if let Some(mut command) = command.unless_abandoned() {
                let before = command.repeat();
                self.queue.push_front(command);
                if let Some(before) = before {
                    self.queue.push_front(before);
                }
            }
        }
    }

    /// Gives the node up until it answers again.
    fn turn_bad(&mut self, error: NodeError) {
        if self.bad.is_none() {
            tracing::warn!(
                node = &*self.node,
                reason = error.reason(),
                "the node does not answer; going on without it"
            );
            metrics::node_is_down(&self.node);
        }
        self.close();
        for command in mem::take(&mut self.queue) {
            refuse(command, &error, &mut self.owed);
        }
        self.bad = Some(error);
    }

    /// Goes on after a panic as after a connection that broke.
    fn go_on_after_panic(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.start_over(&NodeError::new(Arc::clone(&self.node), "a panic"));
        // What panics when it is told that the node is bad is told less often.
        if let Connection::Down { since, .. } = &mut self.connection {
            *since = Instant::now();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// How many commands are on their way.
    fn under_way(&self) -> usize {
        match &self.connection {
            Connection::Down { .. } => 0,
            Connection::Up(session) => session.under_way,
        }
    }

    /// Whether the node is owed something, and somebody waits until it is back;
    /// if it is owed nothing, they are told.
    fn is_waited_for(&mut self, cx: &mut Context<'_>) -> bool {
        if self.owed.is_empty() {
            let closed = if self.owed.has_forgotten() {
                CloseReply::Closed
            } else {
                CloseReply::Flushed
            };
            for waiting in self.waiting.drain(..) {
                let _ = waiting.send(closed);
            }
        }
        self.waiting
            .retain_mut(|waiting| waiting.poll_closed(cx).is_pending());
        !self.waiting.is_empty()
    }
}

/// Answers a command that the node will not get.
fn refuse(command: Command, error: &NodeError, owed: &mut Owed) {
    // The node has granted what it is asked to raise.
    let is_raise = |request: &AcquireRequest| request.fence.is_some_and(|fence| fence.is_raise);
    match &command.task {
        _ if command.sent.is_some() => {}
        Task::Acquire { request, .. } if !is_raise(request) => owed.acquire_unsent(request),
        Task::Extend { requests, .. } if !command.is_debt() => owed.extend_unsent(requests),
        _ => {}
    }
    if let Some(debt) = command.fail(error) {
        owed.push(debt);
    }
}
