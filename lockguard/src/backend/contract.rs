//! The contract between lockguard and the places where locks are kept.

use std::{borrow::Cow, fmt, future::ready, sync::Arc, time::Duration};

use crate::{
    backend::{Epochs, Holder, Pass, Standing, Ticket, Waiter},
    error::NodeError,
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    node_status::{NodeRole, NodeStatus},
    token::OwnerToken,
    validity::LONGEST_NODE_BUDGET,
};

/// A boxed future, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place where locks are kept.
///
/// The sentences below are the contract suite, which runs over every backend in
/// this crate; `docs/TESTING.md` lists its cases.
///
/// - A key is held by at most one owner token, for at most its ttl.
/// - [`acquire`](Backend::acquire) grants a free key, refuses a held one and
///   leaves that one and its ttl alone; repeated with the token that holds the
///   key it grants again, without a longer ttl.
/// - An acquire of several keys takes all of them or none, in one step on each
///   server; what is refused names the key.
///   Each key is extended and released by itself.
/// - A fenced acquire is granted with a fencing token, one for all its keys:
///   greater than every one that a new owner of one of them got before, and at
///   least the proposal, which is cut one hour ahead of the server's clock.
///   Repeated by the holder it answers the same token, or the proposal where
///   that is greater, uncut, and keeps the keys for the whole ttl again.
///   Only fenced acquires change a key's fence, and refused ones do not.
/// - [`release`](Backend::release) and [`extend`](Backend::extend) compare the
///   owner token and change nothing that is not its own.
/// - An extend never creates a key and never shortens a ttl.
/// - An extend [to](ExtendRequest::to) another owner token hands the key to
///   that one; repeated, it extends the key again.
/// - A release that [keeps](ReleaseRequest::keeping) a rest leaves the key
///   taken for that long; it never lengthens a ttl, and repeating it changes
///   nothing.
/// - A reply that is no grant leaves nothing behind for long: what was taken is
///   being given back.
///   One that is [curt](AcquireRequest::curt) may be refused by an
///   [unknown](Holder::unknown) holder.
/// - Where [keys have a line](Backend::has_line), a refused acquire of one key
///   that [waits](AcquireRequest::waiting) enters the waiter into it.
///   A key that is given back is reserved for the lowest ticket in its line,
///   for a short time, held by nobody, and refused to everybody else;
///   [`passed`](Backend::passed) resolves, where it is to be had, and the
///   waiter's next acquire is granted with the whole ttl.
///   It takes the ticket out of the line, and so does a release by which the
///   waiter [leaves](Standing::Leaves).
///   A reservation that nobody claims runs out, and the next in line has it.
///   To a waiter that [takes grants](Waiter::takes_grants), and has just asked
///   for this key alone, it may be granted instead, which `passed` says.
///   A key that is left [open](ReleaseRequest::opening) is reserved for nobody,
///   and `passed` of the lowest ticket resolves a moment later.
///   Whoever waits for several keys is entered into the line of the one that is
///   held, and is told without a reservation.
///   An acquire of one key that [replaces](AcquireRequest::replacing) the token
///   that holds it is granted with the whole ttl, and is a new owner's: whoever
///   stands in line goes on waiting.
/// - After an error, or when the future is dropped, the outcome is unknown:
///   the caller releases, and that release takes effect after the acquire.
/// - Every future resolves within a bounded time.
///
/// Futures own what they need, so that a caller can hand an unfinished one to
/// the background.
///
/// # Cancel safety
///
/// Dropping a future may leave the operation done or not done, and never half
/// done on one server.
/// lockguard itself never drops a release.
///
/// # Examples
///
/// A wrapper that counts what passes through it:
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use lockguard::{BoxFuture, backend::*};
///
/// #[derive(Default)]
/// struct Counting {
///     inner: Memory,
///     acquires: AtomicUsize,
/// }
///
/// impl Backend for Counting {
///     fn acquire(
///         &self,
///         request: AcquireRequest,
///     ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
///         self.acquires.fetch_add(1, Ordering::Relaxed);
///         self.inner.acquire(request)
///     }
///
///     fn extend(
///         &self,
///         requests: Vec<ExtendRequest>,
///     ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
///         self.inner.extend(requests)
///     }
///
///     fn release(
///         &self,
///         request: ReleaseRequest,
///     ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
///         self.inner.release(request)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::{sync::Arc, time::Duration};
///
/// let backend = Arc::new(Counting::default());
/// let manager = lockguard::LockManager::new(Arc::clone(&backend));
/// let guard = manager.lock("seat:1", Duration::from_secs(2)).acquire().await?;
/// assert_eq!(backend.acquires.load(Ordering::Relaxed), 1);
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
pub trait Backend: Send + Sync + 'static {
    /// Takes the keys for the token, if nobody holds any of them.
    ///
    /// # Errors
    ///
    /// [`BackendError`]; unless the runtime is gone, the caller releases.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the keys may be taken; the caller releases.
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>>;

    /// Lengthens leases; one answer for each request, in their order.
    ///
    /// # Errors
    ///
    /// [`BackendError`], for each request by itself: the key may be kept longer
    /// or not.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, each key may be kept longer or not.
    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>>;

    /// Gives the key back, if the token holds it.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: the key is free by its ttl at the latest.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the key may be given back or not, and the
    /// release can be repeated.
    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>>;

    /// Resolves when the key is given back after this call; `None` where the
    /// backend cannot tell, and waiters ask again with growing delays.
    ///
    /// A release that keeps a rest may wake as well: the waiter learns the
    /// rest.
    /// A wake is a hint: whoever is woken acquires like anybody else.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, its waiter is forgotten.
    fn freed(&self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let _ = key;
        None
    }

    /// Whether waiters for a key stand in line here, and one owner token can be
    /// put in the place of another.
    fn has_line(&self) -> bool {
        false
    }

    /// Resolves when a key has been reserved for this token, the
    /// [next](Waiter::next) of a waiter, or granted to it, since this call, or
    /// when the waiter may have fallen out of line; `None` where keys have no
    /// line, or nobody can be told: then waiters ask again and again.
    ///
    /// [`Pass::Reserved`] is a hint: whoever is woken acquires with its ticket
    /// and this token, and only that is a grant.
    /// [`Pass::Granted`] says that the token holds the key, for at least the ttl
    /// from when the acquire was sent that left it in line; only a waiter that
    /// [takes grants](Waiter::takes_grants) is told so.
    /// To be called before the acquire that leaves the token in line, so that
    /// nothing is missed.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, it is forgotten; the waiter stays in line.
    fn passed(&self, next: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        let _ = next;
        None
    }

    /// Tells when everything that the backend had granted is void, so that all
    /// leases end at once; `None` where that does not happen, or cannot be
    /// known.
    ///
    /// The same for the whole life of the backend.
    fn epochs(&self) -> Option<Epochs> {
        None
    }

    /// Finds out how each node is; never fails.
    ///
    /// Asks all nodes at once, and each no longer than it would be waited for
    /// otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    fn nodes(&self) -> BoxFuture<'static, Vec<NodeStatus>> {
        let status = NodeStatus::new(self.address(), NodeRole::Unknown);
        Box::pin(ready(vec![status]))
    }

    /// Whether every future of this backend is ready at its first poll and
    /// needs no runtime, so that a release can be done inside `Drop`.
    fn is_immediate(&self) -> bool {
        false
    }

    /// Whether every acquire resolves within the node budget of its ttl, a
    /// quarter within 10 ms and 1 s, extends within the longest one of theirs,
    /// and every release within its [budget](ReleaseRequest::budget), by
    /// themselves.
    ///
    /// A lock store that has to ask its servers again for a fencing token may
    /// take a node budget each time.
    /// Where they do not, whoever waits for one sets a timer for it.
    fn keeps_time(&self) -> bool {
        false
    }

    /// Finishes what has been asked for, sends the releases that a server has
    /// missed, and closes connections; nothing is asked for afterwards.
    ///
    /// A backend without connections has nothing to do.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: too few servers could be told.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what has been asked for is still finished
    /// and connections are closed, and a server that is gone is not waited
    /// for any more.
    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        Box::pin(ready(Ok(CloseReply::Closed)))
    }

    /// What the backend is called in errors: a server's host and port.
    fn address(&self) -> Cow<'_, str> {
        Cow::Borrowed("a backend without an address")
    }
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        (**self).acquire(request)
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        (**self).extend(requests)
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        (**self).release(request)
    }

    fn freed(&self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        (**self).freed(key)
    }

    fn has_line(&self) -> bool {
        (**self).has_line()
    }

    fn passed(&self, next: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        (**self).passed(next)
    }

    fn epochs(&self) -> Option<Epochs> {
        (**self).epochs()
    }

    fn nodes(&self) -> BoxFuture<'static, Vec<NodeStatus>> {
        (**self).nodes()
    }

    fn is_immediate(&self) -> bool {
        (**self).is_immediate()
    }

    fn keeps_time(&self) -> bool {
        (**self).keeps_time()
    }

    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        (**self).close()
    }

    fn address(&self) -> Cow<'_, str> {
        (**self).address()
    }
}

