//! A manager that is drained ends every lease within its time, and leaves
//! nothing.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::{
    array,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    thread,
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockGuard, LockKey, LockManager, LostCause, OnLost, ReleaseError,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, CloseReply, ExtendReply,
        ExtendRequest, Redlock, ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{
    Fate, Operation, Scripted, Servers, Step, Worker, eventually, eventually_blocking, forward,
    over_1_3_5_nodes, redlock_over,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Runtime,
    sync::oneshot,
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep, timeout},
};

const TTL: Duration = Duration::from_secs(2);

/// Long: a key that is gone before was released, and did not expire.
const LONG: Duration = Duration::from_secs(600);

const TIMEOUT: Duration = Duration::from_secs(10);

const PATIENCE: Duration = Duration::from_secs(10);

/// Long enough for every task to stand where it waits.
const A_MOMENT: Duration = Duration::from_millis(20);

fn is_draining<T>(result: &Result<T, LockError>) -> bool {
    matches!(result, Err(LockError::Draining { .. }))
}

fn is_drained<T>(result: &Result<T, LockError>) -> bool {
    let cause = LostCause::Drained;
    matches!(result, Err(LockError::Lost { cause: found, .. }) if *found == cause)
}

fn is_empty(servers: &Servers) -> bool {
    servers.iter().all(|server| server.keys().is_empty())
}

/// A body that runs until it is told to end, or dropped.
struct Body {
    end: oneshot::Sender<()>,
    ended: JoinHandle<Result<u32, LockError>>,
}

/// Returns once it runs.
async fn body(manager: &LockManager, key: &str) -> Body {
    let (end, told) = oneshot::channel();
    let (begins, running) = oneshot::channel();
    let ended = tokio::spawn(manager.lock(key, LONG).run(async move |_| {
        begins.send(()).expect("the test waits");
        told.await.map_or(0, |()| 7)
    }));
    running.await.expect("the body runs");
    Body { end, ended }
}

async fn guard(manager: &LockManager, key: &str) -> LockGuard {
    let guard = manager.lock(key, LONG).acquire().await;
    guard.expect("a free key")
}

over_1_3_5_nodes!(a_thousand_bodies_end_in_time_and_nothing_is_left(servers) {
    let timeout = "4000";
    let worker = Worker::start(
        env!("CARGO_BIN_EXE_worker"),
        &["drain", &servers.urls(), "1000", timeout],
    );
    worker.line_with("running");
    assert!(servers.iter().all(|server| server.keys().len() == 1000));
    worker.line_with("drained");
    assert_eq!(worker.exit_code(), Some(0));
    assert!(is_empty(servers));
});

over_1_3_5_nodes!(a_thousand_bodies_end_in_time_while_a_minority_hangs(servers) {
    let worker = Worker::start(
        env!("CARGO_BIN_EXE_worker"),
        &["drain", &servers.urls(), "1000", "4000"],
    );
    worker.line_with("running");
    let hung = servers.len() / 2;
    for server in servers.iter().take(hung) {
        server.stop();
    }
    worker.line_with("drained");
    assert_eq!(worker.exit_code(), Some(0));
    assert!(servers.iter().skip(hung).all(|server| server.keys().is_empty()));
});

over_1_3_5_nodes!(a_body_that_ends_in_time_returns_its_value_and_the_drain_is_clean(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let body = body(&manager, "k").await;
    let drain = tokio::spawn({ let manager = manager.clone(); async move { manager.drain(TIMEOUT).await } });
    sleep(A_MOMENT).await;
    body.end.send(()).unwrap();
    assert_eq!(body.ended.await.unwrap().unwrap(), 7);
    let drained = drain.await.unwrap();
    assert!(drained.is_clean(), "{drained}");
    assert_eq!(drained.released(), 1);
    assert!(is_empty(servers));
});

over_1_3_5_nodes!(connections_are_closed(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    guard(&manager, "k").await.release().await.unwrap();
    assert!(servers.iter().all(|server| server.client_count() > 0));
    assert!(manager.drain(TIMEOUT).await.is_clean());
    eventually(PATIENCE, || servers.iter().all(|server| server.client_count() == 0)).await;
    drop(manager);
});

