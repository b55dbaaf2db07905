//! Several keys under one lease.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests panic as tests do"
)]

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockGuard, LockKey, LockManager, LostCause, ReleaseError,
    backend::{Backend, ReleaseReply, ReleaseRequest},
};
use lockguard_tests::{
    Fate, Operation, Scripted, Server, Servers, Step, eventually, over_1_3_5_nodes,
};
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};

const TTL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(20);

async fn connect(servers: &Servers) -> LockManager {
    LockManager::connect(servers.urls()).await.unwrap()
}

fn texts(keys: &[LockKey]) -> Vec<&str> {
    keys.iter().map(LockKey::as_str).collect()
}

async fn is_free(manager: &LockManager, key: &str) -> bool {
    match manager.lock(key, TTL).try_acquire().await {
        Ok(guard) => {
            guard.release().await.unwrap();
            true
        }
        Err(error) => {
            assert!(error.is_busy(), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn keys_are_sorted_told_once_and_as_stored() {
    let builder = LockManager::builder().memory().prefix("shop:");
    let manager = builder.build().await.unwrap();
    let request = manager.lock_all(["b", "a", "c", "b"], TTL);
    let guard = request.acquire().await.unwrap();
    assert_eq!(texts(guard.keys()), ["shop:a", "shop:b", "shop:c"]);
}

#[tokio::test]
async fn any_iterator_of_texts_gives_keys() {
    let manager = LockManager::memory();
    let names = vec![String::from("a"), String::from("b")];
    drop(manager.lock_all(&names, TTL).acquire().await.unwrap());
    drop(manager.lock_all(names, TTL).acquire().await.unwrap());
    let guard = manager.lock_all(Some("a"), TTL).acquire().await.unwrap();
    drop(manager.lock_all(guard.keys(), TTL));
}

#[tokio::test]
async fn no_key_at_all_is_an_invalid_option_before_anything_is_asked() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock_all(Vec::<String>::new(), TTL);
    let error = request.acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    assert!(error.to_string().contains("no key"), "{error}");
    assert!(node.calls().is_empty());
}

#[tokio::test]
async fn a_bad_key_among_several_is_named_before_anything_is_asked() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock_all(["a", "b c", "d"], TTL);
    let error = request.acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
    assert_eq!(error.key(), Some("b c"));
    assert!(node.calls().is_empty());
}

#[tokio::test]
async fn several_keys_are_one_attempt_with_one_owner_token() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    guard.release().await.unwrap();
    let acquires = node.calls_of(Operation::Acquire);
    let [acquire] = &acquires[..] else {
        panic!("{acquires:?}");
    };
    let releases = node.calls_of(Operation::Release);
    assert!(releases.iter().all(|call| call.token == acquire.token));
    let given_back: Vec<_> = releases.iter().map(|call| call.key.as_str()).collect();
    assert_eq!(given_back, ["a", "b"]);
}

#[tokio::test]
async fn a_future_for_several_keys_is_send_and_static() {
    fn is<T: Send + 'static>(future: T) -> T {
        future
    }
    let manager = LockManager::memory();
    drop(is(manager.lock_all(["a"], TTL).acquire()));
    drop(is(manager.lock_all(["a"], TTL).run(async |_| ())));
}

over_1_3_5_nodes!(all_keys_are_taken_and_given_back(servers) {
    let manager = connect(servers).await;
    let guard = manager.lock_all(["a", "b", "c"], TTL).acquire().await.unwrap();
    assert!(guard.is_held());
    for key in ["a", "b", "c"] {
        assert!(!is_free(&manager, key).await, "{key}");
    }
    guard.release().await.unwrap();
    for key in ["a", "b", "c"] {
        assert!(is_free(&manager, key).await, "{key}");
    }
    drop(manager.lock_all(["a", "b", "c"], TTL).acquire().await.unwrap());
    eventually(SOON, || servers.are_empty()).await;
});

over_1_3_5_nodes!(busy_names_the_busy_key_and_leaves_the_others_free(servers) {
    let manager = connect(servers).await;
    for busy in ["a", "b", "c"] {
        let _guard = manager.lock(busy, TTL).acquire().await.unwrap();
        let request = manager.lock_all(["a", "b", "c"], TTL);
        let error = request.try_acquire().await.unwrap_err();
        assert!(error.is_busy(), "{error}");
        assert_eq!(error.key(), Some(busy));
        for free in ["a", "b", "c"].iter().filter(|key| **key != busy) {
            assert!(is_free(&manager, free).await, "{free}");
        }
    }
});

