//! A backend under test, and the few things that every case does with it.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use lockguard::{
    FencingToken, LockKey, LockKeys, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, BoxFuture, ExtendReply, ExtendRequest,
        Holder, ReleaseReply, ReleaseRequest,
    },
};
use rand::Rng as _;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A ttl that no case outlives.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A ttl that a case waits for: long enough that a node's share of it is no
/// hurry on a busy machine.
pub(crate) const SHORT: Duration = Duration::from_millis(500);

/// How far servers round times: Redis counts milliseconds.
pub(crate) const PRECISION: Duration = Duration::from_millis(2);

/// How long what happens "not for long" may take, well below [`LONG`].
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How long a case may take before it counts as hanging.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// Runs a case, and fails it when it hangs.
pub async fn run(case: impl Future<Output = ()>) {
    timeout(CASE_LIMIT, case)
        .await
        .expect("the case ends in time");
}

/// A backend under test, and what it needs to stay alive.
pub struct Fixture {
    /// The backend; the fixture has the only handle.
    pub(crate) backend: Arc<dyn Backend>,
    /// Dropped last.
    pub(crate) keepalive: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    /// A backend that needs nothing else.
    pub fn new(backend: impl Backend) -> Self {
        Self::keeping((), backend)
    }

    /// A backend, and what must live as long as it: its servers.
    pub fn keeping(keepalive: impl Any + Send + Sync, backend: impl Backend) -> Self {
        Self {
            backend: Arc::new(backend),
            keepalive: Box::new(keepalive),
        }
    }

    pub(crate) fn acquiring(
        &self,
        key: &LockKey,
        token: &OwnerToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let request = AcquireRequest::new(key.clone(), token.clone(), ttl);
        self.backend.acquire(request)
    }

    pub(crate) async fn acquire(
        &self,
        key: &LockKey,
        token: &OwnerToken,
        ttl: Duration,
    ) -> AcquireReply {
        let reply = self.acquiring(key, token, ttl).await;
        reply.expect("an answer to an acquire")
    }

    pub(crate) fn acquiring_all(
        &self,
        keys: &[LockKey],
        token: &OwnerToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let keys = LockKeys::new(keys.iter().cloned()).expect("some keys");
        let request = AcquireRequest::new(keys, token.clone(), ttl);
        self.backend.acquire(request)
    }

    /// Asks for the keys with a fencing token, whatever clock proposes it.
    pub(crate) fn acquiring_fenced(
        &self,
        keys: &[LockKey],
        token: &OwnerToken,
        proposal: u64,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let keys = LockKeys::new(keys.iter().cloned()).expect("some keys");
        let proposal = FencingToken::new(proposal).expect("a fencing token");
        let request = AcquireRequest::new(keys, token.clone(), ttl).fenced(proposal, DAY);
        self.backend.acquire(request)
    }

    pub(crate) async fn acquire_all(
        &self,
        keys: &[LockKey],
        token: &OwnerToken,
        ttl: Duration,
    ) -> AcquireReply {
        let reply = self.acquiring_all(keys, token, ttl).await;
        reply.expect("an answer to an acquire")
    }

    /// Acquires a free key with a new token.
    #[track_caller]
    pub(crate) fn take(&self, key: &LockKey, ttl: Duration) -> impl Future<Output = OwnerToken> {
        let caller = std::panic::Location::caller();
        async move {
            let token = fresh_token();
            let reply = self.acquire(key, &token, ttl).await;
            assert_eq!(reply, AcquireReply::Granted, "`{key}` at {caller}");
            token
        }
    }

    pub(crate) fn extending(
        &self,
        key: &LockKey,
        token: &OwnerToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let request = ExtendRequest::new(key.clone(), token.clone(), ttl);
        self.backend.extend(vec![request])
    }

    pub(crate) async fn hand_on(
        &self,
        key: &LockKey,
        from: &OwnerToken,
        to: &OwnerToken,
        ttl: Duration,
    ) -> ExtendReply {
        let request = ExtendRequest::new(key.clone(), from.clone(), ttl).to(to.clone());
        let reply = self.backend.extend(vec![request]).await.pop();
        reply
            .expect("an answer for each request")
            .expect("an answer to an extend")
    }

