//! The task that owns the connection to a node.

use std::{
    collections::{HashSet, VecDeque},
    future::poll_fn,
    mem,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use rand::Rng as _;
use redis::{RedisResult, Value};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Timeouts, Unseen,
    address::Address,
    command::{Command, Task},
    connection::{self, Identity, Opened, Refused},
    failure,
    owed::Owed,
    probe::NodeFacts,
    push::Pushes,
    restarts::Restarts,
    session::{MOST_UNDER_WAY, Session},
    twins::Twins,
};
use crate::{
    backend::{AcquireRequest, BoxFuture, CloseReply},
    backoff::growing_pause,
    error::NodeError,
    metrics,
    node_status::NodeRole,
};

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

/// How the last attempt to connect went; `None` before the first has ended.
pub(super) type Contact = Option<Result<NodeFacts, NoContact>>;

/// The most commands that wait for an answer, and the most that wait for the
/// task to take them in, but for releases; more are refused.
pub(super) const MOST_UNANSWERED: usize = 1 << 15;

pub(super) const TOO_MANY: &str = "too many commands are waiting for it";

/// How often a poll goes through what there is to do: connections that come and
/// break, and a server that sends without end where the clock is to be looked
/// at, must keep the link neither from that nor from other tasks.
const PASSES: usize = 8;

/// How many messages are taken in at once beside the replies, which are not to
/// wait behind them for a turn of the runtime after every few.
const MOST_UNASKED: usize = 4096;

/// The pauses between attempts to connect to a node that is gone.
const RECONNECT_PAUSE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(1);

/// More than anybody waits, and little enough to be added to any instant.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Between finding a command overdue and believing it.
///
/// A program that was stopped, or whose threads were all blocked, finds every
/// command overdue when it goes on, with the replies still unread.
const SECOND_LOOK: Duration = Duration::from_millis(20);

/// The task that owns the connection to a node.
///
/// Commands leave in the order in which they were asked, on one connection at
/// a time; a successor is opened when the one before is closed.
///
/// The node turns bad when it has owed the answer to a command that was sent,
/// or has been without a connection, for longer than the response timeout.
/// How long commands have waited to be sent says nothing about the node.
/// While it is bad, commands are answered at once, and releases are owed: they
/// are the first that is sent when it is back, and their answers end it.
pub(super) struct Link {
    node: Arc<str>,
    address: Address,
    timeouts: Timeouts,
    inbox: mpsc::UnboundedReceiver<Message>,
    contact: watch::Sender<Contact>,
    /// Asked and not answered, oldest first: those that are on their way, in the
    /// order in which the server answers, then those that are not sent.
    queue: VecDeque<Command>,
    owed: Owed,
    line: Line,
    /// Why the node is bad, if it is.
    bad: Option<NodeError>,
    /// Rings when the node may be overdue, or a caller be told that it does not
    /// answer; sometimes too soon.
    alarm: Option<Pin<Box<Sleep>>>,
    /// When the first caller is to be told, or before.
    due: Option<Instant>,
    /// When an overdue node is believed to be so.
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

/// A link between its task and those who send by it; `None` once the task has
/// ended, or its runtime has.
#[derive(Clone)]
pub(super) struct SharedLink(Arc<Mutex<Option<Link>>>);

impl SharedLink {
    pub(super) fn none() -> Self {
        Self(Arc::default())
    }

    pub(super) fn new(link: Link) -> Self {
        Self(Arc::new(Mutex::new(Some(link))))
    }

