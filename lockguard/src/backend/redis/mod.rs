//! Locks on one Redis or Valkey server.

// The connection, and the task that owns it.
mod address;
mod connection;
mod dial;
mod failure;
mod link;
mod lookup;
mod session;
#[cfg(feature = "tls")]
mod tls;
mod wire;

// Questions and answers.
mod command;
mod helper_key;
mod packed;
mod push;
mod reply;
mod script;

// What is known of the server.
mod owed;
mod probe;
mod restarts;
mod rights;
mod twins;

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    fmt,
    future::ready,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::{self, Handle},
    sync::{oneshot, watch},
    task::unconstrained,
    time::Instant,
};

pub(crate) use self::{
    address::Address, link::NoContact, probe::NodeFacts, restarts::OnRestart, twins::Twins,
};
use self::{
    command::{Answer, Command, Extended, Limit, MOST_EXTENDED, Task},
    link::{Contact, Inlet, Link, Message, NotTaken, SharedLink, TOO_MANY, inbox},
    push::Pushes,
    restarts::Restarts,
};
use crate::{
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, BoxFuture, CloseReply, Epochs,
        ExtendReply, ExtendRequest, Pass, ReleaseReply, ReleaseRequest,
    },
    clock::{runtime_here, until},
    node_error::NodeError,
    node_status::{NodeRole, NodeStatus},
    random,
    token::OwnerToken,
    validity::{LONGEST_NODE_BUDGET, node_budget},
};

/// Keeps locks on one Redis or Valkey server.
///
/// On the server a lock is a plain string under the key, set with `NX` and
/// `PX` and deleted by compare: what other libraries do, so that both exclude
/// each other.
///
/// One connection carries all commands, in the order in which the methods are
/// called: a command is on its way when its method returns, whether the future
/// is polled or not.
/// So a release that is called after an acquire by the same token takes effect
/// after it, even if both futures are dropped.
/// Releases that wait to be sent go together, before plain acquires by other
/// tokens that wait there too.
/// Methods can be called on any thread, with or without a runtime.
///
/// A connection that breaks is replaced in the background, and what was on its
/// way is sent again on the next, which changes nothing where it had been
/// executed: the caller of a command notices no more than a delay.
/// A server that owes an answer for longer than the response timeout, or has
/// been without a connection for so long, is bad: commands fail at once until
/// it answers again.
/// The releases that it missed are the first that it is sent then.
///
/// Who waits for a key stands in a line beside it on the server, and is told by
/// a message on the same connection when the key is passed to it, which
/// takes RESP3 and the right to the channels `lockguard:*`.
///
/// The connection belongs to the tokio runtime that the node was made on; when
/// that has ended, every operation is [`BackendError::RuntimeGone`].
/// A server that has restarted may have lost its locks: [`epochs`] tells of it,
/// so that all leases on this node alone end at once.
/// In a [`Redlock`](crate::backend::Redlock) that is put together by hand it
/// votes on as if nothing had happened; one that a
/// [`LockManagerBuilder`](crate::LockManagerBuilder) makes keeps it out for a
/// while.
///
/// [`epochs`]: Backend::epochs
///
/// Clones share one connection, which is closed when the last of them is
/// dropped, or one of them is closed, and everything asked has been answered,
/// or has waited for the response timeout.
#[derive(Clone)]
pub struct RedisNode {
    link: SharedLink,
    inbox: Inlet,
    /// The runtime that the link's task is on.
    runtime: Option<runtime::Id>,
    contact: watch::Receiver<Contact>,
    pushes: Arc<Pushes>,
    restarts: Arc<Restarts>,
    response_timeout: Duration,
    is_closed: Arc<AtomicBool>,
    name: Arc<str>,
}

/// How long a node is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// For a connection: its handshake and its greeting.
    pub(crate) connect: Duration,
    /// For the answer to a command, before the node is held to be bad.
    pub(crate) response: Duration,
}

impl Default for Timeouts {
    /// One second each.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            response: LONGEST_NODE_BUDGET,
        }
    }
}

/// What a node is among the others of its manager.
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership {
    pub(crate) on_restart: OnRestart,
    pub(crate) twins: Twins,
}