/// Asks for a key, or for several at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcquireRequest {
    /// The keys to take: all or none.
    pub keys: LockKeys,
    /// The owner token to store under each, new for this attempt.
    pub token: OwnerToken,
    /// How long the keys are kept unless they are extended.
    pub ttl: Duration,
    /// Asks for a fencing token, if it is there.
    pub fence: Option<FenceRequest>,
    /// Whether a refusal need not say who holds the key: the caller asks again,
    /// and then wants to know.
    pub is_curt: bool,
    /// Who waits in the key's line, if it is refused.
    pub waiter: Option<Waiter>,
    /// The owner token of ours in whose place the new one is put.
    pub replaces: Option<OwnerToken>,
}

impl AcquireRequest {
    /// Asks for one key or several on behalf of `token`, for `ttl`.
    pub fn new(keys: impl Into<LockKeys>, token: OwnerToken, ttl: Duration) -> Self {
        Self {
            keys: keys.into(),
            token,
            ttl,
            fence: None,
            is_curt: false,
            waiter: None,
            replaces: None,
        }
    }

    /// Puts the token in the place of this one, which is dead from then on; for
    /// one key, and refused where neither of them holds it.
    ///
    /// A fenced request takes a key that nobody holds as well: its fencing token
    /// rises all the same.
    #[must_use]
    pub fn replacing(mut self, token: OwnerToken) -> Self {
        self.replaces = Some(token);
        self
    }

