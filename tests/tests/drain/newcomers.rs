//! Whoever asks while a drain begins or goes on.

use super::*;

#[tokio::test(start_paused = true)]
async fn waiters_and_newcomers_are_told_at_once() {
    for (_, manager) in managers() {
        let held = guard(&manager, "k").await;
        let waiters: Vec<_> = (0..10)
            .map(|_| tokio::spawn(manager.lock("k", LONG).wait(LONG).acquire()))
            .collect();
        let several = tokio::spawn(manager.lock_all(["j", "k"], LONG).wait(LONG).acquire());
        sleep(A_MOMENT).await;
        let draining = manager.clone();
        let drain = tokio::spawn(async move { draining.drain(TIMEOUT).await });
        let asked = Instant::now();
        for waiter in waiters {
            assert!(is_draining(&waiter.await.unwrap()));
        }
        assert!(is_draining(&several.await.unwrap()));
        assert!(is_draining(&manager.lock("free", TTL).acquire().await));
        assert!(is_draining(&manager.lock("free", TTL).try_acquire().await));
        assert!(is_draining(&manager.acquire("free", TTL).await));
        assert!(asked.elapsed() < A_MOMENT);
        assert!(held.is_held());
        held.release().await.unwrap();
        assert!(drain.await.unwrap().is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_dropped_refuses_newcomers_and_ends_no_lease() {
    for (_, manager) in managers() {
        let held = guard(&manager, "k").await;
        let dropped = tokio::time::timeout(A_MOMENT, manager.drain(TIMEOUT)).await;
        assert!(dropped.is_err());
        assert!(held.is_held());
        assert!(is_draining(&manager.lock("j", TTL).acquire().await));
        held.release().await.unwrap();
        assert!(manager.drain(TIMEOUT).await.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_after_the_drain_began_is_given_back_before_it_ends() {
    let node = Scripted::new();
    node.on_acquire([Step::<AcquireReply>::pass().answering_after(A_MOMENT)]);
    let manager = LockManager::new(node.clone());
    let acquire = tokio::spawn(manager.lock("k", LONG).acquire());
    sleep(A_MOMENT / 2).await;
    let drained = manager.drain(TIMEOUT).await;
    assert!(drained.is_clean(), "{drained}");
    assert!(is_draining(&acquire.await.unwrap()));
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
    let free = LockManager::new(node.memory());
    guard(&free, "k").await.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_acquire_that_it_has_cut_off() {
    let node = Scripted::new();
    node.on_acquire([Step::never()]);
    let manager = LockManager::new(node);
    let acquire = tokio::spawn(manager.lock("k", LONG).acquire());
    yield_now().await;
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert!(asked.elapsed().is_zero());
    assert!(is_draining(&acquire.await.unwrap()));
}

type Hook = Box<dyn FnOnce() + Send>;

/// A store that answers like this or never, and does something when it is first
/// asked.
#[derive(Clone)]
struct Hooked {
    hook: Arc<Mutex<Option<Hook>>>,
    reply: Option<AcquireReply>,
}

impl Hooked {
    /// A manager over such a store, whose drain begins when that is first asked.
    fn drained(reply: Option<AcquireReply>) -> LockManager {
        let hook = Arc::default();
        let manager = LockManager::new(Self {
            hook: Arc::clone(&hook),
            reply,
        });
        let drained = manager.clone();
        *hook.lock() = Some(Box::new(move || {
            let mut drain = pin!(drained.drain(TIMEOUT));
            let mut nobody = Context::from_waker(Waker::noop());
            assert!(drain.as_mut().poll(&mut nobody).is_pending());
        }));
        manager
    }
}

impl Backend for Hooked {
    fn acquire(&self, _: AcquireRequest) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        if let Some(hook) = self.hook.lock().take() {
            hook();
        }
        match self.reply.clone() {
            Some(reply) => Box::pin(async { Ok(reply) }),
            None => Box::pin(pending()),
        }
    }

    fn extend(
        &self,
        _: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        Box::pin(pending())
    }

    fn release(&self, _: ReleaseRequest) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        Box::pin(pending())
    }
}

/// It was asked for before.
#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_as_the_drain_begins_is_refused() {
    let manager = Hooked::drained(Some(AcquireReply::Granted));
    assert!(is_draining(&manager.lock("k", TTL).acquire().await));
}

/// Neither a newcomer nor a waiter yet.
#[tokio::test(start_paused = true)]
async fn who_is_asking_as_the_drain_begins_is_told_at_once() {
    let manager = Hooked::drained(None);
    let asked = Instant::now();
    assert!(is_draining(&manager.lock("k", TTL).acquire().await));
    assert!(asked.elapsed().is_zero());
}