impl RedisNode {
    /// Connects to the server at an address like
    /// `redis://[user:password@]host[:6379][/db]`, `rediss://…` or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the address, why there is no connection, or
    /// that the server is a replica, a node of a cluster or a sentinel, and
    /// what to give instead.
    /// No password is in its text.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the connection is closed.
    ///
    /// # Default
    ///
    /// Waits for one second at most.
    pub async fn connect(url: &str) -> Result<Self, NodeError> {
        let address =
            Address::parse(url).map_err(|problem| NodeError::new("a node's address", problem))?;
        let node = Self::open_among(address, Timeouts::default(), Membership::default());
        node.first_contact().await.map_err(|reason| reason.error)?;
        Ok(node)
    }

    #[cfg(test)]
    fn open(address: Address, timeouts: Timeouts) -> Self {
        Self::open_among(address, timeouts, Membership::default())
    }

    /// Begins to connect, on the current tokio runtime, and waits for nothing.
    ///
    /// Without a runtime every operation is [`BackendError::RuntimeGone`].
    pub(crate) fn open_among(address: Address, timeouts: Timeouts, membership: Membership) -> Self {
        random::seed_process();
        let (inlet, inbox) = inbox();
        let (report, contact) = watch::channel(None);
        let name = Arc::clone(address.name());
        let Membership { on_restart, twins } = membership;
        let restarts = Arc::new(Restarts::new(on_restart));
        let pushes = Arc::new(Pushes::new());
        let mut shared = SharedLink::none();
        let runtime = Handle::try_current().ok();
        if let Some(runtime) = &runtime {
            let link = Link::new(
                address,
                timeouts,
                inbox,
                report,
                Arc::clone(&pushes),
                Arc::clone(&restarts),
                twins,
            );
            shared = SharedLink::new(link);
            runtime.spawn(unconstrained(shared.clone().run()));
        }
        Self {
            link: shared,
            inbox: inlet,
            runtime: runtime.map(|runtime| runtime.id()),
            contact,
            pushes,
            restarts,
            response_timeout: timeouts.response,
            is_closed: Arc::default(),
            name,
        }
    }

    /// Resolves when an attempt to connect has ended, with how the last one
    /// went; the first ends within the connect timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: connecting goes on.
    pub(crate) async fn first_contact(&self) -> Result<NodeFacts, NoContact> {
        let mut contact = self.contact.clone();
        let reached = contact.wait_for(Option::is_some).await;
        match reached.ok().and_then(|contact| contact.clone()) {
            Some(outcome) => outcome,
            None => Err(NoContact {
                error: self.silent("no tokio runtime is there to connect to it, or it has ended"),
                is_for_good: false,
                twin: None,
                role: NodeRole::Unknown,
            }),
        }
    }

    /// Puts a command on its way, whose caller waits for so long since it asked, or
    /// from now on.
    fn send<R: Send + 'static>(
        &self,
        budget: Duration,
        asked: Option<Instant>,
        task: impl FnOnce(Answer<R>) -> Task,
    ) -> BoxFuture<'static, Result<R, BackendError>> {
        let asked = asked.unwrap_or_else(Instant::now);
        let (answer, reply) = Answer::channel();
        let limit = Limit { asked, budget };
        let command = Command::new(task(answer), Some(limit));
        if let Some(command) = self.link.send_at_once(command)
            && let Err(not_taken) = self.inbox.put(Message::Command(command))
        {
            return Box::pin(ready(Err(match not_taken {
                NotTaken::Full => BackendError::unavailable(self.silent(TOO_MANY)),
                NotTaken::Closed => self.gone(),
            })));
        }
        if runtime_here() == self.runtime {
            Box::pin(Reply(reply))
        } else {
            Box::pin(heard_elsewhere(Reply(reply), limit, Arc::clone(&self.name)))
        }
    }

    /// Puts one extend of several keys on its way.
    fn extend_chunk(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> impl Future<Output = Extended> + Send + 'static {
        let budgets = requests.iter().map(|request| node_budget(request.ttl));
        for request in &requests {
            self.restarts.used(request.ttl);
        }
        let (budget, count) = (budgets.max().unwrap_or_default(), requests.len());
        let reply = self.send(budget, None, |answer| Task::extend(requests, answer));
        async move {
            let extended = reply.await;
            extended.unwrap_or_else(|error| vec![Err(error); count])
        }
    }

    /// How the node is, from its answer to a look that took so long.
    fn status(&self, heard: Result<NodeFacts, BackendError>, took: Duration) -> NodeStatus {
        let (facts, role) = match &*self.contact.borrow() {
            Some(Ok(facts)) => (facts.clone(), facts.role),
            Some(Err(no_contact)) => (NodeFacts::default(), no_contact.role),
            None => (NodeFacts::default(), NodeRole::Unknown),
        };
        let status = |role| NodeStatus::new(Arc::clone(&self.name), role);
        let error = match heard {
            Ok(now) => {
                let facts = facts.refreshed(now);
                let mut status = status(facts.role).with_round_trip(took);
                if facts.push_refusal.is_none() {
                    status = status.with_push();
                }
                let restart = self.restarts.warning(Instant::now());
                let warnings = facts.warnings().into_iter().chain(restart);
                return warnings.fold(status, NodeStatus::with_warning);
            }
            Err(BackendError::Unavailable { nodes }) => nodes.into_iter().next(),
            Err(_) => None,
        };
        let error = error.unwrap_or_else(|| self.silent("its tokio runtime has ended"));
        status(role).with_error(error)
    }

    /// Why the link takes nothing in any more.
    fn gone(&self) -> BackendError {
        if self.is_closed.load(Ordering::Acquire) {
            BackendError::unavailable(self.silent("its connection was closed by a drain"))
        } else {
            BackendError::RuntimeGone
        }
    }

    fn silent(&self, reason: &str) -> NodeError {
        NodeError::new(Arc::clone(&self.name), reason)
    }
}