    /// The same, where a refusal need not say who holds the key.
    #[must_use]
    pub fn curt(mut self) -> Self {
        self.is_curt = true;
        self
    }

    /// The same for a waiter, who is entered into the key's line if it is
    /// refused; of several keys, into that of the one that is held.
    #[must_use]
    pub fn waiting(mut self, waiter: Waiter) -> Self {
        self.waiter = Some(waiter);
        self
    }

    /// The same, with a fencing token.
    ///
    /// `proposal` is the token to reach, and `keep` how long the keys' fences
    /// are remembered from now.
    #[must_use]
    pub fn fenced(mut self, proposal: FencingToken, keep: Duration) -> Self {
        self.fence = Some(FenceRequest {
            proposal,
            keep,
            is_raise: false,
        });
        self
    }

    /// The same fenced request once more, to raise what was granted to this
    /// token; nobody waits for that.
    #[must_use]
    pub fn raised(mut self, to: FencingToken) -> Self {
        self.waiter = None;
        if let Some(fence) = &mut self.fence {
            fence.proposal = to;
            fence.is_raise = true;
        }
        self
    }
}

/// Asks for a fencing token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FenceRequest {
    /// The token to reach, so that all servers answer alike.
    pub proposal: FencingToken,
    /// How long the keys' fences are remembered from now.
    pub keep: Duration,
    /// Whether the same server has been asked for the same owner token before,
    /// and has granted.
    pub is_raise: bool,
}

/// Asks for a longer lease.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExtendRequest {
    /// The key that is held.
    pub key: LockKey,
    /// The owner token that holds it.
    pub token: OwnerToken,
    /// How long the key is kept from now on.
    pub ttl: Duration,
    /// Who holds the key from now on, in place of `token`.
    pub successor: Option<OwnerToken>,
}

impl ExtendRequest {
    /// Asks to keep `key`, held by `token`, for `ttl` from now.
    pub fn new(key: LockKey, token: OwnerToken, ttl: Duration) -> Self {
        Self {
            key,
            token,
            ttl,
            successor: None,
        }
    }

    /// The same, and hands the key to another owner token, in one step.
    #[must_use]
    pub fn to(mut self, successor: OwnerToken) -> Self {
        self.successor = Some(successor);
        self
    }
}

/// Gives a key back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The key that is held.
    pub key: LockKey,
    /// The owner token that holds it.
    pub token: OwnerToken,
    /// How long its caller waits for the reply; the release itself goes on.
    pub budget: Duration,
    /// What is kept of its ttl, from now on; `None`: the key is free at once.
    pub keep: Option<Duration>,
    /// Whose ticket leaves the key's line, or stays, if somebody waited.
    pub standing: Option<Standing>,
    /// Whether the key goes to whoever asks first, and not to the first in its
    /// line.
    pub is_open: bool,
}