    /// Runs the link until it ends.
    pub(super) async fn run(self) {
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
    pub(super) fn send_at_once(&self, command: Command) -> Option<Command> {
        match self.0.try_lock().as_deref_mut() {
            Some(Some(link)) => link.send_at_once(command),
            _ => Some(command),
        }
    }

    /// Whether there is a timer that is to ring.
    #[cfg(test)]
    pub(super) fn has_alarm(&self) -> bool {
        let link = self.0.lock();
        link.as_ref().is_some_and(|link| link.alarm.is_some())
    }

    /// How many commands are on their way, and how many wait for others.
    #[cfg(test)]
    pub(super) fn load(&self) -> Option<(usize, usize)> {
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

/// What a link is told.
#[expect(clippy::large_enum_variant, reason = "nearly every one is a command")]
pub(super) enum Message {
    Command(Command, Option<Unseen>),
    /// Take nothing in any more, and tell when the node is owed nothing; the
    /// connection is closed then, or when nobody waits for it any more.
    Close(oneshot::Sender<CloseReply>),
}

/// The connection, or what is being done about one.
enum Line {
    Down { since: Instant, next: Next },
    Up(Session),
}

/// What is being done about a connection.
enum Next {
    Pause(Pin<Box<Sleep>>),
    Attempt(BoxFuture<'static, Result<Opened, Refused>>),
}

impl Link {
    pub(super) fn new(
        address: Address,
        timeouts: Timeouts,
        inbox: mpsc::UnboundedReceiver<Message>,
        contact: watch::Sender<Contact>,
        pushes: Arc<Pushes>,
        restarts: Arc<Restarts>,
        twins: Twins,
    ) -> Self {
        let timeouts = Timeouts {
            connect: timeouts.connect.min(LONGEST_TIMEOUT),
            response: timeouts.response.min(LONGEST_TIMEOUT),
        };
        let attempt =
            connection::open(address.clone(), timeouts.connect, None, Arc::clone(&pushes));
        Self {
            node: Arc::clone(address.name()),
            timeouts,
            inbox,
            contact,
            queue: VecDeque::new(),
            owed: Owed::to(Arc::clone(address.name())),
            address,
            line: Line::Down {
                since: Instant::now(),
                next: Next::Attempt(Box::pin(attempt)),
            },
            bad: None,
            alarm: None,
            due: None,
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
        let most = match &mut self.line {
            Line::Down { .. } => MOST_UNDER_WAY,
            Line::Up(session) => session.begin_poll(),
        };
        let mut replies = 0;
        let is_over = self.advance(&mut replies, most, cx);
        if let Line::Up(session) = &mut self.line
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
            let has_moved = match self.line {
                Line::Down { .. } => self.reconnect(cx),
                Line::Up(_) => self.serve(replies, most, cx),
            };
            if *replies >= most && matches!(self.line, Line::Up(_)) {
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
    /// One at a time is asked for most often, and to wake the task for each
    /// costs more than it does.
    /// Without an alarm that rings in time the command goes to the task, which
    /// sets it.
    fn send_at_once(&mut self, command: Command) -> Option<Command> {
        let is_next = self.inbox.is_empty() && !self.inbox.is_closed();
        let is_well = self.bad.is_none() && self.rings_in_time_for(&command);
        let (Line::Up(session), Some(waker), true) = (&self.line, &self.waker, is_next && is_well)
        else {
            return Some(command);
        };
        let unsent = self.queue.len().saturating_sub(session.under_way);
        let is_worth_it = session.is_worth_sending(unsent.saturating_add(1));
        let waker = waker.clone();
        self.take_in(command);
        let is_for_the_task = if is_worth_it {
            // A connection that is broken is replaced on the task's runtime.
            self.write(&mut Context::from_waker(&waker)).is_err()
        } else {
            // Where others wait before it, the task has been woken for them.
            unsent == 0
        };
        if is_for_the_task {
            waker.wake();
        }
        None
    }

    /// Whether the alarm is set to when this command may have to be told of, or
    /// the node be overdue with it, or to before.
    fn rings_in_time_for(&self, command: &Command) -> bool {
        let (Some(alarm), Some(limit)) = (&self.alarm, command.limit) else {
            return false;
        };
        alarm.deadline() <= limit.end_within(self.timeouts.response)
    }

    /// Takes in what was asked.
    fn receive(&mut self, cx: &mut Context<'_>) {
        // Bounded: callers that ask again at once must not keep the link from
        // its connection.
        const ROUNDS: usize = 64;
        const BATCH: usize = 256;
        if self.is_closing {
            return;
        }
        let mut arrived = Vec::new();
        for _ in 0..ROUNDS {
            match self.inbox.poll_recv_many(cx, &mut arrived, BATCH) {
                Poll::Pending => return,
                Poll::Ready(0) => {
                    self.is_closing = true;
                    return;
                }
                Poll::Ready(_) => {}
            }
            for message in arrived.drain(..) {
                match message {
                    Message::Command(command, _seen) => self.admit(command),
                    Message::Close(waiting) => {
                        self.waiting.push(waiting);
                        self.inbox.close();
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
    }

    fn admit(&mut self, command: Command) {
        // The first answer of a node that is back is still out.
        let is_back = matches!(self.line, Line::Up(_)) && command.is_release();
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
        self.queue.push_back(command);
    }

    /// Goes on with making a connection; whether something has changed.
    fn reconnect(&mut self, cx: &mut Context<'_>) -> bool {
        let Line::Down { next, .. } = &mut self.line else {
            return false;
        };
        match next {
            Next::Pause(pause) => {
                if pause.as_mut().poll(cx).is_pending() {
                    return false;
                }
                let attempt = self.attempt();
                if let Line::Down { next, .. } = &mut self.line {
                    *next = attempt;
                }
            }
            Next::Attempt(attempt) => match attempt.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(outcome) => {
                    *next = pause_after(self.attempts);
                    match outcome {
                        Ok(opened) => self.come_up_unless_twin(opened),
                        Err(refused) => {
                            let (reason, is_for_good, role) = explain(refused);
                            self.stay_down(NoContact {
                                error: NodeError::new(Arc::clone(&self.node), reason),
                                is_for_good,
                                twin: None,
                                role,
                            });
                        }
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
            self.timeouts.connect,
            lingering,
            Arc::clone(&self.pushes),
        )))
    }

    /// Comes up, unless another node of the manager is this very server, whose
    /// vote would count twice.
    fn come_up_unless_twin(&mut self, opened: Opened) {
        let run = opened.facts.run_id.as_deref();
        let claim = run.map_or(Ok(()), |run| self.twins.claim(&self.node, run));
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
        self.line = Line::Up(Session::new(wire, identity, channel, has_others));
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
        }
        if owes_nothing {
            self.recover();
        }
        self.pushes.connected(is_told);
    }

    /// The node answers.
    fn recover(&mut self) {
        if self.bad.take().is_some() {
            tracing::info!(node = &*self.node, "the node answers again");
            metrics::node_is_up(&self.node);
            self.owed.forget_unsent();
        }
    }

    fn warn_once(&mut self, warning: &str) {
        if self.warned.insert(warning.to_owned()) {
            tracing::warn!(node = &*self.node, "{warning}");
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
        while let Line::Up(session) = &mut self.line
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
                    *replies = replies.saturating_add(1);
                    again.extend(self.answer(reply));
                }
                Err(error) => self.break_off(failure::of_connection(&error)),
            }
        }
        let under_way = self.under_way();
        for command in again.into_iter().rev() {
            match (&self.line, &self.bad) {
                (Line::Down { .. }, Some(reason)) => refuse(command, reason, &mut self.owed),
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
        let Line::Up(session) = &mut self.line else {
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

    /// Takes in the reply to the oldest command that is on its way; gives back
    /// what is to be asked next.
    fn answer(&mut self, reply: Value) -> Option<Command> {
        let Line::Up(session) = &mut self.line else {
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
        if !matches!(command.task, Task::Look { .. })
            && let Some(missing) = failure::missing_right(&reply)
        {
            self.lacks(missing);
        }
        if let Some(reason) = failure::unfit(&reply, command.is_release()) {
            // Connected anew, it says what it is, and is sent what it is owed.
            let error = NodeError::new(Arc::clone(&self.node), reason);
            refuse(command, &error, &mut self.owed);
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
                if let Some(owed) = command.fail(error) {
                    self.queue.push_front(Command::owed(owed));
                }
                continue;
            }
            if let Some(mut command) = command.unless_abandoned() {
                command.repeat();
                self.queue.push_front(command);
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

    /// Closes the connection, if there is one, and says how many commands were
    /// on their way.
    fn close(&mut self) -> usize {
        let Line::Up(session) = &mut self.line else {
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
        self.line = Line::Down {
            since: Instant::now(),
            next,
        };
        under_way
    }

    /// Goes on after a panic as after a connection that broke.
    fn go_on_after_panic(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.start_over(&NodeError::new(Arc::clone(&self.node), "a panic"));
        // What panics when it is told that the node is bad is told less often.
        if let Line::Down { since, .. } = &mut self.line {
            *since = Instant::now();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// How many commands are on their way.
    fn under_way(&self) -> usize {
        match &self.line {
            Line::Down { .. } => 0,
            Line::Up(session) => session.under_way,
        }
    }

    /// Whether the alarm is to ring, or to be set.
    fn is_to_look_at_the_time(&self) -> bool {
        let rings = |alarm: &Pin<Box<Sleep>>| alarm.deadline() <= Instant::now();
        self.alarm.as_ref().is_none_or(rings)
    }

    /// Tells callers whose time is over, and gives the node up if it has kept
    /// us waiting for too long; whether it was.
    fn look_at_the_time(&mut self, cx: &mut Context<'_>) -> bool {
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
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        let (node, contact) = (&self.node, self.contact.borrow());
        let why = match (&self.line, &*contact) {
            (Line::Down { .. }, Some(Err(no_contact))) => Some(&no_contact.error),
            _ => None,
        };
        let waiting = self.queue.iter_mut().filter_map(|command| {
            let due = command.due()?;
            if now < due {
                return Some(due);
            }
            command.keep_waiting_no_longer(node, why);
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
        match &self.line {
            Line::Down { since, .. } => self.bad.is_none().then_some(*since),
            Line::Up(session) if session.under_way == 0 => None,
            Line::Up(_) => self.queue.front().and_then(|oldest| oldest.sent),
        }
    }

    fn overdue(&self, waited: Duration) -> NodeError {
        let waited = waited.as_secs_f64();
        let reason = match (&self.line, &*self.contact.borrow()) {
            (Line::Down { .. }, Some(Err(none))) => none.error.reason().to_owned(),
            (Line::Down { .. }, _) => format!("no connection for {waited:.1}s"),
            (Line::Up(_), _) => format!("no answer for {waited:.1}s"),
        };
        NodeError::new(Arc::clone(&self.node), reason)
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
    if let Task::Acquire { request, .. } = &command.task
        && command.sent.is_none()
        && !is_raise(request)
    {
        owed.acquire_unsent(request);
    }
    if let Some(release) = command.fail(error) {
        owed.push(release);
    }
}

/// Why there is no connection, whether there never will be one, and what the
/// server is.
fn explain(refused: Refused) -> (String, bool, NodeRole) {
    match refused {
        Refused::ForNow(reason) => (reason, false, NodeRole::Unknown),
        Refused::ByKind(role, reason) => (reason, true, role),
    }
}

fn pause_after(attempts: u32) -> Next {
    let draw = rand::rng().random();
    let pause = growing_pause(&RECONNECT_PAUSE, attempts.saturating_sub(1), draw);
    Next::Pause(Box::pin(sleep_until(Instant::now() + pause)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;
    use crate::{
        backend::redis::{OnRestart, command::Answer, owed::MOST_OWED, wire::Wire},
        backend::{AcquireReply, BackendError, ReleaseRequest},
        fencing_token::FencingToken,
        key::LockKey,
        token::OwnerToken,
    };

    /// How many releases a node is owed after an acquire that it was refused
    /// unsent, and its release.
    fn owed_after(acquire: AcquireRequest) -> usize {
        let release = ReleaseRequest::new(acquire.keys.first().clone(), acquire.token.clone());
        let error = NodeError::new("a:6379", "connection refused");
        let mut owed = Owed::default();
        let (answer, _reply) = Answer::channel();
        refuse(
            Command::new(Task::acquire(acquire, answer), None),
            &error,
            &mut owed,
        );
        refuse(Command::owed(release), &error, &mut owed);
        owed.take().len()
    }

    /// A link whose connection is this, with an acquire on its way, whose answer
    /// comes there; it ends with who may ask it.
    fn asked_over(
        stream: DuplexStream,
    ) -> (
        Link,
        oneshot::Receiver<Result<AcquireReply, BackendError>>,
        mpsc::UnboundedSender<Message>,
    ) {
        let (commands, inbox) = mpsc::unbounded_channel();
        let mut link = Link::new(
            Address::parse("redis://127.0.0.1:1").unwrap(),
            Timeouts::default(),
            inbox,
            watch::channel(None).0,
            Arc::new(Pushes::new()),
            Arc::new(Restarts::new(OnRestart::default())),
            Twins::default(),
        );
        let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
        let request = AcquireRequest::new(key, token, Duration::from_secs(1));
        let (answer, reply) = Answer::channel();
        let mut command = Command::new(Task::acquire(request, answer), None);
        command.sent = Some(Instant::now());
        link.queue.push_back(command);
        let mut session = Session::new(Wire::new(stream), None, None, false);
        session.under_way = 1;
        link.line = Line::Up(session);
        (link, reply, commands)
    }

    const MESSAGE: &str = ">3\r\n+message\r\n+channel\r\n+text\r\n";

    #[tokio::test]
    async fn an_answer_behind_many_messages_is_heard_in_one_poll() {
        let messages = MESSAGE.repeat(10_000);
        let (ours, mut theirs) = duplex(1 << 20);
        theirs.write_all(messages.as_bytes()).await.unwrap();
        theirs.write_all(b"+OK\r\n").await.unwrap();
        let (mut link, mut reply, _commands) = asked_over(ours);
        // Where the clock is to be looked at, all is read.
        link.alarm = Some(Box::pin(sleep_until(Instant::now() + LONGEST_TIMEOUT)));
        let is_pending = poll_fn(|cx| Poll::Ready(link.poll(cx).is_pending())).await;
        assert!(is_pending);
        assert!(matches!(reply.try_recv(), Ok(Ok(AcquireReply::Granted))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_behind_more_messages_than_a_poll_takes_in_is_heard_at_once() {
        let messages = MESSAGE.repeat(MOST_UNASKED * PASSES + 1);
        let (ours, mut theirs) = duplex(1 << 21);
        theirs.write_all(messages.as_bytes()).await.unwrap();
        theirs.write_all(b"+OK\r\n").await.unwrap();
        let (link, reply, _commands) = asked_over(ours);
        let asked = Instant::now();
        tokio::spawn(SharedLink::new(link).run());
        assert!(matches!(reply.await, Ok(Ok(AcquireReply::Granted))));
        assert!(asked.elapsed().is_zero());
    }

    /// It was on its way when the node was found overdue.
    #[tokio::test(start_paused = true)]
    async fn an_answer_a_moment_after_the_timeout_is_heard() {
        let (ours, mut theirs) = duplex(1 << 10);
        let (link, reply, _commands) = asked_over(ours);
        let timeout = link.timeouts.response;
        tokio::spawn(SharedLink::new(link).run());
        tokio::time::sleep(timeout + SECOND_LOOK / 2).await;
        theirs.write_all(b"+OK\r\n").await.unwrap();
        assert!(matches!(reply.await, Ok(Ok(AcquireReply::Granted))));
    }

    /// Whether a link that has connected many times, and was asked nothing, pauses
    /// when its connection ends after so long.
    fn pauses_after(lasted: Duration) -> impl Future<Output = bool> {
        let (ours, theirs) = duplex(1 << 10);
        let (mut link, _reply, _commands) = asked_over(ours);
        link.queue.clear();
        if let Line::Up(session) = &mut link.line {
            session.under_way = 0;
        }
        link.attempts = 20;
        async move {
            tokio::time::sleep(lasted).await;
            drop(theirs);
            let polled = poll_fn(|cx| Poll::Ready(link.serve(&mut 0, 1, cx))).await;
            assert!(polled, "the connection has ended");
            matches!(
                link.line,
                Line::Down {
                    next: Next::Pause(_),
                    ..
                }
            )
        }
    }

    /// What closes idle connections would keep a program that locks seldom
    /// without one for up to a second each time.
    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_that_lasted_is_replaced_at_once() {
        assert!(!pauses_after(2 * *RECONNECT_PAUSE.end()).await);
        assert!(pauses_after(*RECONNECT_PAUSE.end() / 2).await);
    }

    #[tokio::test]
    async fn a_node_that_was_owed_too_much_is_not_said_to_have_got_all() {
        let (ours, _theirs) = duplex(1 << 10);
        let (mut link, _reply, _commands) = asked_over(ours);
        let mut cx = Context::from_waker(Waker::noop());
        for (owed, closed) in [
            (MOST_OWED, CloseReply::Flushed),
            (MOST_OWED + 1, CloseReply::Closed),
        ] {
            for nth in 0..owed {
                let key = LockKey::new(format!("k:{nth}")).unwrap();
                link.owed
                    .push(ReleaseRequest::new(key, OwnerToken::with_label("")));
            }
            let (waiting, mut told) = oneshot::channel();
            link.waiting.push(waiting);
            assert!(link.is_waited_for(&mut cx));
            link.owed.take();
            assert!(!link.is_waited_for(&mut cx));
            assert_eq!(told.try_recv(), Ok(closed));
        }
    }

    #[test]
    fn a_raise_that_was_never_sent_does_not_hide_what_the_node_has_granted() {
        let key = LockKey::new("k").unwrap();
        let second = Duration::from_secs(1);
        let token = FencingToken::new(1).unwrap();
        let first = AcquireRequest::new(key, OwnerToken::with_label(""), second);
        let first = first.fenced(token, second);
        assert_eq!(owed_after(first.clone()), 0);
        assert_eq!(owed_after(first.raised(token)), 1);
    }
}