impl Backend for RedisNode {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let budget = node_budget(request.ttl);
        self.restarts.used(request.ttl);
        self.send(budget, request.asked, |answer| {
            Task::acquire(request, answer)
        })
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let mut chunks = Vec::with_capacity(requests.len().div_ceil(MOST_EXTENDED));
        let mut requests = requests.into_iter();
        while requests.len() > 0 {
            chunks.push(self.extend_chunk(requests.by_ref().take(MOST_EXTENDED).collect()));
        }
        Box::pin(async move {
            let mut replies = Vec::new();
            for chunk in chunks {
                replies.append(&mut chunk.await);
            }
            replies
        })
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.send(request.budget, request.asked, |answer| Task::Release {
            request,
            answer,
        })
    }

    fn has_line(&self) -> bool {
        true
    }

    fn passed(&self, next: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        self.pushes.passed(next)
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn nodes(&self) -> BoxFuture<'static, Vec<NodeStatus>> {
        let asked = Instant::now();
        let reply = self.send(self.response_timeout, Some(asked), |answer| Task::Look {
            answer,
        });
        let this = self.clone();
        Box::pin(async move {
            let heard = reply.await;
            vec![this.status(heard, asked.elapsed())]
        })
    }

    fn epochs(&self) -> Option<Epochs> {
        self.restarts.epochs()
    }

    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        let (waiting, closed) = oneshot::channel();
        // First: whoever finds that nothing is taken in any more looks here.
        let was_closed = self.is_closed.swap(true, Ordering::AcqRel);
        let told = self.inbox.put(Message::Close(waiting));
        let told = told.map_err(|_| {
            if was_closed {
                self.gone()
            } else {
                BackendError::RuntimeGone
            }
        });
        Box::pin(async move {
            told?;
            closed.await.map_err(|_| BackendError::RuntimeGone)
        })
    }

    fn address(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }
}

impl fmt::Debug for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisNode")
            .field("address", &self.name)
            .finish_non_exhaustive()
    }
}

/// The answer to a command that is on its way; the link tells in time that there
/// is none.
struct Reply<R>(oneshot::Receiver<Result<R, BackendError>>);

impl<R> Future for Reply<R> {
    type Output = Result<R, BackendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(cx);
        // Without one the link is gone, and its runtime.
        answer.map(|answer| answer.unwrap_or(Err(BackendError::RuntimeGone)))
    }
}

/// The answer where the caller is not on the link's runtime: nobody knows whether
/// that is driven, and the link keeps time.
async fn heard_elsewhere<R>(
    reply: Reply<R>,
    limit: Limit,
    node: Arc<str>,
) -> Result<R, BackendError> {
    let answer = until(limit.end(), reply).await;
    answer.unwrap_or_else(|| Err(limit.passed_at(node)))
}
