//! Waiting for a busy key, on the paused clock.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockKey, LockManager,
    backend::{AcquireReply, AcquireRequest, Backend, BackendError, Memory},
};
use lockguard_tests::{Operation, Scripted, Step, forward, redlock_over};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

const TTL: Duration = Duration::from_secs(2);

/// The paused clock moves in whole milliseconds.
fn assert_waited(wait: Duration, waited: Duration) {
    let longest = wait + Duration::from_millis(1);
    assert!((wait..=longest).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn try_acquire_does_not_wait_for_another_holder() {
    let manager = LockManager::memory();
    let _guard = manager.lock("k", TTL).acquire().await.unwrap();
    let start = Instant::now();
    let error = manager.lock("k", TTL).try_acquire().await.unwrap_err();
    assert!(error.is_busy() && error.is_retryable(), "{error}");
    assert_eq!(error.key(), Some("k"));
    assert!(start.elapsed().is_zero());
}

/// The store said it when it was asked, before the wait.
#[tokio::test(start_paused = true)]
async fn busy_after_a_wait_for_another_manager_says_what_is_left_by_then() {
    let store = Memory::new();
    let [ours, anothers] = [(); 2].map(|()| LockManager::new(store.clone()));
    let _guard = anothers.lock("k", TTL).acquire().await.unwrap();
    let request = ours.lock("k", TTL).wait(TTL / 4);
    let LockError::Busy { retry_after, .. } = request.acquire().await.unwrap_err() else {
        panic!("not busy");
    };
    let left = retry_after.unwrap();
    assert!(left <= TTL * 3 / 4, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn busy_names_the_holder_and_when_the_key_is_free() {
    let holder = LockManager::builder().memory().label("billing@host-1:7");
    let manager = holder.build().await.unwrap();
    let _guard = manager.lock("k", TTL).acquire().await.unwrap();
    let error = manager
        .lock("k", TTL)
        .wait(TTL / 4)
        .acquire()
        .await
        .unwrap_err();
    let LockError::Busy {
        holder,
        retry_after,
        waited,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(holder.as_deref(), Some("billing@host-1:7"));
    assert!(*waited >= TTL / 4);
    assert!(retry_after.is_some_and(|left| left <= TTL * 3 / 4));
    assert!(error.to_string().contains("billing@host-1:7"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline() {
    let manager = LockManager::memory();
    let _guard = manager.lock("k", 10 * TTL).acquire().await.unwrap();
    let wait = Duration::from_millis(1234);
    let start = Instant::now();
    let error = manager
        .lock("k", TTL)
        .wait(wait)
        .acquire()
        .await
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_waited(wait, start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_default_wait_outlasts_a_crashed_holder() {
    let manager = LockManager::memory();
    // The token interface leaves the key to its ttl, as a crash does.
    let _token = manager.acquire("k", TTL).await.unwrap();
    let start = Instant::now();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(start.elapsed() >= TTL);
    guard.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_default_wait_is_twice_the_ttl_and_at_most_30_s() {
    let manager = LockManager::memory();
    let _guard = manager
        .lock("k", Duration::from_secs(1000))
        .acquire()
        .await
        .unwrap();
    for (ttl, wait) in [(TTL, 2 * TTL), (30 * TTL, Duration::from_secs(30))] {
        let start = Instant::now();
        manager.lock("k", ttl).acquire().await.unwrap_err();
        assert_waited(wait, start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_process_are_served_in_order() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for n in 0..10 {
        let (manager, served) = (manager.clone(), Arc::clone(&served));
        waiters.push(tokio::spawn(async move {
            let body = async |_| {
                sleep(Duration::from_millis(10)).await;
                served.lock().await.push(n);
            };
            manager.lock("k", TTL).wait(10 * TTL).run(body).await
        }));
        tokio::task::yield_now().await;
    }
    guard.release().await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(*served.lock().await, (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_release_wakes_the_next_waiter_at_once() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiter = tokio::spawn(manager.lock("k", TTL).acquire());
    sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    guard.release().await.unwrap();
    let guard = waiter.await.unwrap().unwrap();
    assert!(start.elapsed().is_zero());
    guard.release().await.unwrap();
}

/// The release tells it.
#[tokio::test(start_paused = true)]
async fn who_waits_here_asks_no_server_while_the_lease_is_extended_or_renewed() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let extended = manager.lock("extended", TTL).acquire().await.unwrap();
    extended.extend(2 * TTL).await.unwrap();
    // Shortens nothing.
    extended.extend(TTL / 2).await.unwrap();
    let renewed = manager.lock("renewed", TTL).max_hold(2 * TTL);
    let renewed = renewed.acquire().await.unwrap();
    let waiting = ["extended", "renewed"].map(|key| {
        let request = manager.lock(key, TTL).wait(4 * TTL);
        tokio::spawn(request.acquire())
    });
    sleep(TTL * 3 / 2).await;
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
    extended.release().await.unwrap();
    renewed.release().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap().release().await.unwrap();
    }
}

/// Its answer is not waited for.
#[tokio::test(start_paused = true)]
async fn who_comes_while_a_release_is_on_its_way_asks_behind_it() {
    let node = Scripted::new();
    node.on_release([Step::pass().answering_after(TTL / 8)]);
    let manager = LockManager::new(node);
    let released = manager.lock("k", TTL).acquire().await.unwrap();
    let start = Instant::now();
    drop(released);
    let _next = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
}

/// Nobody gives it back, and nobody tells.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_deleted_while_one_of_ours_holds_it_is_noticed() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let _held = manager.lock("k", 100 * TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(100 * TTL).acquire());
    tokio::task::yield_now().await;
    node.lose_data();
    let deleted = Instant::now();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(deleted.elapsed() <= Duration::from_secs(10));
}

/// A lock store that promises to tell of releases, and does not.
struct Mute(Memory);

impl Backend for Mute {
    forward!(acquire, extend, release => |store| store.0);

    fn freed(&self, _: &LockKey) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(pending()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_nobody_tells_of_is_noticed_within_ten_seconds() {
    let store = Memory::new();
    let theirs = LockManager::new(store.clone());
    let held = theirs.lock("k", 100 * TTL).acquire().await.unwrap();
    let ours = LockManager::new(Mute(store));
    let waiting = tokio::spawn(ours.lock("k", TTL).wait(100 * TTL).acquire());
    tokio::task::yield_now().await;
    held.release().await.unwrap();
    let freed = Instant::now();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(freed.elapsed() <= Duration::from_secs(10));
}

/// A lock store that answers at once, and does not tell of releases.
#[derive(Default)]
struct Terse {
    store: Memory,
    acquires: AtomicUsize,
}

impl Backend for Terse {
    forward!(extend, release => |store| store.store);

    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        self.acquires.fetch_add(1, Ordering::Relaxed);
        self.store.acquire(request)
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_wait_asks_a_store_that_answers_at_once_once() {
    let store = Arc::new(Terse::default());
    let manager = LockManager::new(Arc::clone(&store));
    let _held = manager.lock("k", TTL).try_acquire().await.unwrap();
    let error = manager.lock("k", TTL).try_acquire().await.unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_eq!(store.acquires.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_release_tells_whoever_has_come_since_the_key_was_free() {
    let manager = LockManager::new(Terse::default());
    let held = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    held.release().await.unwrap();
    let freed = Instant::now();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(freed.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_whoever_waits_since_the_key_was_free() {
    let manager = LockManager::memory();
    let held = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    held.release().await.unwrap();
    let newcomer = manager.lock("k", TTL).wait(Duration::from_millis(1));
    let (earlier, later) = tokio::join!(waiting, newcomer.acquire());
    assert!(later.unwrap_err().is_busy());
    earlier.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_leaves_the_line_to_the_next() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let first = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    let second = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    first.abort();
    drop(guard);
    let start = Instant::now();
    second.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed().is_zero());
}

/// And not from when it began to wait, long before it asked.
#[tokio::test(start_paused = true)]
async fn who_waited_for_its_turn_has_a_lease_that_counts_from_its_question() {
    let store = Memory::new();
    let (ours, theirs) = (LockManager::new(store.clone()), LockManager::new(store));
    let held = theirs.lock("k", 4 * TTL).acquire().await.unwrap();
    let first = tokio::spawn(ours.lock("k", TTL).wait(4 * TTL).acquire());
    tokio::task::yield_now().await;
    let second = tokio::spawn(ours.lock("k", TTL).wait(4 * TTL).acquire());
    sleep(TTL).await;
    held.release().await.unwrap();
    first.abort();
    let asked = Instant::now();
    let guard = second.await.unwrap().unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(guard.remaining() > TTL / 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_lease_of_ours_that_expires_asks_when_it_has() {
    let manager = LockManager::memory();
    let _kept = manager.lock("k", TTL).acquire().await.unwrap();
    let start = Instant::now();
    let _next = manager
        .lock("k", TTL)
        .wait(4 * TTL)
        .acquire()
        .await
        .unwrap();
    assert_waited(TTL, start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_long_enough_asks_nobody_once_more() {
    let node = Scripted::new();
    let (ours, theirs) = (
        LockManager::new(node.clone()),
        LockManager::new(node.clone()),
    );
    let _held = theirs.lock("k", 4 * TTL).acquire().await.unwrap();
    let start = Instant::now();
    let refused = ours.lock("k", TTL).wait(TTL).acquire().await;
    assert!(refused.unwrap_err().is_busy());
    assert_waited(TTL, start.elapsed());
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_took_nothing_is_not_given_back() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    node.on_acquire([
        Step::reply(AcquireReply::Split),
        Step::pass(),
        Step::fail_with(BackendError::RuntimeGone),
    ]);
    manager.lock("k", TTL).run(async |_| ()).await.unwrap();
    manager.lock("k", TTL).acquire().await.unwrap_err();
    assert_eq!(node.calls_of(Operation::Acquire).len(), 3);
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_are_never_inside_together() {
    let manager = LockManager::memory();
    let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (manager, inside) = (manager.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                let body = async |_| {
                    use std::sync::atomic::Ordering::SeqCst;
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                };
                manager.lock("k", TTL).wait(100 * TTL).run(body).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// A store that wakes every waiter at once, whether the key is free or not.
struct Hasty(Memory);

impl Backend for Hasty {
    forward!(acquire, extend, release => |store| store.0);

    fn freed(&self, _: &LockKey) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(std::future::ready(())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_cries_wolf_does_not_make_a_waiter_spin() {
    let store = Memory::new();
    let holder = LockManager::new(store.clone());
    let waiter = LockManager::new(Hasty(store));
    let _held = holder.lock("k", TTL).acquire().await.unwrap();
    let start = Instant::now();
    let wait = TTL / 4;
    // A waiter that never yields would stop the paused clock, and hang.
    let error = waiter
        .lock("k", TTL)
        .wait(wait)
        .acquire()
        .await
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_waited(wait, start.elapsed());
}

/// The paused clock stands still for as long as somebody spins.
#[tokio::test(start_paused = true)]
async fn waiters_over_a_quorum_of_which_one_node_forgot_the_key_do_not_spin() {
    let nodes = [Memory::new(), Memory::new(), Memory::new()];
    let holder = LockManager::new(redlock_over(nodes.clone()));
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let forgetful = [nodes[0].clone(), nodes[1].clone(), Memory::new()];
    let waiter = LockManager::new(redlock_over(forgetful));
    let waiting = tokio::spawn(waiter.lock("k", TTL).wait(4 * TTL).acquire());
    sleep(TTL / 4).await;
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn votes_that_stay_split_are_busy_after_a_second() {
    let nodes = [Memory::new(), Memory::new()];
    let mut held = Vec::new();
    for node in &nodes {
        let owner = LockManager::new(node.clone());
        held.push(owner.lock("k", 10 * TTL).acquire().await.unwrap());
    }
    let manager = LockManager::new(redlock_over(nodes));
    let acquire = manager.lock("k", TTL).try_acquire();
    let refused = timeout(Duration::from_secs(2), acquire).await;
    assert!(refused.unwrap().unwrap_err().is_busy());
}

#[tokio::test(start_paused = true)]
async fn five_hundred_cancelled_acquires_leave_nothing() {
    let manager = LockManager::memory();
    for n in 0_u64..500 {
        let holder = (n % 2 == 0).then(|| manager.lock("k", TTL).acquire());
        let holder = match holder {
            Some(acquire) => Some(acquire.await.unwrap()),
            None => None,
        };
        let waiter = tokio::spawn(manager.lock("k", TTL).run(async |_| sleep(TTL / 4).await));
        sleep(Duration::from_millis(n % 7)).await;
        drop(holder);
        sleep(Duration::from_millis(n % 3)).await;
        waiter.abort();
        let _ = waiter.await;
        assert!(
            manager.lock("k", TTL).try_acquire().await.is_ok(),
            "round {n}"
        );
    }
}

#[tokio::test]
async fn a_loop_of_locks_that_are_free_lets_other_tasks_run() {
    const MANY: usize = 10_000;
    let manager = LockManager::memory();
    let other = tokio::spawn(async {});
    for _ in 0..MANY {
        manager.lock("k", TTL).run(async |_| ()).await.unwrap();
    }
    assert!(other.is_finished(), "it never ran");
}
