//! Guards: extend, release, drop, wherever and whenever.

use std::{thread, time::Duration};

use lockguard::{LockError, LockManager, LostCause, NodeError, ReleaseError, backend::*};
use lockguard_tests::{Operation, Scripted, Step, forward, redlock_over};
use tokio::time::advance;

const TTL: Duration = Duration::from_secs(2);

const OUT_OF_BOUNDS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(9),
    Duration::from_secs(24 * 60 * 60 + 1),
];

fn assert_send_sync<T: Send + Sync + std::fmt::Debug + 'static>() {}

#[test]
fn public_handles_are_send_sync_static_and_debug() {
    assert_send_sync::<LockManager>();
    assert_send_sync::<lockguard::LockGuard>();
    assert_send_sync::<lockguard::Lease>();
    assert_send_sync::<LockError>();
    assert_send_sync::<lockguard::LockRequest>();
    assert_send_sync::<lockguard::LockManagerBuilder>();
}

#[test]
fn acquire_futures_are_send_and_static() {
    fn is<T: Send + 'static>(future: T) -> T {
        future
    }
    let manager = LockManager::memory();
    drop(is(manager.lock("k", TTL).acquire()));
    drop(is(manager.lock("k", TTL).try_acquire()));
    drop(is(manager.lock("k", TTL).run(async |_| ())));
}

#[tokio::test(start_paused = true)]
async fn a_ttl_outside_10_ms_to_24_h_is_refused_before_anything_is_asked() {
    let manager = LockManager::memory();
    for ttl in OUT_OF_BOUNDS {
        let error = manager.lock("k", ttl).acquire().await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_bad_key_is_an_error_of_the_first_await() {
    let manager = LockManager::memory();
    for key in ["", "a b", "a\nb"] {
        let error = manager.lock(key, TTL).acquire().await.unwrap_err();
        assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn extend_moves_the_deadline() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL / 2).await;
    guard.extend(TTL).await.unwrap();
    advance(TTL * 9 / 10).await;
    assert!(guard.is_held());
    guard.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_nobody_answers_is_unavailable_and_moves_no_deadline() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let deadline = guard.deadline();
    node.on_extend([Step::never()]);
    let error = guard.extend(TTL).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(guard.deadline(), deadline);
}

#[tokio::test(start_paused = true)]
async fn extend_by_a_ttl_outside_10_ms_to_24_h_is_refused_before_anything_is_asked() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    for ttl in OUT_OF_BOUNDS {
        let error = guard.extend(ttl).await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    }
    assert!(node.calls_of(Operation::Extend).is_empty());
    assert!(guard.is_held());
}

#[tokio::test(start_paused = true)]
async fn extend_after_the_deadline_is_lost() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL).await;
    let error = guard.extend(TTL).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(!guard.is_held());
}

/// The key may be held by somebody else, or kept for nobody.
#[tokio::test(start_paused = true)]
async fn extend_after_the_deadline_asks_no_server() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL).await;
    guard.extend(TTL).await.unwrap_err();
    assert_eq!(node.calls_of(Operation::Extend).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn extend_of_a_key_that_was_taken_away_ends_the_lease() {
    let manager = LockManager::new(Emptied(Memory::new()));
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let error = guard.extend(TTL).await.unwrap_err();
    assert!(matches!(
        error,
        LockError::Lost {
            cause: LostCause::Taken,
            ..
        }
    ));
    assert!(!guard.is_held());
}

/// A store that has lost every key when it is asked to extend or release.
struct Emptied(Memory);

impl Backend for Emptied {
    forward!(acquire => |store| store.0);

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> lockguard::BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        Box::pin(async move { requests.iter().map(|_| Ok(ExtendReply::NotHeld)).collect() })
    }

    fn release(
        &self,
        _: ReleaseRequest,
    ) -> lockguard::BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        Box::pin(async { Ok(ReleaseReply::NotHeld) })
    }
}

