//! The contract between lockguard and the places where locks are kept.

use std::{borrow::Cow, future::ready, sync::Arc};

use crate::{
    backend::{
        AcquireReply, AcquireRequest, BackendError, CloseReply, Epochs, ExtendReply, ExtendRequest,
        Pass, ReleaseReply, ReleaseRequest,
    },
    key::LockKey,
    node_status::{NodeRole, NodeStatus},
    token::OwnerToken,
};

/// A boxed future, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place where locks are kept.
///
/// The sentences below are the contract suite, which runs over every backend in
/// this crate; `tests/src/contract/mod.rs` lists its cases.
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
///   [unknown](super::Holder::unknown) holder.
/// - Where [keys have a line](Backend::has_line), a refused acquire of one key
///   that [waits](AcquireRequest::waiting) enters the waiter into it.
///   A key that is given back is reserved for the lowest ticket in its line,
///   for a short time, held by nobody, and refused to everybody else;
///   [`passed`](Backend::passed) resolves, where it is to be had, and the
///   waiter's next acquire is granted with the whole ttl.
///   It takes the ticket out of the line, and so does a release by which the
///   waiter [leaves](super::Standing::Leaves).
///   A reservation that nobody claims runs out, and the next in line has it.
///   To a waiter that [takes grants](super::Waiter::takes_grants), and has just asked
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
    /// [next](super::Waiter::next) of a waiter, or granted to it, since this call, or
    /// when the waiter may have fallen out of line; `None` where keys have no
    /// line, or nobody can be told: then waiters ask again and again.
    ///
    /// [`Pass::Reserved`] is a hint: whoever is woken acquires with its ticket
    /// and this token, and only that is a grant.
    /// [`Pass::Granted`] says that the token holds the key, for at least the ttl
    /// from when the acquire was sent that left it in line; only a waiter that
    /// [takes grants](super::Waiter::takes_grants) is told so.
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
    /// needs no runtime, so that a release can be done inside `Drop`, and a key
    /// that nobody of a manager waits for is asked for without a place in line.
    fn is_immediate(&self) -> bool {
        false
    }

    /// Whether every acquire resolves within the node budget of its ttl, a
    /// quarter within 10 ms and 1 s, extends within the longest one of theirs,
    /// and every release within its [budget](ReleaseRequest::budget), by
    /// themselves, from when the method is called.
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