impl ReleaseRequest {
    /// Gives back `key`, held by `token`; its caller waits for 1 s.
    pub fn new(key: LockKey, token: OwnerToken) -> Self {
        Self {
            key,
            token,
            budget: LONGEST_NODE_BUDGET,
            keep: None,
            standing: None,
            is_open: false,
        }
    }

    /// Waits no longer than this for the reply, and 1 s at most.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = budget.min(LONGEST_NODE_BUDGET);
        self
    }

    /// Takes this ticket out of the key's line as well.
    #[must_use]
    pub fn leaving(mut self, ticket: Ticket) -> Self {
        self.standing = Some(Standing::Leaves(ticket));
        self
    }

    /// Leaves the waiter in the key's line, with its next token; the key goes
    /// to a lower ticket, or to nobody.
    #[must_use]
    pub fn staying(mut self, waiter: Waiter) -> Self {
        self.standing = Some(Standing::Stays(waiter));
        self
    }

    /// Leaves the key to whoever asks, unless a rest of it is kept: the first in
    /// its line is told to ask a moment later.
    #[must_use]
    pub fn opening(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Leaves the key taken for `rest` from now, and not longer than it would
    /// have been; a rest of zero frees it at once.
    #[must_use]
    pub fn keeping(mut self, rest: Duration) -> Self {
        self.keep = (!rest.is_zero()).then_some(rest);
        self
    }
}

/// What an acquire came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireReply {
    /// The token holds the keys.
    Granted,
    /// The token holds the keys, with this fencing token: the reply to a
    /// fenced request.
    GrantedWith(FencingToken),
    /// Another owner holds one of the keys: the one that the holder names, and
    /// where it names none, the first.
    Busy(Holder),
    /// Nobody holds the keys, and neither does the token: several asked at once
    /// and no one got a quorum, or the holder left between two questions.
    /// Worth another attempt, with a new token.
    Split,
}

/// What an extend came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtendReply {
    /// The key is kept at least for the new ttl.
    Extended,
    /// Nobody holds the key.
    NotHeld,
    /// Another owner holds the key.
    NotOwner,
}

/// What a release came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseReply {
    /// The token held the key, and it is free now, or after the rest that was
    /// to be kept.
    Freed,
    /// Nobody held the key.
    NotHeld,
    /// Another owner holds the key; it was left alone.
    NotOwner,
}

/// What closing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReply {
    /// Connections are closed, and nothing is known of releases that failed.
    Closed,
    /// And every release that was ever asked for has been done.
    Flushed,
}

/// Why a backend gave no answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BackendError {
    /// Too few servers answered.
    Unavailable {
        /// The servers that did not answer, and why.
        nodes: Vec<NodeError>,
    },
    /// The key exists and is no lock; the reason says what it holds.
    InvalidKey {
        /// Which of several keys it is; `None` for the first.
        key: Option<LockKey>,
        /// Fits after the key's name: "holds a hash, not a lock".
        reason: Arc<str>,
    },
    /// The runtime that drives the connections has ended.
    RuntimeGone,
}

impl BackendError {
    /// One server did not answer.
    pub fn unavailable(node: NodeError) -> Self {
        Self::Unavailable { nodes: vec![node] }
    }

    /// One server did not answer in time.
    pub(crate) fn no_answer(node: impl Into<Arc<str>>, within: Duration) -> Self {
        let reason = format!("no answer within {within:?}");
        Self::unavailable(NodeError::new(node, reason))
    }

    /// The key holds something that is no lock.
    pub fn invalid_key(reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidKey {
            key: None,
            reason: reason.into(),
        }
    }

    /// This one of several keys holds something that is no lock.
    pub fn invalid_key_of(key: LockKey, reason: impl Into<Arc<str>>) -> Self {
        Self::InvalidKey {
            key: Some(key),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { nodes } => {
                f.write_str("reach a quorum of servers")?;
                crate::error::write_nodes(f, nodes)
            }
            Self::InvalidKey { reason, .. } => write!(f, "use the key: it {reason}"),
            Self::RuntimeGone => f.write_str("use a connection whose runtime has ended"),
        }
    }
}

impl std::error::Error for BackendError {}
