//! Leases that are renewed: `max_hold`.
//!
//! Time is paused where there is no server.

#![expect(clippy::panic, reason = "helpers of tests panic as tests do")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use lockguard::{
    BoxFuture, Lease, LockError, LockKey, LockManager, LostCause,
    backend::{
        Backend, BackendError, ExtendReply, ExtendRequest, Memory, ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{
    Call, Fate, Operation, Scripted, Servers, Step, Warnings, eventually, forward,
    over_1_3_5_nodes, redlock_over,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    task::yield_now,
    time::{Instant, advance, sleep, sleep_until, timeout},
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const TTL: Duration = ms(2000);

/// The ttl less the drift margin: 1 % of it and 2 ms.
const LIFETIME: Duration = ms(1978);

const MINUTE: Duration = ms(60_000);

/// The latest that a first renewal goes out: a third of the ttl, a tick, and
/// a timer's millisecond.
const FIRST_RENEWAL: Duration = ms(667 + 50 + 1);

fn scripted<const N: usize>() -> [Scripted; N] {
    std::array::from_fn(|_| Scripted::new())
}

/// One manager of each kind that needs no server.
fn managers() -> Vec<(&'static str, LockManager)> {
    let memories = (0..3).map(|_| Memory::new());
    vec![
        ("memory", LockManager::memory()),
        (
            "redlock over memory",
            LockManager::new(redlock_over(memories)),
        ),
        ("one node", LockManager::new(Scripted::new())),
        ("redlock", LockManager::new(redlock_over(scripted::<3>()))),
    ]
}

fn lost_cause<T: std::fmt::Debug>(result: Result<T, LockError>) -> LostCause {
    match result {
        Err(LockError::Lost { cause, .. }) => cause,
        other => panic!("not lost: {other:?}"),
    }
}

fn extends(node: &Scripted) -> usize {
    node.calls_of(Operation::Extend).len()
}

#[tokio::test(start_paused = true)]
async fn a_renewed_body_outlives_several_ttls() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let body = request.run(async |lease| {
            for _ in 0..100 {
                sleep(TTL / 10).await;
                lease.check().unwrap();
                let other = manager.lock("k", TTL).try_acquire();
                assert!(tokio::spawn(other).await.unwrap().unwrap_err().is_busy());
            }
        });
        body.await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(start.elapsed() >= 10 * TTL);
        drop(manager.lock("k", TTL).try_acquire().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn max_hold_ends_the_body_as_a_loss_and_the_lock_is_free() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(5 * TTL);
        let cause = lost_cause(request.run(async |_| sleep(MINUTE).await).await);
        assert_eq!(cause, LostCause::MaxHold, "{name}");
        let late = start.elapsed().checked_sub(5 * TTL).unwrap();
        assert!(late <= ms(1), "{name}: {late:?} late");
        sleep(ms(1)).await;
        drop(manager.lock("k", TTL).try_acquire().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_max_hold_of_the_ttl_is_a_whole_ttl() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let guard = manager
            .lock("k", TTL)
            .max_hold(TTL)
            .acquire()
            .await
            .unwrap();
        assert_eq!(guard.lost().await, LostCause::MaxHold, "{name}");
        assert!(start.elapsed() >= TTL && start.elapsed() <= TTL + ms(1));
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_and_remaining_follow_the_renewals_and_never_pass_max_hold() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let max_hold = 4 * TTL;
        let request = manager.lock("k", TTL).max_hold(max_hold);
        let guard = request.acquire().await.unwrap();
        let mut before = guard.deadline();
        assert_eq!(before.duration_since(start), LIFETIME, "{name}");
        let mut moves = 0;
        while start.elapsed() + ms(10) < max_hold {
            sleep(ms(10)).await;
            let deadline = guard.deadline();
            assert!(guard.is_held() && deadline >= before, "{name}");
            assert!(deadline <= start + max_hold, "{name}");
            assert!(guard.remaining() <= LIFETIME, "{name}");
            moves += u32::from(deadline > before);
            before = deadline;
        }
        assert_eq!(before, start + max_hold, "{name}");
        assert!((9..=11).contains(&moves), "{name}: {moves} moves");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_node_never_keeps_the_key_long_after_max_hold() {
    // Short of three times, too: the last renewal is for less than a ttl.
    for max_hold in [TTL * 3, TTL * 5 / 2] {
        let node = Scripted::new();
        let manager = LockManager::new(node.clone());
        let other = LockManager::new(node.memory());
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(max_hold);
        // Never dropped: the key ends by itself.
        std::mem::forget(request.acquire().await.unwrap());
        drop(other.lock("k", TTL).wait(MINUTE).acquire().await.unwrap());
        let held = start.elapsed();
        assert!((max_hold..=max_hold + ms(25)).contains(&held), "{held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_without_max_hold() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert_eq!(guard.lost().await, LostCause::Expired);
    assert_eq!(extends(&node), 0);
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_renewed_until_it_is_released() {
    for (name, manager) in managers() {
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        sleep(5 * TTL).await;
        assert!(guard.is_held(), "{name}");
        guard.release().await.unwrap();
        drop(manager.lock("k", TTL).try_acquire().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_ends_with_the_release_the_drop_and_the_loss() {
    for end in ["release", "drop", "loss"] {
        let node = Scripted::new();
        let manager = LockManager::new(node.clone());
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        sleep(2 * TTL).await;
        let mut kept = None;
        match end {
            "release" => guard.release().await.unwrap(),
            "drop" => drop(guard),
            _ => {
                node.lose_data();
                assert_eq!(guard.lost().await, LostCause::Taken);
                kept = Some(guard);
            }
        }
        let renewed = extends(&node);
        sleep(5 * TTL).await;
        assert_eq!(extends(&node), renewed, "after a {end}");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_renewed_lease_and_begins_again() {
    let manager = LockManager::new(Scripted::new());
    let metrics = Handle::current().metrics();
    let idle = metrics.num_alive_tasks();
    for _ in 0..3 {
        let request = |key| manager.lock(key, TTL).max_hold(MINUTE);
        let one = request("a").acquire().await.unwrap();
        let two = request("b").acquire().await.unwrap();
        assert_eq!(metrics.num_alive_tasks(), idle + 1, "one task for all");
        drop(one);
        sleep(TTL).await;
        assert_eq!(metrics.num_alive_tasks(), idle + 1);
        two.release().await.unwrap();
        sleep(ms(1)).await;
        assert_eq!(metrics.num_alive_tasks(), idle);
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_manager_renews_without_a_task() {
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    sleep(3 * TTL).await;
    assert_eq!(metrics.num_alive_tasks(), before);
    assert!(guard.is_held());
}

#[test]
fn the_memory_manager_renews_after_its_runtime_has_ended() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
    };
    let manager = LockManager::memory();
    let request = manager.lock("k", ms(50)).max_hold(MINUTE);
    let guard = runtime().unwrap().block_on(request.acquire()).unwrap();
    thread::sleep(ms(200));
    assert!(guard.is_held());
    let other = manager.lock("k", ms(50)).try_acquire();
    assert!(runtime().unwrap().block_on(other).unwrap_err().is_busy());
    drop(guard);
    let other = manager.lock("k", ms(50)).try_acquire();
    drop(runtime().unwrap().block_on(other).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_before_the_deadline() {
    let node = Scripted::new();
    node.on_extend([Step::fail(), Step::fail(), Step::fail()]);
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    request.run(async |_| sleep(3 * TTL).await).await.unwrap();
    assert!(extends(&node) > 3 + 6);
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_in_a_row_are_one_warning_with_the_reason() {
    let warnings = Warnings::collect();
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("seat:1", TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        for _ in 0..2 {
            node.on_extend([Step::fail(), Step::fail()]);
            sleep(2 * TTL).await;
        }
    });
    body.await.unwrap();
    let told = warnings.containing("seat:1");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("told to fail"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_not_answered_is_tried_again_before_the_deadline() {
    let node = Scripted::new();
    node.on_extend([Step::never(), Step::never()]);
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    request.run(async |_| sleep(3 * TTL).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_renewals_fail_is_lost_at_its_deadline_and_not_before() {
    for step in [Step::fail(), Step::never(), Step::never().applied()] {
        let node = Scripted::new();
        node.on_every_extend(step);
        let manager = LockManager::new(node.clone());
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let cause = lost_cause(request.run(async |_| sleep(MINUTE).await).await);
        assert_eq!(cause, LostCause::Expired);
        let late = start.elapsed().checked_sub(LIFETIME).unwrap();
        assert!(late <= ms(1), "{late:?} late");
        // Tried again and again, and not without a pause.
        assert!((3..=10).contains(&extends(&node)), "{}", extends(&node));
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_answered_after_the_deadline_revives_nothing() {
    for answer in [Step::pass(), Step::reply(ExtendReply::NotHeld)] {
        let node = Scripted::new();
        let late = answer.answering_after(ms(400));
        node.on_extend([Step::never(), Step::never(), late]);
        let manager = LockManager::new(node.clone());
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        assert_eq!(guard.lost().await, LostCause::Expired);
        assert_eq!(extends(&node), 3);
        sleep(TTL).await;
        assert!(!guard.is_held());
        // Nor does it say that it was taken.
        assert_eq!(lost_cause(guard.check()), LostCause::Expired);
        assert!(guard.release().await.unwrap_err().is_lost());
        assert_eq!(extends(&node), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_not_ours_any_more_ends_the_body_at_once_and_not_at_the_deadline() {
    for reply in [ExtendReply::NotHeld, ExtendReply::NotOwner] {
        let nodes = scripted::<3>();
        for node in &nodes[..2] {
            node.on_every_extend(Step::reply(reply));
        }
        let manager = LockManager::new(redlock_over(nodes.clone()));
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let cause = lost_cause(request.run(async |_| sleep(MINUTE).await).await);
        assert_eq!(cause, LostCause::Taken);
        assert!(start.elapsed() <= FIRST_RENEWAL, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_minority_that_has_lost_the_key_is_no_loss() {
    let nodes = scripted::<3>();
    let manager = LockManager::new(redlock_over(nodes.clone()));
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        nodes[0].lose_data();
        sleep(3 * TTL).await;
        assert!(extends(&nodes[0]) > 6);
        // It is not created again there either.
        let direct = LockManager::new(nodes[0].memory());
        drop(direct.lock("k", TTL).try_acquire().await.unwrap());
    });
    body.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_creates_no_key() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    node.lose_data();
    assert_eq!(guard.lost().await, LostCause::Taken);
    let direct = LockManager::new(node.memory());
    drop(direct.lock("k", TTL).try_acquire().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_local_waiters_from_asking_the_servers() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(MINUTE).acquire());
    sleep(ms(4900)).await;
    guard.release().await.unwrap();
    let start = Instant::now();
    drop(waiting.await.unwrap().unwrap());
    assert!(start.elapsed() <= ms(1));
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
}

/// There it is renewed in advance.
#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_in_memory_is_told_that_the_lock_may_be_held_up_to_max_hold() {
    let manager = LockManager::memory();
    let _held = manager.lock("k", TTL).max_hold(MINUTE).acquire().await;
    let waiting = manager.lock("k", TTL).wait(TTL / 4);
    let busy = tokio::spawn(waiting.acquire()).await.unwrap();
    let Err(LockError::Busy { retry_after, .. }) = busy else {
        panic!("not busy: {busy:?}");
    };
    assert!(retry_after.unwrap() + TTL / 4 >= MINUTE, "{retry_after:?}");
}

#[tokio::test(start_paused = true)]
async fn an_extend_by_the_owner_spares_renewals_and_stays_within_max_hold() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let start = Instant::now();
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    guard.extend(10 * TTL).await.unwrap();
    let deadline = guard.deadline();
    assert!(deadline > start + 9 * TTL);
    sleep(8 * TTL).await;
    assert_eq!((extends(&node), guard.deadline()), (1, deadline));
    // From then on it is renewed as before.
    sleep(4 * TTL).await;
    assert!(guard.is_held() && guard.deadline() > deadline);
    guard.extend(10 * MINUTE).await.unwrap();
    assert_eq!(guard.deadline(), start + MINUTE);
    assert_eq!(guard.lost().await, LostCause::MaxHold);
    assert!(start.elapsed() <= MINUTE + ms(1));
}

#[tokio::test(start_paused = true)]
async fn an_extend_by_the_owner_on_memory_stays_within_max_hold() {
    let manager = LockManager::memory();
    let start = Instant::now();
    let guard = manager
        .lock("k", TTL)
        .max_hold(2 * TTL)
        .acquire()
        .await
        .unwrap();
    guard.extend(MINUTE).await.unwrap();
    assert_eq!(guard.deadline(), start + 2 * TTL);
    assert_eq!(guard.lost().await, LostCause::MaxHold);
}

#[tokio::test(start_paused = true)]
async fn a_max_hold_shorter_than_the_ttl_is_refused_before_any_server_is_asked() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(TTL / 2);
    let error = request.acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    assert!(error.to_string().contains("max_hold of 1s"), "{error}");
    assert!(node.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_max_hold_without_end_is_accepted() {
    for (_, manager) in managers() {
        let request = manager.lock("k", TTL).max_hold(Duration::MAX);
        let guard = request.acquire().await.unwrap();
        sleep(MINUTE).await;
        assert!(guard.is_held() && guard.remaining() <= LIFETIME);
        guard.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn short_and_long_ttls_are_renewed_side_by_side() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let mut guards = Vec::new();
    for (nth, ttl) in [10, 50, 400, 2000, 60_000, 3_600_000]
        .into_iter()
        .enumerate()
    {
        let request = manager
            .lock(format!("k:{nth}"), ms(ttl))
            .max_hold(60 * MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    sleep(MINUTE + MINUTE).await;
    assert!(guards.iter().all(|guard| guard.is_held()), "{guards:?}");
}

/// The task sleeps until the first renewal that it knows of.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_due_before_all_others_is_renewed_in_time() {
    let manager = LockManager::new(Scripted::new());
    let long = manager.lock("long", 60 * MINUTE).max_hold(120 * MINUTE);
    let _long = long.acquire().await.unwrap();
    sleep(MINUTE).await;
    let short = manager.lock("short", TTL).max_hold(MINUTE).acquire().await;
    let short = short.unwrap();
    sleep(5 * TTL).await;
    short.check().unwrap();
}

/// Another lease keeps the task going.
#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_while_its_release_is_under_way() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let long = manager.lock("long", 60 * MINUTE).max_hold(120 * MINUTE);
    let _long = long.acquire().await.unwrap();
    let guard = manager.lock("k", TTL).max_hold(MINUTE).acquire().await;
    sleep(ms(600)).await;
    node.on_release([Step::pass().after(ms(400))]);
    guard.unwrap().release().await.unwrap();
    assert_eq!(extends(&node), 0);
}

/// A store that takes a while to be asked for a renewal, says so, and notes what
/// it was asked for in which order.
#[derive(Clone)]
struct Ponderous {
    memory: Memory,
    begins: mpsc::Sender<()>,
    asked: Arc<Mutex<Vec<Operation>>>,
}

impl Backend for Ponderous {
    forward!(acquire => |store| store.memory);

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let _ = self.begins.send(());
        let begun = std::time::Instant::now();
        while begun.elapsed() < ms(50) && self.asked.lock().is_empty() {
            thread::sleep(ms(1));
        }
        self.asked.lock().push(Operation::Extend);
        self.memory.extend(requests)
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.asked.lock().push(Operation::Release);
        self.memory.release(request)
    }
}

/// Otherwise it would be renewed after its release, by a node that gets the two in
/// this order.
#[tokio::test(start_paused = true)]
async fn a_release_comes_after_a_renewal_that_is_being_asked_for() {
    let (begins, begun) = mpsc::channel();
    let store = Ponderous {
        memory: Memory::new(),
        begins,
        asked: Arc::default(),
    };
    let manager = LockManager::new(store.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    let releasing = thread::spawn(move || {
        begun.recv().unwrap();
        drop(guard);
    });
    sleep(FIRST_RENEWAL).await;
    releasing.join().unwrap();
    assert_eq!(*store.asked.lock(), [Operation::Extend, Operation::Release]);
}

/// It comes after the release, and would keep the lock for a whole ttl.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_a_release_overtakes_does_not_lengthen_its_min_hold() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let other = LockManager::new(node.memory());
    let start = Instant::now();
    let request = manager.lock("k", TTL).max_hold(MINUTE).min_hold(ms(1500));
    let guard = request.acquire().await.unwrap();
    node.on_extend([Step::pass().after(ms(300))]);
    sleep(FIRST_RENEWAL).await;
    assert_eq!(extends(&node), 1);
    guard.release().await.unwrap();
    sleep_until(start + ms(1499)).await;
    assert!(
        other
            .lock("k", TTL)
            .try_acquire()
            .await
            .unwrap_err()
            .is_busy()
    );
    sleep_until(start + ms(1500)).await;
    drop(other.lock("k", TTL).try_acquire().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_several_keys_is_renewed_as_one() {
    for (name, manager) in managers() {
        let keys = ["a", "b", "c"];
        let request = manager.lock_all(keys, TTL).max_hold(MINUTE);
        let body = request.run(async |_| {
            sleep(3 * TTL).await;
            for key in keys {
                let other = manager.lock(key, TTL).try_acquire();
                assert!(tokio::spawn(other).await.unwrap().unwrap_err().is_busy());
            }
        });
        body.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_several_keys_that_is_not_ours_any_more_is_a_loss_and_is_named() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock_all(["a", "b"], TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        let token = node.calls_of(Operation::Acquire)[0].token.clone();
        let release = ReleaseRequest::new(LockKey::new("b").unwrap(), token);
        node.memory().release(release).await.unwrap();
        sleep(MINUTE).await;
    });
    let error = body.await.unwrap_err();
    assert_eq!(error.key(), Some("b"));
    assert_eq!(lost_cause::<()>(Err(error)), LostCause::Taken);
}

/// Longer than any bound of the library, and much shorter than the ttl.
const SETTLED: Duration = MINUTE;

/// The cancellation matrix: the lease ends while its renewal succeeds, fails,
/// is slow, or is never answered.
#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_during_a_renewal_leaves_nothing() {
    let ttl = ms(600_000);
    let slow = ms(40);
    let steps: [(&str, Step<ExtendReply>); 7] = [
        ("ok", Step::pass()),
        ("slow", Step::pass().after(slow)),
        ("slow reply", Step::pass().answering_after(slow)),
        ("error", Step::fail()),
        ("error after it took effect", Step::fail().applied()),
        ("never", Step::never()),
        ("never, after it took effect", Step::never().applied()),
    ];
    let renewal = ttl / 3;
    let instants = [0, 49, 50, 51, 70, 95, 130, 1200].map(|after| renewal + ms(after));
    for min_hold in [Duration::ZERO, renewal + ms(10_000)] {
        for count in [1, 3] {
            for (name, step) in &steps {
                for instant in instants {
                    for is_run in [true, false] {
                        let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
                        for node in &nodes {
                            node.on_every_extend(step.clone());
                        }
                        let manager = match &nodes[..] {
                            [only] => LockManager::new(only.clone()),
                            several => LockManager::new(redlock_over(several.to_vec())),
                        };
                        let request = manager.lock("k", ttl).max_hold(ttl).min_hold(min_hold);
                        if is_run {
                            let run = request.run(async |_| sleep(ttl).await);
                            assert!(timeout(instant, run).await.is_err());
                        } else {
                            let guard = request.acquire().await.unwrap();
                            sleep(instant).await;
                            guard.release().await.unwrap();
                        }
                        sleep(SETTLED).await;
                        for node in &nodes {
                            let direct = LockManager::new(node.memory());
                            let free = direct.lock("k", ttl).try_acquire().await;
                            assert!(
                                free.is_ok(),
                                "{name} on {count} nodes, ended at {instant:?}, min_hold \
                                 {min_hold:?}: {free:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_renewed_guard_dropped_without_a_runtime_gives_its_key_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let node = Scripted::new();
    let guard = runtime.block_on(async {
        let manager = LockManager::new(node.clone());
        let request = manager.lock("k", MINUTE).max_hold(MINUTE);
        request.acquire().await.unwrap()
    });
    thread::spawn(move || drop(guard)).join().unwrap();
    let direct = LockManager::new(node.memory());
    let free = direct.lock("k", TTL).wait(MINUTE).acquire();
    drop(runtime.block_on(free).unwrap());
}

#[test]
fn a_renewed_guard_that_outlives_its_runtime_is_lost_at_its_deadline() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let manager = runtime.block_on(async { LockManager::new(Scripted::new()) });
    let request = manager.lock("k", ms(100)).max_hold(MINUTE);
    let guard = runtime.block_on(request.acquire()).unwrap();
    drop(runtime);
    thread::sleep(ms(150));
    assert!(!guard.is_held());
    drop(guard);
}

#[tokio::test]
async fn a_manager_whose_runtime_has_ended_renews_on_the_runtime_at_hand() {
    let node = Scripted::new();
    let store = node.clone();
    let manager = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        let manager = runtime.block_on(async { LockManager::new(store) });
        // Held when its runtime ends.
        let request = manager.lock("other", ms(2000)).max_hold(MINUTE);
        std::mem::forget(runtime.block_on(request.acquire()).unwrap());
        manager
    });
    let manager = manager.join().unwrap();
    let request = manager.lock("k", ms(2000)).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    let is_renewed = |call: &Call| call.key.as_str() == "k" && call.fate == Fate::Answered;
    let are_renewed = || node.calls_of(Operation::Extend).iter().any(is_renewed);
    eventually(MINUTE, are_renewed).await;
    assert!(guard.is_held());
}

/// Keeps locks in memory, and tells of how many leases each extend is.
struct Telling<F> {
    memory: Memory,
    tell: F,
}

impl<F> Telling<F> {
    fn to(tell: F) -> Self {
        let memory = Memory::new();
        Self { memory, tell }
    }
}

impl<F: Fn(usize) + Send + Sync + 'static> Backend for Telling<F> {
    forward!(acquire, release => |store| store.memory);

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        (self.tell)(requests.len());
        self.memory.extend(requests)
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_leases_are_renewed_in_a_few_large_batches() {
    const LEASES: usize = 10_000;
    let batches: Arc<Mutex<Vec<_>>> = Arc::default();
    let noted = Arc::clone(&batches);
    let manager = LockManager::new(Telling::to(move |leases| noted.lock().push(leases)));
    let mut guards = Vec::new();
    for n in 0..LEASES {
        let request = manager.lock(format!("k:{n}"), TTL).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
        if n % 20 == 0 {
            // Spread over half a second.
            sleep(ms(1)).await;
        }
    }
    sleep(2 * TTL).await;
    assert!(guards.iter().all(|guard| guard.is_held()));
    let noted = batches.lock().clone();
    let renewals: usize = noted.iter().sum();
    assert!((5 * LEASES..=8 * LEASES).contains(&renewals), "{renewals}");
    assert!(renewals / noted.len() > 100, "{noted:?}");
    drop(guards);
    sleep(TTL).await;
    assert_eq!(*batches.lock(), noted);
}

#[tokio::test(start_paused = true)]
async fn other_tasks_have_turns_while_many_leases_are_renewed() {
    let turns = Arc::new(AtomicUsize::new(0));
    let asked_at: Arc<Mutex<Vec<_>>> = Arc::default();
    let (turn, noted) = (Arc::clone(&turns), Arc::clone(&asked_at));
    let tell = move |_| noted.lock().push(turn.load(Ordering::Relaxed));
    let manager = LockManager::new(Telling::to(tell));
    let mut guards = Vec::new();
    for n in 0..1000 {
        let request = manager.lock(format!("k:{n}"), TTL).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    let other = tokio::spawn(async move {
        loop {
            turns.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    advance(FIRST_RENEWAL).await;
    while asked_at.lock().len() < 4 {
        yield_now().await;
    }
    other.abort();
    let asked_at = asked_at.lock();
    assert!(asked_at.first() < asked_at.last(), "{asked_at:?}");
}

/// The rest are asked for when those have been given up.
#[tokio::test(start_paused = true)]
async fn of_renewals_that_nobody_answers_64_calls_of_256_wait() {
    const MOST: usize = 64 * 256;
    let node = Scripted::new();
    node.on_every_extend(Step::never());
    let manager = LockManager::new(node.clone());
    let mut guards = Vec::new();
    for n in 0..MOST + 100 {
        let request = manager.lock(format!("k:{n}"), MINUTE).max_hold(MINUTE * 2);
        guards.push(request.acquire().await.unwrap());
    }
    sleep(MINUTE / 3 + ms(900)).await;
    assert_eq!(extends(&node), MOST);
    sleep(ms(200)).await;
    assert!(extends(&node) > MOST);
}

/// A renewed body that says when it is inside, and how it ended.
async fn held_until_lost(
    manager: &LockManager,
    ttl: Duration,
    inside: impl AsyncFnOnce(Lease),
) -> (LostCause, Instant) {
    let request = manager.lock("k", ttl).max_hold(MINUTE);
    let result = request.run(async |lease| {
        inside(lease).await;
        sleep(MINUTE).await;
    });
    (lost_cause(result.await), Instant::now())
}

over_1_3_5_nodes!(a_body_on_servers_outlives_several_ttls(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let other = LockManager::connect(servers.urls()).await.unwrap();
    let ttl = ms(1000);
    let request = manager.lock("k", ttl).max_hold(MINUTE);
    let body = request.run(async |_| {
        for _ in 0..20 {
            sleep(ttl / 5).await;
            assert!(other.lock("k", ttl).try_acquire().await.unwrap_err().is_busy());
        }
    });
    body.await.unwrap();
    eventually(MINUTE, || servers.iter().all(|server| server.keys().is_empty())).await;
});

over_1_3_5_nodes!(max_hold_ends_a_body_on_servers(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let start = Instant::now();
    let request = manager.lock("k", ms(1000)).max_hold(ms(2500));
    let cause = lost_cause(request.run(async |_| sleep(MINUTE).await).await);
    assert_eq!(cause, LostCause::MaxHold);
    assert!(start.elapsed() >= ms(2500) && start.elapsed() < MINUTE / 2);
    eventually(MINUTE, || servers.iter().all(|server| server.keys().is_empty())).await;
});

over_1_3_5_nodes!(a_key_deleted_by_force_on_a_quorum_is_taken_at_the_next_renewal(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let mut deleted = Instant::now();
    let (cause, lost) = held_until_lost(&manager, TTL, async |_| {
        sleep(TTL + TTL / 2).await;
        deleted = Instant::now();
        for server in servers.iter().take(servers.len() / 2 + 1) {
            assert!(server.del("k"));
        }
    })
    .await;
    assert_eq!(cause, LostCause::Taken);
    let noticed = lost.duration_since(deleted);
    // On a busy machine, and still well before the deadline.
    assert!(noticed < FIRST_RENEWAL + ms(1000), "{noticed:?}");
});

over_1_3_5_nodes!(a_majority_that_hangs_is_a_loss_at_the_deadline_and_not_before(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let mut deadline = Instant::now();
    let (cause, lost) = held_until_lost(&manager, TTL, async |lease| {
        sleep(TTL / 2).await;
        for server in servers.iter().take(servers.len() / 2 + 1) {
            server.stop();
        }
        // What was answered before they stopped is known soon.
        sleep(ms(100)).await;
        deadline = lease.deadline();
        assert!(lease.is_held());
    })
    .await;
    assert_eq!(cause, LostCause::Expired);
    assert!(lost >= deadline);
    assert!(lost.duration_since(deadline) < ms(1000), "{lost:?}");
    for server in servers {
        server.cont();
    }
});

over_1_3_5_nodes!(a_hung_minority_costs_a_renewed_body_nothing(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let minority = (servers.len() - 1) / 2;
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        for server in servers.iter().take(minority) {
            server.stop();
        }
        sleep(3 * TTL).await;
    });
    body.await.unwrap();
    for server in servers {
        server.cont();
    }
    eventually(MINUTE, || servers.iter().all(|server| server.keys().is_empty())).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_that_is_killed_and_restarts_costs_a_renewed_body_nothing() {
    for count in [3, 5] {
        let servers = Servers::start(count);
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let body = request.run(async |_| {
            for server in servers.iter().take(count / 2) {
                server.kill();
            }
            sleep(TTL + TTL / 2).await;
            for server in servers.iter().take(count / 2) {
                server.restart();
            }
            sleep(TTL + TTL / 2).await;
            // The release would delete what a renewal had created.
            for server in servers.iter().take(count / 2) {
                assert_eq!(server.get("k"), None, "created again by a renewal");
            }
        });
        body.await.unwrap();
        eventually(MINUTE, || {
            servers.iter().all(|server| server.keys().is_empty())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_server_that_restarts_empty_ends_a_renewed_body() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let (cause, _) = held_until_lost(&manager, 5 * TTL, async |_| servers[0].restart()).await;
    assert_eq!(cause, LostCause::Taken);
}

over_1_3_5_nodes!(a_thousand_leases_on_servers_are_renewed(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let ttl = ms(3000);
    let mut guards = Vec::new();
    for n in 0..1000 {
        let request = manager.lock(format!("k:{n}"), ttl).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    let begun = Instant::now();
    sleep_until(begun + 2 * ttl).await;
    let held = guards.iter().filter(|guard| guard.is_held()).count();
    assert_eq!(held, 1000);
    drop(guards);
    eventually(MINUTE, || servers.iter().all(|server| server.keys().is_empty())).await;
});
