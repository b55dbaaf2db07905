//! The task that owns the connection to a node.

use std::{
    collections::{HashSet, VecDeque},
    future::poll_fn,
    mem,
    ops::RangeInclusive,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use rand::Rng as _;
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Timeouts,
    address::Address,
    command::{Command, Task},
    connection::{self, DRIVER_ROOM, Identity, Opened, Refused},
    failure,
    owed::Owed,
    probe::NodeFacts,
    push::Pushes,
    restarts::Restarts,
    twins::Twins,
};
use crate::{
    backend::{AcquireRequest, BoxFuture},
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

/// The most commands that are written at once.
const BATCH: usize = 256;

/// The most batches that are on their way.
///
/// Enough to keep a server busy over a round trip; few, so that commands
/// gather into large batches while they wait, and that little is at stake when
/// a connection breaks.
const BATCHES: usize = 8;

const _: () = assert!(BATCHES < DRIVER_ROOM);

/// How many batches may be on their way for a small one to follow.
///
/// One more would be made of the first of many callers that are woken
/// together, and a write of its own for it.
const FEW: usize = 2;

/// How many commands are worth a batch whatever is on its way.
const ENOUGH: usize = 16;

/// How long fewer wait for an answer to what is on its way, which on a short
/// road comes sooner: the least that a timer knows, which adds up to as much.
const GATHERING: Duration = Duration::from_millis(1);

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
    /// Asked and not sent, oldest first.
    queue: VecDeque<Command>,
    owed: Owed,
    line: Line,
    /// Why the node is bad, if it is.
    bad: Option<NodeError>,
    /// Rings when the node may be overdue.
    alarm: Option<Pin<Box<Sleep>>>,
    is_second_look: bool,
    /// Attempts to connect since the node last answered a command.
    attempts: u32,
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
    waiting: Vec<oneshot::Sender<()>>,
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
            Some(link) => link.poll(cx),
            None => Poll::Ready(()),
        })
        .await;
    }

    /// Sends a command without the task, where nothing is before it; gives it
    /// back where something is.
    pub(super) fn send_at_once(&self, command: Command) -> Option<Command> {
        match self.0.try_lock().as_deref_mut() {
            Some(Some(link)) => link.send_at_once(command),
            _ => Some(command),
        }
    }

    /// How many commands the task has not seen yet, and how many batches are on
    /// their way.
    #[cfg(test)]
    pub(super) fn load(&self) -> Option<(usize, usize)> {
        let link = self.0.lock();
        let link = link.as_ref()?;
        match &link.line {
            Line::Down { .. } => None,
            Line::Up(session) => Some((link.inbox.len(), session.batches.len())),
        }
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
    Command(Command),
    /// Take nothing in any more, and tell when the node is owed nothing; the
    /// connection is closed then, or when nobody waits for it any more.
    Close(oneshot::Sender<()>),
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

/// A connection and what is on its way on it.
struct Session {
    connection: MultiplexedConnection,
    identity: Option<Identity>,
    /// Where waiters are told; `None` where they cannot be.
    channel: Option<Arc<str>>,
    /// Tells of the connection's end.
    lost: Option<oneshot::Receiver<()>>,
    /// Oldest first; they are answered in this order.
    batches: VecDeque<Batch>,
    /// Rings when a few commands have waited long enough for others.
    gathering: Option<Pin<Box<Sleep>>>,
}

/// Commands that were written at once.
struct Batch {
    commands: Vec<Command>,
    sent: Instant,
    answer: BoxFuture<'static, Result<Vec<Value>, String>>,
    replies: Option<Result<Vec<Value>, String>>,
}

/// What came of a batch.
enum Answered {
    Replies(Vec<Command>, Vec<Value>),
    Broken(String),
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
            is_second_look: false,
            attempts: 1,
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
    ///
    /// Must not be throttled by tokio's cooperative budget: a batch whose
    /// first poll is refused for lack of budget would be overtaken by the next.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        loop {
            self.receive(cx);
            let has_moved = match self.line {
                Line::Down { .. } => self.reconnect(cx),
                Line::Up(_) => self.serve(cx),
            };
            if has_moved || self.look_for_overdue(cx) {
                continue;
            }
            return if self.is_closing && self.is_idle() && !self.is_waited_for(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
    }

    /// Sends a command where nothing is before it; else gives it back.
    ///
    /// One at a time is asked for most often, and to wake the task for each
    /// costs more than the round trip: a worker runs three tasks that wake each
    /// other before it calls another worker, and here they are the caller's,
    /// the link's and the driver's.
    ///
    /// Without an alarm the command goes to the task, which sets it.
    fn send_at_once(&mut self, command: Command) -> Option<Command> {
        let is_first = self.is_idle() && self.inbox.is_empty() && !self.inbox.is_closed();
        let is_well = self.bad.is_none() && self.alarm.is_some();
        let (Line::Up(_), Some(waker), true) = (&self.line, &self.waker, is_first && is_well)
        else {
            return Some(command);
        };
        let waker = waker.clone();
        self.queue.push_back(command);
        self.write(&mut Context::from_waker(&waker));
        if matches!(&self.line, Line::Up(session) if session.is_answered()) {
            // By the driver, which has ended: the task sees to it.
            waker.wake();
        }
        None
    }

    /// Takes in what was asked.
    fn receive(&mut self, cx: &mut Context<'_>) {
        // Bounded: callers that ask again at once must not keep the link from
        // its connection.
        const ROUNDS: usize = 64;
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
                    Message::Command(command) => self.admit(command),
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
        let is_up = matches!(self.line, Line::Up(_));
        match &self.bad {
            // The first answer of a node that is back is still out.
            Some(_) if is_up && command.is_release() => self.queue.push_back(command),
            Some(reason) => refuse(command, &reason.clone(), &mut self.owed),
            None => self.queue.push_back(command),
        }
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
            connection,
            facts,
            identity,
            lost,
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
        self.line = Line::Up(Session {
            connection,
            identity,
            channel,
            lost,
            batches: VecDeque::new(),
            gathering: None,
        });
        // Before anything else, so that the node keeps nothing of ours.
        let mut queue: VecDeque<_> = self.owed.take().into_iter().map(Command::owed).collect();
        let owes_nothing = queue.is_empty();
        // What has waited for the connection longer than its caller is late.
        let waiting = std::mem::take(&mut self.queue);
        queue.extend(
            waiting
                .into_iter()
                .filter(|command| !command.is_abandoned()),
        );
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

    /// Sends what waits and takes in replies; whether something has changed.
    fn serve(&mut self, cx: &mut Context<'_>) -> bool {
        self.write(cx);
        let mut has_moved = false;
        while let Line::Up(session) = &mut self.line
            && let Some(answered) = session.next_answered()
        {
            has_moved = true;
            match answered {
                Answered::Replies(commands, replies) => self.answer(commands, replies),
                Answered::Broken(reason) => self.break_off(reason),
            }
        }
        if let Line::Up(session) = &mut self.line
            && session.is_found_lost(cx)
        {
            has_moved = true;
            self.break_off("connection closed".to_owned());
        }
        has_moved
    }

    /// Sends what waits; what the node is not to be asked now is answered
    /// instead.
    fn write(&mut self, cx: &mut Context<'_>) {
        let Line::Up(session) = &mut self.line else {
            return;
        };
        let is_kept_out = |command: &Command| {
            let request = command.as_acquire()?;
            let is_fenced = request.fence.is_some();
            let reason = self.restarts.refusal_now(is_fenced)?;
            Some(NodeError::new(Arc::clone(&self.node), reason))
        };
        session.send(&mut self.queue, is_kept_out);
        if session.has_gathered(self.queue.len(), cx) {
            session.send_batch(&mut self.queue, is_kept_out);
        }
        session.poll(cx);
    }

    fn answer(&mut self, commands: Vec<Command>, replies: Vec<Value>) {
        let mut again = Vec::new();
        let mut unfit = None;
        for (command, reply) in commands.into_iter().zip(replies) {
            // Whoever may not look can still lock.
            if !matches!(command.task, Task::Look { .. })
                && let Some(missing) = failure::missing_right(&reply)
            {
                self.lacks(missing);
            }
            let reason = failure::unfit(&reply, command.is_release());
            let Some(reason) = reason else {
                again.extend(command.accept(reply, &self.node));
                continue;
            };
            let error = NodeError::new(Arc::clone(&self.node), reason);
            refuse(command, &error, &mut self.owed);
            unfit = Some(error);
        }
        for command in again.into_iter().rev() {
            self.queue.push_front(command);
        }
        // Connected anew, it says what it is, and is sent what it is owed.
        if let Some(error) = unfit {
            self.turn_bad(error);
            return;
        }
        self.attempts = 0;
        self.recover();
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
        let mut queue = VecDeque::new();
        for mut command in self.close() {
            if command.is_abandoned() {
                continue;
            }
            if command.is_worn_out() {
                command.fail(&error);
                continue;
            }
            command.repeat();
            queue.push_back(command);
        }
        queue.append(&mut self.queue);
        self.queue = queue;
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
        for command in self.close() {
            refuse(command, &error, &mut self.owed);
        }
        for command in mem::take(&mut self.queue) {
            refuse(command, &error, &mut self.owed);
        }
        self.bad = Some(error);
    }

    /// Closes the connection, if there is one, and gives back what was on its
    /// way.
    ///
    /// The driver's task is gone as soon as a worker gets to it: before the
    /// successor has logged in and is sent its first command.
    fn close(&mut self) -> Vec<Command> {
        let Line::Up(session) = &mut self.line else {
            return Vec::new();
        };
        let commands: Vec<_> = mem::take(&mut session.batches)
            .into_iter()
            .flat_map(|batch| batch.commands)
            .collect();
        if !commands.is_empty() {
            self.lingering = session.identity.take();
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
        commands
    }

    /// Gives the node up if it has kept us waiting for too long; whether it
    /// was.
    fn look_for_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let Some(alarm) = &mut self.alarm else {
                let Some(since) = self.waiting_since() else {
                    return false;
                };
                self.alarm = Some(Box::pin(sleep_until(since + self.timeouts.response)));
                continue;
            };
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.alarm = None;
            let now = Instant::now();
            let overdue = self
                .waiting_since()
                .filter(|since| now >= *since + self.timeouts.response);
            let Some(since) = overdue else {
                self.is_second_look = false;
                continue;
            };
            if mem::replace(&mut self.is_second_look, true) {
                self.is_second_look = false;
                self.turn_bad(self.overdue(now - since));
                return true;
            }
            self.alarm = Some(Box::pin(sleep_until(now + SECOND_LOOK)));
        }
    }

    /// Since when the node has kept us waiting, if it has.
    fn waiting_since(&self) -> Option<Instant> {
        match &self.line {
            Line::Down { since, .. } => self.bad.is_none().then_some(*since),
            Line::Up(session) => session.batches.front().map(|oldest| oldest.sent),
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
            for waiting in self.waiting.drain(..) {
                let _ = waiting.send(());
            }
        }
        self.waiting
            .retain_mut(|waiting| waiting.poll_closed(cx).is_pending());
        !self.waiting.is_empty()
    }

    fn is_idle(&self) -> bool {
        let is_waited_for = match &self.line {
            Line::Down { .. } => false,
            Line::Up(session) => !session.batches.is_empty(),
        };
        self.queue.is_empty() && !is_waited_for
    }
}

impl Session {
    /// Forms batches of what waits, as far as there is room.
    fn send(
        &mut self,
        queue: &mut VecDeque<Command>,
        is_kept_out: impl Fn(&Command) -> Option<NodeError>,
    ) {
        while self.has_room_for(queue.len()) {
            self.send_batch(queue, &is_kept_out);
        }
    }

    /// Forms a batch of what waits; what the node is not to be asked now is
    /// answered instead.
    fn send_batch(
        &mut self,
        queue: &mut VecDeque<Command>,
        is_kept_out: impl Fn(&Command) -> Option<NodeError>,
    ) {
        let count = queue.len().min(BATCH);
        let mut pipeline = Pipeline::with_capacity(count);
        let mut commands = Vec::with_capacity(count);
        while commands.len() < BATCH
            && let Some(mut command) = queue.pop_front()
        {
            if let Some(reason) = is_kept_out(&command) {
                command.fail(&reason);
                continue;
            }
            // Also where the caller has gone: a quorum that has decided
            // still wants its lock on every node.
            command.is_sent = true;
            pipeline.add_command(command.to_wire(self.channel.as_deref()));
            commands.push(command);
        }
        if commands.is_empty() {
            return;
        }
        self.batches.push_back(Batch {
            commands,
            sent: Instant::now(),
            // A first poll that is refused for lack of budget, which a caller's
            // task may be short of, would be overtaken by the next batch.
            answer: Box::pin(unconstrained(connection::send(
                self.connection.clone(),
                pipeline,
            ))),
            replies: None,
        });
    }

    /// Whether so many commands are to be sent now.
    fn has_room_for(&self, count: usize) -> bool {
        let under_way = self.batches.len();
        count > 0 && (under_way < FEW || under_way < BATCHES && count >= ENOUGH)
    }

    /// Whether the few that wait have waited long enough for more.
    ///
    /// A timer that is not needed any more goes on, and rings too soon for those
    /// who wait next: to set one for each batch costs more than it saves.
    fn has_gathered(&mut self, count: usize, cx: &mut Context<'_>) -> bool {
        if count == 0 || self.batches.len() >= BATCHES {
            return false;
        }
        let gathering = self
            .gathering
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + GATHERING)));
        let has_rung = gathering.as_mut().poll(cx).is_ready();
        if has_rung {
            self.gathering = None;
        }
        has_rung
    }

    /// Polls the batches in order; the first poll is what sends one.
    fn poll(&mut self, cx: &mut Context<'_>) {
        for batch in &mut self.batches {
            if batch.replies.is_none()
                && let Poll::Ready(replies) = batch.answer.as_mut().poll(cx)
            {
                batch.replies = Some(replies);
            }
        }
    }

    /// Whether a batch is answered, and nobody has been told.
    fn is_answered(&self) -> bool {
        self.batches.iter().any(|batch| batch.replies.is_some())
    }

    /// Whether the connection has ended while nothing was on its way: what is
    /// on its way finds out by itself.
    fn is_found_lost(&mut self, cx: &mut Context<'_>) -> bool {
        self.batches.is_empty()
            && self
                .lost
                .as_mut()
                .is_some_and(|lost| Pin::new(lost).poll(cx).is_ready())
    }

    /// The oldest batch, if it is answered; where the connection is broken
    /// instead, it stays.
    fn next_answered(&mut self) -> Option<Answered> {
        match self.batches.front_mut()?.replies.take()? {
            Ok(replies) => {
                let batch = self.batches.pop_front()?;
                Some(Answered::Replies(batch.commands, replies))
            }
            Err(reason) => Some(Answered::Broken(reason)),
        }
    }
}

/// Answers a command that the node will not get.
fn refuse(command: Command, error: &NodeError, owed: &mut Owed) {
    // The node has granted what it is asked to raise.
    let is_raise = |request: &AcquireRequest| request.fence.is_some_and(|fence| fence.is_raise);
    if let Task::Acquire { request, .. } = &command.task
        && !command.is_sent
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
    use super::*;
    use crate::{
        backend::ReleaseRequest, backend::redis::command::Question, fencing_token::FencingToken,
        key::LockKey, token::OwnerToken,
    };

    /// How many releases a node is owed after an acquire that it was refused
    /// unsent, and its release.
    fn owed_after(acquire: AcquireRequest) -> usize {
        let release = ReleaseRequest::new(acquire.keys.first().clone(), acquire.token.clone());
        let error = NodeError::new("a:6379", "connection refused");
        let mut owed = Owed::default();
        let (answer, _reply) = tokio::sync::oneshot::channel();
        let question = Question::first(&acquire);
        let task = Task::Acquire {
            request: acquire,
            answer,
            question,
        };
        refuse(Command::new(task, None), &error, &mut owed);
        refuse(Command::owed(release), &error, &mut owed);
        owed.take().len()
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