over_1_3_5_nodes!(an_acquire_on_its_way_leaves_nothing(servers) {
    for round in 0..20_u64 {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let bodies: Vec<_> = (0..50)
            .map(|n| tokio::spawn(manager.lock(format!("k:{n}"), LONG).run(async move |_| n)))
            .collect();
        // Spread over what fifty acquires take.
        sleep(Duration::from_micros(round * 150)).await;
        let drained = manager.drain(TIMEOUT).await;
        assert!(drained.is_clean(), "{drained}");
        assert!(is_empty(servers), "{:?}", servers[0].keys());
        for body in bodies {
            let ended = body.await.unwrap();
            assert!(ended.is_ok() || is_draining(&ended), "{ended:?}");
        }
    }
});

over_1_3_5_nodes!(the_last_of_a_manager_takes_its_locks_and_connections_along(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let held = guard(&manager, "held").await;
    let running = body(&manager, "body").await;
    drop(manager);
    assert!(held.is_held());
    running.ended.abort();
    drop(held);
    eventually(PATIENCE, || is_empty(servers)).await;
    eventually(PATIENCE, || servers.iter().all(|server| server.client_count() == 0)).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_servers_are_waited_for_no_longer_than_the_timeout_and_their_keys_are_listed() {
    for (nodes, hung) in [(1, 1), (3, 2)] {
        let servers = Servers::start(nodes);
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let _held = guard(&manager, "a").await;
        let running = body(&manager, "b").await;
        for server in servers.iter().take(hung) {
            server.stop();
        }
        let asked = Instant::now();
        let drained = manager.drain(TTL).await;
        assert!(asked.elapsed() < TTL + Duration::from_millis(500));
        let left: Vec<_> = drained.left().iter().map(ToString::to_string).collect();
        assert_eq!(left, ["a", "b"]);
        assert!(!drained.is_clean());
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

#[tokio::test]
async fn a_token_is_released_before_the_drain_and_not_after() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let token = manager.acquire("k", LONG).await.unwrap();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    let error = manager.release("k", &token).await.unwrap_err();
    assert!(error.to_string().contains("closed by a drain"), "{error}");
    assert_eq!(servers[0].get("k").as_deref(), Some(token.expose()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_back_in_time_gets_what_it_is_owed() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let _held = guard(&manager, "a").await;
    servers[0].stop();
    let draining = manager.clone();
    let drain = tokio::spawn(async move { draining.drain(TIMEOUT).await });
    // Beyond the response timeout and the grace.
    sleep(Duration::from_millis(9500)).await;
    servers[0].cont();
    let drained = drain.await.unwrap();
    assert!(drained.left().is_empty(), "{drained}");
    assert!(is_empty(&servers));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_beside_a_body_that_never_yields() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let go_on = Arc::new(AtomicBool::new(false));
    let (begins, runs) = oneshot::channel();
    let told = Arc::clone(&go_on);
    let request = manager.lock("k", LONG).run(async move |_| {
        begins.send(()).unwrap();
        while !told.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        7
    });
    // In a runtime of its own: one whose threads are blocked rings no timers.
    let running = thread::spawn(|| Runtime::new().unwrap().block_on(request));
    runs.await.unwrap();
    let asked = Instant::now();
    let drained = manager.drain(Duration::from_secs(1)).await;
    assert!(asked.elapsed() < TTL);
    assert_eq!(drained.left()[0].as_str(), "k");
    assert_eq!(drained.cancelled(), 0);
    assert!(servers[0].get("k").is_some());
    eventually(PATIENCE, || servers[0].client_count() == 0).await;
    go_on.store(true, Ordering::Relaxed);
    assert_eq!(running.join().unwrap().unwrap(), 7);
}

#[test]
fn a_manager_whose_runtime_is_gone_is_drained_at_once() {
    let servers = Servers::start(3);
    let home = Runtime::new().unwrap();
    let (manager, held) = home.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let held = guard(&manager, "k").await;
        (manager, held)
    });
    drop(home);
    let asked = std::time::Instant::now();
    let guest = Runtime::new().unwrap();
    let drained = guest.block_on(manager.drain(TTL));
    assert!(asked.elapsed() < TTL + Duration::from_millis(500));
    assert_eq!(drained.left().len(), 1, "{drained}");
    drop(held);
}

#[test]
fn a_runtime_that_ends_leaves_locks_to_their_ttl_and_not_longer() {
    let servers = Servers::start(3);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let (begins, running) = oneshot::channel();
        tokio::spawn(manager.lock("k", TTL).run(async move |_| {
            begins.send(()).unwrap();
            pending::<()>().await;
        }));
        running.await.unwrap();
    });
    drop(runtime);
    eventually_blocking(PATIENCE, || is_empty(&servers));
}

/// Managers that need no server: in memory, over one node, over three.
fn managers() -> Vec<LockManager> {
    let nodes = (0..3).map(|_| Scripted::new());
    vec![
        LockManager::memory(),
        LockManager::new(Scripted::new()),
        LockManager::new(redlock_over(nodes)),
    ]
}

#[tokio::test(start_paused = true)]
async fn waiters_and_newcomers_are_told_at_once() {
    for manager in managers() {
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
async fn a_held_lease_may_be_extended_until_it_is_ended() {
    for manager in managers() {
        let held = manager.lock("k", TTL).acquire().await.unwrap();
        let draining = manager.clone();
        let drain = tokio::spawn(async move { draining.drain(TIMEOUT).await });
        sleep(TTL / 2).await;
        held.extend(LONG).await.unwrap();
        assert!(held.remaining() > TIMEOUT);
        let drained = drain.await.unwrap();
        assert_eq!((drained.released(), drained.left()), (1, &[][..]));
        assert!(is_drained(&held.extend(LONG).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_guards_lease_ends_as_drained_and_its_release_says_so() {
    for manager in managers() {
        let held = guard(&manager, "k").await;
        let asked = Instant::now();
        let drained = manager.drain(TIMEOUT).await;
        assert!(drained.is_clean(), "{drained}");
        // A quarter, and at most two seconds, is kept for the releases.
        let late = asked.elapsed().saturating_sub(Duration::from_secs(8));
        assert!(late < A_MOMENT, "{late:?}");
        assert!(is_drained(&held.check()));
        assert_eq!(held.lost().await, LostCause::Drained);
        let error = held.release().await.unwrap_err();
        let ReleaseError::Lost { cause, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(cause, LostCause::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_longer_is_dropped_and_its_lock_given_back() {
    for manager in managers() {
        let running = body(&manager, "k").await;
        let drained = manager.drain(TIMEOUT).await;
        assert_eq!((drained.released(), drained.cancelled()), (1, 1));
        assert!(drained.left().is_empty() && !drained.is_clean());
        assert!(is_drained(&running.ended.await.unwrap()));
        drop(running.end);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_to_finish_keeps_its_lock_and_is_listed() {
    for manager in managers() {
        let request = manager.lock("k", LONG).on_lost(OnLost::Finish);
        let running = tokio::spawn(request.run(async |lease| {
            assert_eq!(lease.lost().await, LostCause::Drained);
            sleep(TIMEOUT).await;
            7
        }));
        yield_now().await;
        let drained = manager.drain(TIMEOUT).await;
        assert_eq!(drained.left()[0].as_str(), "k");
        assert_eq!((drained.released(), drained.cancelled()), (0, 0));
        assert_eq!(running.await.unwrap().unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_nothing_is_waited_for() {
    for manager in managers() {
        let held = guard(&manager, "k").await;
        let running = body(&manager, "j").await;
        let asked = Instant::now();
        let drained = manager.drain(Duration::ZERO).await;
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert!(drained.left().iter().any(|key| key.as_str() == "j"));
        assert!(is_drained(&held.check()));
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn two_drains_at_once_end_with_the_shorter_and_tell_the_same() {
    for manager in managers() {
        let running = body(&manager, "k").await;
        let asked = Instant::now();
        let long = manager.drain(LONG);
        let short = manager.drain(TIMEOUT);
        let (long, short) = tokio::join!(long, short);
        assert!(asked.elapsed() <= TIMEOUT);
        assert_eq!(long, short);
        assert_eq!(long.cancelled(), 1);
        assert_eq!(manager.drain(TIMEOUT).await, long);
        assert!(asked.elapsed() <= TIMEOUT);
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

/// A lock store that takes so long to be closed, and whether it was.
#[derive(Clone)]
struct Closing {
    store: Scripted,
    takes: Duration,
    is_closed: Arc<AtomicBool>,
}

impl Closing {
    fn within(takes: Duration) -> Self {
        Self {
            store: Scripted::new(),
            takes,
            is_closed: Arc::default(),
        }
    }
}

impl Backend for Closing {
    forward!(acquire, extend, release => |store| store.store);

    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        let (takes, is_closed) = (self.takes, Arc::clone(&self.is_closed));
        Box::pin(async move {
            sleep(takes).await;
            is_closed.store(true, Ordering::SeqCst);
            Ok(CloseReply::Flushed)
        })
    }
}

/// For how long a drain waited for the last of three nodes, and whether that was
/// closed by then.
async fn last_is_closed_in(takes: Duration) -> (Duration, bool) {
    let nodes = [Duration::ZERO, Duration::ZERO, takes].map(Closing::within);
    let manager = LockManager::new(redlock_over(nodes.clone()));
    let asked = Instant::now();
    let drained = manager.drain(TIMEOUT).await;
    assert!(drained.is_clean(), "{drained}");
    (asked.elapsed(), nodes[2].is_closed.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn once_a_quorum_is_closed_the_others_have_a_moment_more() {
    let soon = Duration::from_millis(80);
    assert_eq!(last_is_closed_in(soon).await, (soon, true));
    let (waited, is_closed) = last_is_closed_in(LONG).await;
    assert!(waited < 2 * soon && !is_closed, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_only_a_minority_has_got_is_left() {
    let flushed: Arc<dyn Backend> = Arc::new(Closing::within(A_MOMENT));
    let others = [(); 2].map(|()| {
        let node = Scripted::new();
        node.on_release([Step::fail()]);
        Arc::new(node) as Arc<dyn Backend>
    });
    let nodes = [flushed].into_iter().chain(others);
    let manager = LockManager::new(Redlock::new(nodes));
    assert!(guard(&manager, "a").await.release().await.is_err());
    let drained = manager.drain(TIMEOUT).await;
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_never_closed_is_waited_for_no_longer_than_the_timeout() {
    let manager = LockManager::new(Closing::within(LONG));
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert_eq!(asked.elapsed(), TIMEOUT);
}

/// A store that has been flushed has got the release that had failed.
#[tokio::test(start_paused = true)]
async fn a_body_that_nothing_stops_leaves_time_to_close_the_store() {
    let store = Closing::within(A_MOMENT);
    store.store.on_release([Step::fail()]);
    let manager = LockManager::new(store);
    assert!(guard(&manager, "a").await.release().await.is_err());
    let request = manager.lock("b", LONG).on_lost(OnLost::Finish);
    let running = tokio::spawn(request.run(async |_| sleep(LONG).await));
    yield_now().await;
    let drained = manager.drain(TIMEOUT).await;
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["b"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_quarter_of_the_time_and_at_most_two_seconds_is_kept_for_releases() {
    for (timeout, for_releases) in [(4000, 1000), (8000, 2000), (40_000, 2000)] {
        let [timeout, for_releases] = [timeout, for_releases].map(Duration::from_millis);
        let manager = LockManager::new(Scripted::new());
        let held = guard(&manager, "k").await;
        let lease = held.lease().clone();
        let asked = Instant::now();
        let drain = tokio::spawn(async move { manager.drain(timeout).await });
        assert_eq!(lease.lost().await, LostCause::Drained);
        assert_eq!(asked.elapsed() + for_releases, timeout);
        assert!(drain.await.unwrap().is_clean());
    }
}

/// What was asked for when the drain began may have been granted.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_given_back() {
    let node = Scripted::new();
    node.on_acquire([Step::never().applied()]);
    node.on_release([Step::pass().after(A_MOMENT)]);
    let manager = LockManager::new(node.clone());
    let acquire = tokio::spawn(manager.lock("k", LONG).acquire());
    yield_now().await;
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert_eq!(asked.elapsed(), A_MOMENT);
    assert!(is_draining(&acquire.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_releases_that_a_quorum_did_not_need() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[2].on_release([Step::pass().after(A_MOMENT)]);
    let manager = LockManager::new(redlock_over(nodes.clone()));
    guard(&manager, "k").await.release().await.unwrap();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    let releases = nodes[2].calls_of(Operation::Release);
    assert_eq!(releases[0].fate, Fate::Answered);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_given_away_while_a_drain_releases_it_is_released() {
    let node = Scripted::new();
    node.on_release([Step::pass().after(A_MOMENT)]);
    let [manager, other] = [(); 2].map(|()| LockManager::new(node.clone()));
    let held = guard(&manager, "k").await;
    let drain = tokio::spawn(async move { manager.drain(TIMEOUT).await });
    assert_eq!(held.lost().await, LostCause::Drained);
    let handover = held.into_handover();
    let drained = drain.await.unwrap();
    assert_eq!((drained.released(), drained.left()), (1, &[][..]));
    assert!(other.adopt(handover).await.unwrap_err().is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_dropped_refuses_newcomers_and_ends_no_lease() {
    for manager in managers() {
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
async fn a_renewed_lease_is_renewed_while_it_may_go_on_and_not_after() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", Duration::from_secs(1)).max_hold(LONG);
    let running = tokio::spawn(request.run(async |_| pending::<()>().await));
    yield_now().await;
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!((drained.released(), drained.cancelled()), (1, 1));
    assert!(is_drained(&running.await.unwrap()));
    let renewals = node.calls_of(Operation::Extend).len();
    assert!(renewals > 8, "{renewals}");
    sleep(LONG).await;
    assert_eq!(node.calls_of(Operation::Extend).len(), renewals);
}

#[tokio::test(start_paused = true)]
async fn a_min_hold_is_kept() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", LONG).min_hold(2 * TIMEOUT);
    let _held = request.acquire().await.unwrap();
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert!(asked.elapsed() <= TIMEOUT);
    let other = LockManager::new(node.memory());
    let busy = other.lock("k", TTL).try_acquire().await.unwrap_err();
    assert!(busy.is_busy());
    guard(&other, "k").await.release().await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_lists_its_key_until_the_ttl_has_passed() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let _short = manager.lock("short", TTL).acquire().await.unwrap();
    let _long = guard(&manager, "long").await;
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(
        drained.to_string(),
        "0 leases released, 0 bodies cancelled, left: long"
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_that_finds_anothers_key_lists_nothing() {
    let node = Scripted::new();
    node.on_release([Step::reply(ReleaseReply::NotOwner)]);
    let manager = LockManager::new(node);
    drop(guard(&manager, "k").await);
    assert!(manager.drain(TIMEOUT).await.is_clean());
}

#[test]
fn a_release_that_ended_with_its_runtime_is_listed() {
    let node = Scripted::new();
    node.on_release([Step::never()]);
    let runtime = Runtime::new().expect("a runtime");
    let manager = runtime.block_on(async {
        let manager = LockManager::new(node);
        drop(guard(&manager, "k").await);
        manager
    });
    drop(runtime);
    let runtime = Runtime::new().expect("a runtime");
    let drained = runtime.block_on(manager.drain(A_MOMENT));
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["k"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_failed_before_the_drain_is_listed_too() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let failed = guard(&manager, "k").await.release().await;
    assert!(failed.unwrap_err().is_unavailable());
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
    assert!(!drained.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_extended_is_listed_for_as_long_as_servers_keep_it() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let extended = manager.lock("k", TTL).acquire().await.unwrap();
    extended.extend(LONG).await.unwrap();
    assert!(extended.release().await.is_err());
    sleep(TTL).await;
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_was_cut_off_is_listed_where_it_may_have_been_granted() {
    let node = Scripted::new();
    node.on_acquire([Step::never().applied()]);
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let request = manager.lock("k", LONG);
    let acquire = tokio::spawn(async move { request.acquire().await.map(drop) });
    tokio::task::yield_now().await;
    let drained = manager.drain(TIMEOUT).await;
    assert!(acquire.await.unwrap().is_err());
    assert_eq!(drained.left().len(), 1, "{drained}");
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

#[tokio::test(start_paused = true)]
async fn a_key_that_was_left_twice_is_listed_once() {
    let node = Scripted::new();
    node.on_acquire([Step::never(), Step::never()]);
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    for _ in 0..2 {
        let cut_off = manager.lock("k", LONG).acquire();
        timeout(A_MOMENT, cut_off).await.unwrap_err();
    }
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
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

/// Nobody had looked since its deadline.
#[tokio::test(start_paused = true)]
async fn a_lease_that_had_expired_was_not_drained() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    advance(TTL).await;
    assert!(manager.drain(TIMEOUT).await.is_clean());
    let cause = LostCause::Expired;
    assert!(matches!(guard.check(), Err(LockError::Lost { cause: found, .. }) if found == cause));
}

#[tokio::test(start_paused = true)]
async fn the_registered_managers_are_drained_together_and_each_once() {
    let [default, named] = [(), ()].map(|()| LockManager::memory());
    lockguard::register(default.clone()).unwrap();
    lockguard::register_named("also the default", default.clone()).unwrap();
    lockguard::register_named("another", named.clone()).unwrap();
    let _held = [guard(&default, "k").await, guard(&named, "k").await];
    let running = body(&named, "j").await;
    let asked = Instant::now();
    let drained = lockguard::drain(TIMEOUT).await;
    assert!(asked.elapsed() <= TIMEOUT);
    assert_eq!((drained.released(), drained.cancelled()), (3, 1));
    assert!(is_drained(&running.ended.await.unwrap()));
}