over_1_3_5_nodes!(who_waits_for_several_keys_takes_them_when_the_last_is_free(servers) {
    let (ours, theirs) = (connect(servers).await, connect(servers).await);
    let a = theirs.lock("a", LONG).acquire().await.unwrap();
    let b = ours.lock("b", LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(ours.lock_all(["a", "b"], TTL).wait(SOON).acquire());
    a.release().await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    b.release().await.unwrap();
    let guard = waiting.await.unwrap().unwrap();
    assert_eq!(texts(guard.keys()), ["a", "b"]);
});

over_1_3_5_nodes!(who_waits_for_several_keys_holds_none_meanwhile(servers) {
    let manager = connect(servers).await;
    let b = manager.lock("b", LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock_all(["a", "b", "c"], TTL).wait(SOON).acquire());
    sleep(Duration::from_millis(50)).await;
    for free in ["a", "c"] {
        let start = Instant::now();
        let guard = manager.lock(free, TTL).acquire().await.unwrap();
        guard.release().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    b.release().await.unwrap();
    drop(waiting.await.unwrap().unwrap());
});

/// Tasks that want random keys in random orders; all of them get them.
async fn nobody_waits_in_a_circle(managers: &[LockManager], sections: usize) {
    const KEYS: [&str; 5] = ["k:0", "k:1", "k:2", "k:3", "k:4"];
    let is_taken: Arc<[AtomicBool; 5]> = Arc::default();
    let mut tasks = JoinSet::new();
    for manager in managers.iter().cycle().take(8) {
        let (manager, is_taken) = (manager.clone(), Arc::clone(&is_taken));
        tasks.spawn(async move {
            for section in 0..sections {
                let count = section % 3 + 1;
                let start = rand::rng().random_range(0..5_usize);
                let step = rand::rng().random_range(1..5_usize);
                let wanted = (0..count).map(|nth| KEYS[(start + nth * step) % 5]);
                let request = manager.lock_all(wanted, LONG).wait(Duration::from_secs(60));
                let guard = request.acquire().await.unwrap();
                let mine: Vec<_> = guard
                    .keys()
                    .iter()
                    .map(|key| KEYS.iter().position(|name| *name == key.as_str()).unwrap())
                    .collect();
                for nth in &mine {
                    assert!(!is_taken[*nth].swap(true, Ordering::SeqCst), "two inside");
                }
                yield_now().await;
                for nth in &mine {
                    is_taken[*nth].store(false, Ordering::SeqCst);
                }
                guard.release().await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opposite_orders_never_deadlock_in_memory() {
    nobody_waits_in_a_circle(&[LockManager::memory()], 200).await;
}

over_1_3_5_nodes!(opposite_orders_never_deadlock(servers) {
    let managers = [connect(servers).await, connect(servers).await];
    nobody_waits_in_a_circle(&managers, 12).await;
});

#[tokio::test(start_paused = true)]
async fn a_release_of_several_keys_wakes_the_waiter_of_each_at_once() {
    let manager = LockManager::new(Scripted::without_wakes());
    let guard = manager.lock_all(["a", "b"], LONG).acquire().await.unwrap();
    let waiters = ["a", "b"].map(|key| tokio::spawn(manager.lock(key, TTL).wait(SOON).acquire()));
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    guard.release().await.unwrap();
    for waiter in waiters {
        drop(waiter.await.unwrap().unwrap());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// One release, and two that wait: whoever wants several keys must not keep
/// the wake from whoever can use it, neither at the manager that releases nor
/// at another.
#[tokio::test(start_paused = true)]
async fn a_waiter_for_several_keys_takes_no_wake_along() {
    let store = lockguard::backend::Memory::new();
    let (ours, theirs) = (LockManager::new(store.clone()), LockManager::new(store));
    for manager in [&ours, &theirs] {
        let _b = ours.lock("b", LONG).acquire().await.unwrap();
        let a = ours.lock("a", LONG).acquire().await.unwrap();
        let both = tokio::spawn(manager.lock_all(["a", "b"], TTL).wait(LONG).acquire());
        let single = manager.lock("a", TTL).wait(LONG).run(async |_| ());
        let single = tokio::spawn(single);
        sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        a.release().await.unwrap();
        single.await.unwrap().unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        both.abort();
    }
}

/// How often 50 waiters for two keys, one of which `holder` holds before for so
/// long, ask for them until all have had them, where an answer takes a
/// millisecond.
async fn questions_of_a_crowd(
    held_for: Duration,
    holder: &LockManager,
    ours: &LockManager,
    node: &Scripted,
) -> usize {
    node.on_every_acquire(Step::pass().answering_after(Duration::from_millis(1)));
    let held = holder.lock("b", LONG).acquire().await.unwrap();
    let before = node.calls_of(Operation::Acquire).len();
    let mut waiters = JoinSet::new();
    for _ in 0..50 {
        let wanted = ours.lock_all(["a", "b"], LONG).wait(LONG);
        waiters.spawn(wanted.run(async |_| yield_now().await));
    }
    sleep(held_for).await;
    held.release().await.unwrap();
    for ended in waiters.join_all().await {
        ended.unwrap();
    }
    node.calls_of(Operation::Acquire).len() - before
}

#[tokio::test(start_paused = true)]
async fn of_a_crowd_that_wants_the_same_keys_one_asks_at_a_time() {
    let node = Scripted::new();
    let (ours, theirs) = (
        LockManager::new(node.clone()),
        LockManager::new(node.clone()),
    );
    // The first looks every five seconds, too.
    for (seconds, looks) in [(1, 0), (101, 20)] {
        let held_for = Duration::from_secs(seconds);
        let behind_ours = questions_of_a_crowd(held_for, &ours, &ours, &node).await;
        let behind_theirs = questions_of_a_crowd(held_for, &theirs, &ours, &node).await;
        assert_eq!((behind_ours, behind_theirs), (50 + looks, 100 + looks));
    }
}

/// Whoever is to ask first when the key is given back may want another that is
/// not, or give up.
#[tokio::test(start_paused = true)]
async fn the_next_of_a_crowd_asks_where_the_first_cannot_use_the_key() {
    let store = lockguard::backend::Memory::new();
    let (ours, theirs) = (LockManager::new(store.clone()), LockManager::new(store));
    let wait = |keys| ours.lock_all(keys, TTL).wait(LONG).run(async |_| ());
    for holder in [&ours, &theirs] {
        let _b = holder.lock("b", LONG).acquire().await.unwrap();
        let before_the_first = tokio::spawn(wait(["b", "d"]));
        for does_first_give_up in [false, true] {
            let a = holder.lock("a", LONG).acquire().await.unwrap();
            let first = tokio::spawn(wait(["a", "b"]));
            let next = tokio::spawn(wait(["a", "c"]));
            sleep(Duration::from_millis(1)).await;
            if does_first_give_up {
                first.abort();
            }
            let start = Instant::now();
            a.release().await.unwrap();
            next.await.unwrap().unwrap();
            assert_eq!(start.elapsed(), Duration::ZERO);
            first.abort();
        }
        before_the_first.abort();
    }
}

/// A task may keep a future without ever polling it again.
#[tokio::test(start_paused = true)]
async fn the_next_of_a_crowd_looks_by_itself_where_the_first_never_does() {
    let store = lockguard::backend::Memory::new();
    let (ours, theirs) = (LockManager::new(store.clone()), LockManager::new(store));
    let b = theirs.lock("b", LONG).acquire().await.unwrap();
    let mut first = Box::pin(ours.lock_all(["a", "b"], TTL).wait(LONG).acquire());
    timeout(Duration::from_millis(1), &mut first)
        .await
        .unwrap_err();
    let next = tokio::spawn(ours.lock_all(["b", "c"], TTL).wait(LONG).acquire());
    yield_now().await;
    b.release().await.unwrap();
    let start = Instant::now();
    next.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() <= TTL, "{:?}", start.elapsed());
}

/// It costs the others a moment, once; where the next is not polled either, those
/// behind look by themselves.
#[tokio::test(start_paused = true)]
async fn those_of_a_crowd_that_are_not_polled_are_passed_over() {
    let moment = Duration::from_millis(100);
    for (count, longest) in [(1, moment), (3, TTL)] {
        let manager = LockManager::new(Scripted::without_wakes());
        let wait = || Box::pin(manager.lock_all(["a", "b"], LONG).wait(LONG).acquire());
        let mut held = manager.lock("b", LONG).acquire().await.unwrap();
        let mut unpolled: Vec<_> = (0..count).map(|_| wait()).collect();
        for one in &mut unpolled {
            timeout(moment, one).await.unwrap_err();
        }
        for longest in [longest, Duration::ZERO] {
            let next = tokio::spawn(wait());
            sleep(moment).await;
            let start = Instant::now();
            held.release().await.unwrap();
            held = next.await.unwrap().unwrap();
            assert!(start.elapsed() <= longest, "{:?}", start.elapsed());
        }
        held.release().await.unwrap();
        for one in unpolled {
            one.await.unwrap().release().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_does_not_overtake_those_who_wait_for_the_same_keys() {
    let node = Scripted::new();
    node.on_every_acquire(Step::pass().answering_after(Duration::from_millis(1)));
    let (ours, theirs) = (
        LockManager::new(node.clone()),
        LockManager::new(node.clone()),
    );
    let held = theirs.lock("b", LONG).acquire().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for nth in 0..3 {
        let (ours, served) = (ours.clone(), Arc::clone(&served));
        tasks.spawn(async move {
            for _ in 0..4 {
                let both = ours.lock_all(["a", "b"], LONG).wait(LONG);
                both.run(async |_| served.lock().push(nth)).await.unwrap();
            }
        });
        sleep(Duration::from_millis(10)).await;
    }
    held.release().await.unwrap();
    tasks.join_all().await;
    assert_eq!(*served.lock(), [0, 1, 2].repeat(4));
}

/// Some executors poll what they run as soon as it is woken.
struct PolledAtOnce(Mutex<BoxFuture<'static, Result<LockGuard, LockError>>>);

impl Wake for PolledAtOnce {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        if let Some(mut future) = self.0.try_lock() {
            let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_of_a_crowd_asks_nothing_when_the_first_has_the_keys() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let wait = || Box::pin(manager.lock_all(["a", "b"], LONG).wait(LONG).acquire());
    let held = manager.lock("b", LONG).acquire().await.unwrap();
    let first = tokio::spawn(wait());
    yield_now().await;
    let next = Arc::new(PolledAtOnce(Mutex::new(wait())));
    Arc::clone(&next).wake();
    held.release().await.unwrap();
    let _held = first.await.unwrap().unwrap();
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
    // It would be polled once more when the runtime ends.
    *next.0.lock() = Box::pin(pending());
}

#[tokio::test(start_paused = true)]
async fn a_crowd_whose_wait_is_over_is_told_who_holds_the_key() {
    let store = lockguard::backend::Memory::new();
    let (ours, theirs) = (LockManager::new(store.clone()), LockManager::new(store));
    for holder in [&ours, &theirs] {
        let _b = holder.lock("b", LONG).acquire().await.unwrap();
        let start = Instant::now();
        // The first waits for longest.
        let waiters = [SOON, SOON / 2, SOON / 4].map(|wait| {
            let acquire = ours.lock_all(["a", "b"], TTL).wait(wait).acquire();
            (wait, tokio::spawn(acquire))
        });
        for (wait, waiter) in waiters.into_iter().rev() {
            let error = waiter.await.unwrap().unwrap_err();
            assert!(error.is_busy(), "{error}");
            assert_eq!(error.key(), Some("b"));
            assert_eq!(start.elapsed(), wait);
        }
    }
}

/// Whoever is to ask first may hear nothing: that the key was busy when the wait
/// for it began says nothing of now.
#[tokio::test(start_paused = true)]
async fn who_waits_behind_others_of_a_crowd_looks_when_its_wait_ends() {
    let node = Scripted::new();
    let (ours, theirs) = (
        LockManager::new(node.clone()),
        LockManager::new(node.clone()),
    );
    for holder in [&ours, &theirs] {
        let held = holder.lock("a", LONG).acquire().await.unwrap();
        let wait = |wait| ours.lock_all(["a", "b"], TTL).wait(wait).acquire();
        let first = tokio::spawn(wait(LONG));
        let start = Instant::now();
        sleep(Duration::from_millis(1)).await;
        let next = tokio::spawn(wait(SHORT));
        sleep(Duration::from_millis(1)).await;
        node.on_acquire([Step::never()]);
        held.release().await.unwrap();
        let guard = next.await.unwrap().unwrap();
        assert_eq!(start.elapsed(), SHORT + Duration::from_millis(1));
        first.abort();
        guard.release().await.unwrap();
    }
}

/// Those before the last in a crowd leave, or are not polled, before they would have
/// looked.
#[tokio::test(start_paused = true)]
async fn a_crowd_notices_within_ten_seconds_that_a_key_of_one_of_ours_is_gone() {
    let longest = Duration::from_secs(10);
    for is_polled in [true, false] {
        let node = Scripted::new();
        let manager = LockManager::new(node.clone());
        let wait = |wait| Box::pin(manager.lock_all(["a", "b"], LONG).wait(wait).acquire());
        let _held = manager.lock("b", LONG).acquire().await.unwrap();
        node.lose_data();
        let start = Instant::now();
        let mut before = [4_998, 9_996].map(|wait_for| wait(Duration::from_millis(wait_for)));
        for one in &mut before {
            timeout(Duration::ZERO, one).await.unwrap_err();
        }
        let last = tokio::spawn(wait(LONG));
        if is_polled {
            let _waiting = before.map(tokio::spawn);
        }
        last.await.unwrap().unwrap().release().await.unwrap();
        assert!(start.elapsed() <= longest, "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn any_key_that_the_task_holds_is_reentrant() {
    let manager = LockManager::memory();
    let outer = manager.lock_all(["a", "b"], TTL).named("outer");
    let inner = manager.clone();
    let (one, several, last, other) = outer
        .run(async move |_| {
            let one = inner.lock("b", TTL).acquire().await.unwrap_err();
            let several = inner.lock_all(["c", "b"], TTL).acquire().await.unwrap_err();
            let last = inner
                .lock_all(["aa", "b"], TTL)
                .acquire()
                .await
                .unwrap_err();
            let other = inner.lock_all(["c", "d"], TTL).acquire().await.is_ok();
            (one, several, last, other)
        })
        .await
        .unwrap();
    for error in [one, several, last] {
        assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
        assert_eq!(error.key(), Some("b"));
        assert!(error.to_string().contains("`outer`"), "{error}");
    }
    assert!(other);
}

over_1_3_5_nodes!(an_extend_that_finds_one_key_gone_names_it_and_ends_the_lease(servers) {
    let manager = connect(servers).await;
    let guard = manager.lock_all(["a", "b", "c"], TTL).acquire().await.unwrap();
    guard.extend(LONG).await.unwrap();
    assert!(guard.remaining() > TTL);
    for server in servers {
        // A quorum has answered; the others are about to.
        eventually(SOON, || server.pttl("c").is_some_and(|left| left > TTL)).await;
        server.del("b");
    }
    let error = guard.extend(LONG).await.unwrap_err();
    assert!(matches!(error, LockError::Lost { cause: LostCause::Taken, .. }), "{error}");
    assert_eq!(error.key(), Some("b"));
    assert_eq!(guard.check().unwrap_err().key(), Some("b"));
    let error = guard.release().await.unwrap_err();
    assert_eq!((error.is_lost(), error.key()), (true, "b"));
    eventually(SOON, || servers.are_empty()).await;
});

over_1_3_5_nodes!(a_release_that_finds_one_key_gone_names_it_and_frees_the_rest(servers) {
    let manager = connect(servers).await;
    let guard = manager.lock_all(["a", "b", "c"], TTL).acquire().await.unwrap();
    for server in servers {
        server.del("c");
    }
    let error = guard.release().await.unwrap_err();
    assert!(matches!(error, ReleaseError::Lost { cause: LostCause::Taken, .. }), "{error}");
    assert_eq!(error.key(), "c");
    eventually(SOON, || servers.are_empty()).await;
});

over_1_3_5_nodes!(a_release_that_finds_anothers_key_leaves_that_one(servers) {
    let manager = connect(servers).await;
    let guard = manager.lock_all(["a", "b", "c"], TTL).acquire().await.unwrap();
    // A node that the quorum did not wait for must not take it in between.
    eventually(SOON, || servers.iter().all(|server| server.keys().len() == 3)).await;
    for server in servers {
        server.del("b");
        server.set_nx_px("b", "theirs", LONG);
    }
    let error = guard.release().await.unwrap_err();
    assert!(error.is_not_owner(), "{error}");
    assert_eq!(error.key(), "b");
    eventually(SOON, || servers.iter().all(|server| server.keys() == ["b"])).await;
});

#[tokio::test]
async fn several_keys_are_one_command_and_a_single_one_a_plain_set() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let guard = manager.lock_all(["a"], TTL).acquire().await.unwrap();
    assert_eq!(server.command_count("set"), 1);
    assert_eq!(server.command_count("evalsha"), 0);
    guard.release().await.unwrap();
    let before = server.command_count("evalsha");
    let guard = manager
        .lock_all(["a", "b", "c"], TTL)
        .acquire()
        .await
        .unwrap();
    assert_eq!(server.command_count("evalsha"), before + 1);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_no_lock_is_named() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let _: i64 = server.cli(&["HSET", "b", "field", "1"]);
    let error = manager
        .lock_all(["a", "b"], TTL)
        .acquire()
        .await
        .unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
    assert_eq!(error.key(), Some("b"));
    assert!(error.to_string().contains("hash"), "{error}");
    assert!(is_free(&manager, "a").await);
}

#[tokio::test]
async fn a_right_to_some_of_the_keys_takes_none() {
    let server = Server::start();
    let _: String = server.cli(&[
        "ACL", "SETUSER", "app", "on", ">secret", "+@all", "~a", "%R~b",
    ]);
    let url = server.url().replace("redis://", "redis://app:secret@");
    let manager = LockManager::connect(url).await.unwrap();
    let error = manager
        .lock_all(["a", "b"], TTL)
        .try_acquire()
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("NOPERM"), "{error}");
    eventually(SOON, || server.keys().is_empty()).await;
}

#[tokio::test]
async fn a_minority_that_is_down_is_not_needed_for_several_keys() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    servers[1].kill();
    for _ in 0..10 {
        let guard = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
        guard.extend(LONG).await.unwrap();
        guard.release().await.unwrap();
    }
    servers[2].kill();
    let error = manager
        .lock_all(["a", "b"], TTL)
        .acquire()
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn cancelling_an_acquire_of_several_keys_gives_all_of_them_back() {
    let node = Scripted::new();
    node.on_acquire([lockguard_tests::Step::never().applied()]);
    let manager = LockManager::new(node.clone());
    let acquire = manager.lock_all(["a", "b"], TTL).acquire();
    assert!(
        tokio::time::timeout(Duration::from_secs(1), acquire)
            .await
            .is_err()
    );
    let are_released = || {
        let releases = node.calls_of(Operation::Release);
        releases.len() == 2 && releases.iter().all(|call| call.fate == Fate::Answered)
    };
    eventually(SOON, are_released).await;
    for key in ["a", "b"] {
        assert!(is_free(&manager, key).await, "{key}");
    }
}

#[tokio::test]
async fn a_lost_key_of_several_is_still_anothers() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    let token = node.calls_of(Operation::Acquire)[0].token.clone();
    let key = LockKey::new("a").unwrap();
    node.memory()
        .release(ReleaseRequest::new(key, token))
        .await
        .unwrap();
    let _theirs = manager.lock("a", TTL).try_acquire().await.unwrap();
    let error = guard.extend(TTL).await.unwrap_err();
    assert_eq!((error.is_lost(), error.key()), (true, Some("a")));
}

#[tokio::test]
async fn a_release_names_a_key_that_was_lost_before_one_that_nobody_answered_for() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    node.on_release([Step::fail(), Step::reply(ReleaseReply::NotHeld)]);
    let error = guard.release().await.unwrap_err();
    assert_eq!((error.is_lost(), error.key()), (true, "b"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_here_for_one_of_several_asks_no_server_while_they_are_held() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let held = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("b", TTL).acquire());
    sleep(TTL / 2).await;
    assert_eq!(node.calls_of(Operation::Acquire).len(), 1);
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
}