    pub(crate) async fn extend(
        &self,
        key: &LockKey,
        token: &OwnerToken,
        ttl: Duration,
    ) -> ExtendReply {
        let replies = self.extending(key, token, ttl).await;
        let [reply] = &replies[..] else {
            panic!("one request, and these answers: {replies:?}");
        };
        *reply.as_ref().expect("an answer to an extend")
    }

    pub(crate) fn releasing(
        &self,
        key: &LockKey,
        token: &OwnerToken,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let request = ReleaseRequest::new(key.clone(), token.clone());
        self.backend.release(request)
    }

    pub(crate) async fn release(&self, key: &LockKey, token: &OwnerToken) -> ReleaseReply {
        let reply = self.releasing(key, token).await;
        reply.expect("an answer to a release")
    }

    /// Gives the key back, but for a rest of its ttl.
    pub(crate) async fn release_keeping(
        &self,
        key: &LockKey,
        token: &OwnerToken,
        rest: Duration,
    ) -> ReleaseReply {
        let request = ReleaseRequest::new(key.clone(), token.clone()).keeping(rest);
        let reply = self.backend.release(request).await;
        reply.expect("an answer to a release")
    }

    /// Who holds the key now; `None` when it is free.
    pub(crate) async fn holder(&self, key: &LockKey) -> Option<Holder> {
        let token = fresh_token();
        match self.acquire(key, &token, LONG).await {
            AcquireReply::Granted => {
                assert_eq!(self.release(key, &token).await, ReleaseReply::Freed);
                None
            }
            AcquireReply::Busy(holder) => Some(holder),
            other => panic!("`{key}` is neither free nor held: {other:?}"),
        }
    }

    /// What is left of the ttl of a key that is held by this token.
    #[track_caller]
    pub(crate) fn left_of(
        &self,
        key: &LockKey,
        token: &OwnerToken,
    ) -> impl Future<Output = Duration> {
        let caller = std::panic::Location::caller();
        async move {
            let holder = self.holder(key).await;
            let holder = holder.unwrap_or_else(|| panic!("`{key}` is free at {caller}"));
            assert!(is_held_by(&holder, token), "{holder:?} at {caller}");
            holder.expires_in().expect("a key with an expiry")
        }
    }

    /// Fails unless the token holds the key.
    #[track_caller]
    pub(crate) fn assert_held(
        &self,
        key: &LockKey,
        token: &OwnerToken,
    ) -> impl Future<Output = ()> {
        let left = self.left_of(key, token);
        async move {
            left.await;
        }
    }

    /// Fails unless the next acquire is granted.
    #[track_caller]
    pub(crate) fn assert_free(&self, key: &LockKey) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let holder = self.holder(key).await;
            assert!(holder.is_none(), "`{key}` at {caller}: {holder:?}");
        }
    }

    /// Takes a key with new tokens until one is granted, or gives up.
    ///
    /// For keys that become free in the background.
    pub(crate) async fn take_soon(&self, key: &LockKey) -> OwnerToken {
        let end = Instant::now() + SOON;
        loop {
            let token = fresh_token();
            let reply = self.acquire(key, &token, LONG).await;
            if reply == AcquireReply::Granted {
                return token;
            }
            assert!(Instant::now() < end, "`{key}` after {SOON:?}: {reply:?}");
            back_off(20).await;
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("backend", &self.backend.address())
            .finish_non_exhaustive()
    }
}

/// A key that no other test uses.
pub(crate) fn fresh_key() -> LockKey {
    let random: u64 = rand::rng().random();
    key(format!("contract:{random:016x}"))
}

pub(crate) fn key(text: impl AsRef<str>) -> LockKey {
    LockKey::new(text).expect("a valid key")
}

pub(crate) fn fresh_token() -> OwnerToken {
    OwnerToken::with_label("contract@test")
}

pub(crate) fn is_held_by(holder: &Holder, token: &OwnerToken) -> bool {
    holder.is_same_owner(&Holder::new(token.expose().as_bytes(), None))
}

/// Sleeps up to so many milliseconds, so that contenders part.
pub(crate) async fn back_off(at_most: u64) {
    let millis = rand::rng().random_range(0..=at_most);
    sleep(Duration::from_millis(millis)).await;
}

/// Waits until every lease of `ttl` that was granted before `since` has ended.
pub(crate) async fn expired(since: Instant, ttl: Duration) {
    sleep_until(since + ttl + PRECISION).await;
}