#[tokio::test(start_paused = true)]
async fn release_of_a_lease_that_the_servers_lost_is_an_error() {
    let manager = LockManager::new(Emptied(Memory::new()));
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let error = guard.release().await.unwrap_err();
    assert!(matches!(
        error,
        ReleaseError::Lost {
            cause: LostCause::Taken,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_comes_after_the_ttl_is_expired_and_not_taken() {
    let backend = Scripted::new();
    let manager = LockManager::new(backend.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let late = Duration::from_millis(100);
    backend.on_release([Step::pass().after(late)]);
    advance(guard.remaining().saturating_sub(late / 2)).await;
    let error = guard.release().await.unwrap_err();
    let expected = LostCause::Expired;
    assert!(
        matches!(error, ReleaseError::Lost { cause, .. } if cause == expected),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn release_after_the_deadline_is_lost_and_leaves_the_successor() {
    let manager = LockManager::memory();
    let stale = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL).await;
    let successor = manager.lock("k", TTL).acquire().await.unwrap();
    let error = stale.release().await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert!(
        manager
            .lock("k", TTL)
            .try_acquire()
            .await
            .unwrap_err()
            .is_busy()
    );
    successor.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_end_of_a_lease_is_told_of_its_release() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let lease = guard.lease().clone();
    let ended = tokio::spawn(async move { lease.lost().await });
    tokio::task::yield_now().await;
    guard.release().await.unwrap();
    let told = tokio::time::timeout(TTL / 4, ended).await;
    assert_eq!(told.unwrap().unwrap(), LostCause::Expired);
}

#[tokio::test(start_paused = true)]
async fn what_ended_a_lease_is_still_told_after_its_release() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).max_hold(2 * TTL);
    let guard = request.acquire().await.unwrap();
    let lease = guard.lease().clone();
    advance(2 * TTL).await;
    let error = guard.release().await.unwrap_err();
    let expected = LostCause::MaxHold;
    assert!(
        matches!(error, ReleaseError::Lost { cause, .. } if cause == expected),
        "{error}"
    );
    assert_eq!(lease.lost().await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_extend_that_is_answered_after_the_deadline_is_lost() {
    let node = Scripted::new();
    node.on_extend([Step::fail().after(TTL / 2)]);
    let manager = LockManager::new(node);
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL * 9 / 10).await;
    let error = guard.extend(4 * TTL).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
}

/// A contender had C and E; D, whose vote counted, is away now.
#[tokio::test(start_paused = true)]
async fn an_extend_that_nobody_can_decide_leaves_the_lease_and_its_deadline() {
    let nodes = ["a", "b", "c", "d", "e"].map(Scripted::named);
    let redlock = redlock_over(nodes.clone());
    for refusing in [&nodes[2], &nodes[4]] {
        let held = AcquireReply::Busy(Holder::new(*b"another", Some(TTL)));
        refusing.on_acquire([Step::reply(held)]);
    }
    let guard = LockManager::new(redlock)
        .lock("k", TTL)
        .acquire()
        .await
        .unwrap();
    let deadline = guard.deadline();
    nodes[3].on_every_extend(Step::never());
    match guard.extend(TTL * 2).await {
        Err(LockError::Unavailable { nodes, .. }) => {
            let silent: Vec<_> = nodes.iter().map(NodeError::node).collect();
            assert_eq!(silent, ["d"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(guard.is_held());
    assert_eq!(guard.deadline(), deadline);
}

#[tokio::test(start_paused = true)]
async fn a_late_grant_is_unavailable_after_the_round_that_showed_it() {
    let node = Scripted::new();
    node.on_every_acquire(Step::pass().answering_after(TTL * 3 / 4));
    let manager = LockManager::new(node.clone());
    let start = tokio::time::Instant::now();
    let error = manager
        .lock("k", TTL)
        .wait(100 * TTL)
        .acquire()
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(start.elapsed() < TTL);
    assert_eq!(node.calls_of(Operation::Acquire).len(), 1);
}

/// The process was paused with the answer in its hands.
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_heard_too_late_is_unavailable_and_given_back() {
    let node = Scripted::new();
    node.on_acquire([Step::pass().answering_after(TTL / 8)]);
    let manager = LockManager::new(node.clone());
    let mut acquire = std::pin::pin!(manager.lock("k", TTL).acquire());
    let asked = tokio::time::timeout(TTL / 16, &mut acquire).await;
    assert!(asked.is_err(), "it waits for the answer");
    advance(TTL * 3 / 4).await;
    let error = acquire.await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
}

#[tokio::test]
async fn an_extend_over_a_quorum_is_on_its_way_when_its_method_returns() {
    let nodes: Vec<_> = (0..3).map(|_| Scripted::new()).collect();
    let redlock = redlock_over(nodes.clone());
    let key = lockguard::LockKey::new("k").unwrap();
    let token = lockguard::OwnerToken::with_label("");
    drop(redlock.extend(vec![ExtendRequest::new(key, token, TTL)]));
    for node in &nodes {
        assert_eq!(node.calls_of(Operation::Extend).len(), 1);
    }
}

#[test]
fn the_memory_manager_works_without_a_runtime() {
    let manager = LockManager::memory();
    let guard = block_on(manager.lock("k", TTL).acquire()).unwrap();
    let busy = block_on(manager.lock("k", TTL).try_acquire()).unwrap_err();
    assert!(busy.is_busy());
    block_on(guard.release()).unwrap();
    drop(block_on(manager.lock("k", TTL).acquire()).unwrap());
    drop(block_on(manager.lock("k", TTL).try_acquire()).unwrap());
}

#[test]
fn a_wait_without_a_runtime_ends_at_its_deadline() {
    let manager = LockManager::memory();
    let _guard = block_on(manager.lock("k", TTL).acquire()).unwrap();
    let wait = Duration::from_millis(50);
    let start = std::time::Instant::now();
    let error = block_on(manager.lock("k", TTL).wait(wait).acquire()).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(start.elapsed() >= wait);
}

#[test]
fn a_waiter_without_a_runtime_is_woken_by_the_release() {
    let manager = LockManager::memory();
    let guard = block_on(manager.lock("k", TTL).acquire()).unwrap();
    let request = manager.lock("k", TTL).wait(Duration::from_secs(30));
    let waiter = thread::spawn(move || block_on(request.acquire()).map(drop));
    drop(guard);
    waiter.join().unwrap().unwrap();
}

#[test]
fn one_memory_manager_serves_one_runtime_after_another() {
    let manager = LockManager::memory();
    for _ in 0..3 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let guard = runtime.block_on(manager.lock("k", TTL).acquire()).unwrap();
        drop(runtime);
        drop(guard);
    }
    assert!(block_on(manager.lock("k", TTL).try_acquire()).is_ok());
}

#[test]
fn dropping_a_guard_on_a_plain_thread_frees_the_key() {
    let manager = LockManager::memory();
    let guard = block_on(manager.lock("k", TTL).acquire()).unwrap();
    thread::spawn(move || drop(guard)).join().unwrap();
    assert!(block_on(manager.lock("k", TTL).try_acquire()).is_ok());
}

#[tokio::test]
async fn debug_shows_the_key_and_never_the_owner_token() {
    let manager = LockManager::memory();
    let token = manager.acquire("other", TTL).await.unwrap();
    let guard = manager.lock("seat:1", TTL).acquire().await.unwrap();
    let shown = format!("{manager:?} {guard:?} {token:?}");
    assert!(shown.contains("seat:1"), "{shown}");
    let random = token.expose().rsplit(':').next().unwrap();
    assert!(!shown.contains(random), "{shown}");
}

/// Drives a future on this thread, without tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_key_is_granted_however_long_other_tasks_take_their_turns() {
    let manager = LockManager::memory();
    let others = tokio::spawn(async {
        loop {
            advance(TTL * 3 / 4).await;
        }
    });
    let locks = tokio::spawn(async move {
        // More than a task may do in one turn of its own.
        for nth in 0..1000 {
            let lock = manager.lock(format!("k:{nth}"), TTL).try_acquire();
            drop(lock.await.unwrap());
        }
    });
    locks.await.unwrap();
    others.abort();
}
