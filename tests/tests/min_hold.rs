//! A lock that stays for a least time: `min_hold`.
//!
//! Time is paused where there is no server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests panic as tests do"
)]

use std::{future::pending, thread, time::Duration};

use lockguard::{
    LockError, LockManager, LostCause, OnLost,
    backend::{ExtendReply, Memory, ReleaseReply},
};
use lockguard_tests::{
    Operation, Scripted, Server, Step, eventually, managers, over_1_3_5_nodes, redlock_over,
};
use tokio::time::{Instant, sleep, timeout};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const TTL: Duration = ms(10_000);

const MIN_HOLD: Duration = ms(4000);

const MINUTE: Duration = ms(60_000);

/// What a holder's attempt says is left of the lock; zero when it is free.
async fn left(manager: &LockManager) -> Duration {
    match manager.lock("k", TTL).try_acquire().await {
        Ok(guard) => {
            guard.release().await.unwrap();
            Duration::ZERO
        }
        Err(LockError::Busy { retry_after, .. }) => retry_after.unwrap(),
        Err(other) => panic!("{other}"),
    }
}

/// Fails unless the lock is kept until `until`, and not longer.
async fn assert_kept(manager: &LockManager, until: Instant, what: &str) {
    let rest = until.duration_since(Instant::now());
    let told = left(manager).await;
    assert!(
        told <= rest && told + ms(2) > rest,
        "{what}: {told:?} of {rest:?}"
    );
    sleep(rest.checked_sub(ms(1)).unwrap()).await;
    assert!(!left(manager).await.is_zero(), "{what}: free too early");
    sleep(ms(2)).await;
    assert!(left(manager).await.is_zero(), "{what}: kept too long");
}

#[tokio::test(start_paused = true)]
async fn a_lock_stays_for_its_min_hold_and_the_caller_does_not() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
        let value = request.run(async |_| {
            sleep(ms(500)).await;
            7
        });
        assert_eq!(value.await.unwrap(), 7);
        assert_eq!(start.elapsed(), ms(500), "{name}: the caller was kept");
        assert_kept(&manager, start + MIN_HOLD, name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_released_or_dropped_leaves_the_rest() {
    for (name, manager) in managers() {
        for is_released in [true, false] {
            let start = Instant::now();
            let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
            let guard = request.acquire().await.unwrap();
            sleep(ms(500)).await;
            if is_released {
                guard.release().await.unwrap();
            } else {
                drop(guard);
                sleep(ms(1)).await;
            }
            assert_kept(&manager, start + MIN_HOLD, name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_left_after_an_error_a_panic_and_a_cancellation() {
    for (name, manager) in managers() {
        for end in ["error", "panic", "cancellation"] {
            let start = Instant::now();
            let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
            let body = request.run(async move |_| {
                sleep(ms(500)).await;
                match end {
                    "error" => Err::<(), _>("no"),
                    "panic" => panic!("as the test wants"),
                    _ => pending().await,
                }
            });
            match end {
                "error" => assert_eq!(body.await.unwrap(), Err("no")),
                "panic" => assert!(tokio::spawn(body).await.unwrap_err().is_panic()),
                _ => assert!(timeout(ms(600), body).await.is_err()),
            }
            sleep(ms(1)).await;
            assert_kept(&manager, start + MIN_HOLD, &format!("{name}, {end}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_held_for_longer_is_free_at_the_release() {
    for (name, manager) in managers() {
        let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
        request.run(async |_| sleep(MIN_HOLD).await).await.unwrap();
        assert!(left(&manager).await.is_zero(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_min_hold_of_the_ttl_ends_with_the_ttl() {
    for (name, manager) in managers() {
        for held in [ms(0), ms(100), ms(9890)] {
            let start = Instant::now();
            let request = manager.lock("k", TTL).min_hold(TTL);
            let guard = request.acquire().await.unwrap();
            sleep(held).await;
            guard.release().await.unwrap();
            assert_kept(&manager, start + TTL, name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_min_hold_beyond_the_ttl_is_kept_where_max_hold_allows_it() {
    for (name, manager) in managers() {
        for held in [ms(100), ms(2500), ms(15_000)] {
            let start = Instant::now();
            let request = manager.lock("k", ms(2000)).max_hold(MINUTE);
            let request = request.min_hold(ms(20_000));
            request.run(async |_| sleep(held).await).await.unwrap();
            assert_eq!(start.elapsed(), held, "{name}: the caller was kept");
            assert_kept(&manager, start + ms(20_000), name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_no_node_confirms_delays_the_caller_by_one_budget() {
    let nodes = [Scripted::new(), Scripted::new(), Scripted::new()];
    for node in &nodes {
        node.on_every_extend(Step::never());
    }
    let manager = LockManager::new(redlock_over(nodes));
    let start = Instant::now();
    let request = manager.lock("k", ms(100)).max_hold(MINUTE).min_hold(MINUTE);
    assert_eq!(request.run(async |_| 7).await.unwrap(), 7);
    // A quarter of the ttl.
    assert!(start.elapsed() <= ms(26), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_one_of_several_keys_stays_for_the_min_hold() {
    for (name, manager) in managers() {
        for (ttl, max_hold) in [(TTL, TTL), (ms(1000), MINUTE)] {
            let start = Instant::now();
            let request = manager.lock_all(["j", "k"], ttl).max_hold(max_hold);
            let request = request.min_hold(MIN_HOLD);
            request.run(async |_| sleep(ms(500)).await).await.unwrap();
            for key in ["j", "k"] {
                let busy = manager.lock(key, TTL).try_acquire().await.unwrap_err();
                assert!(busy.is_busy(), "{name}: {busy}");
            }
            assert_kept(&manager, start + MIN_HOLD, name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_min_hold_within_the_ttl_asks_for_nothing_more() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).min_hold(TTL);
    request.run(async |_| ()).await.unwrap();
    assert!(node.calls_of(Operation::Extend).is_empty());
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_kept_no_longer_than_its_servers_keep_it() {
    for on_lost in [OnLost::Cancel, OnLost::Finish] {
        let node = Scripted::new();
        node.on_every_extend(Step::fail());
        let manager = LockManager::new(node.clone());
        let start = Instant::now();
        let request = manager.lock("k", ms(2000)).max_hold(MINUTE);
        let request = request.min_hold(ms(20_000)).on_lost(on_lost);
        let body = request.run(async |lease| {
            assert_eq!(lease.lost().await, LostCause::Expired);
        });
        assert_eq!(body.await.is_ok(), on_lost == OnLost::Finish);
        sleep(ms(1)).await;
        assert_kept(&manager, start + ms(2000), "lost").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_not_lengthened_for_its_min_hold() {
    for (renewed, cause) in [
        (Step::fail(), LostCause::Expired),
        (Step::reply(ExtendReply::NotHeld), LostCause::Taken),
    ] {
        let node = Scripted::new();
        node.on_every_extend(renewed);
        let manager = LockManager::new(node.clone());
        let start = Instant::now();
        let request = manager.lock("k", TTL).max_hold(MINUTE).min_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        assert_eq!(guard.lost().await, cause);
        node.on_every_extend(Step::pass());
        drop(guard);
        sleep(ms(1)).await;
        assert_kept(&manager, start + TTL, "lost").await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_here_waits_for_no_min_hold_of_a_lost_lease() {
    let node = Scripted::new();
    node.on_every_extend(Step::fail());
    let manager = LockManager::new(node.clone());
    let start = Instant::now();
    let request = manager.lock("k", TTL).max_hold(MINUTE).min_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    assert_eq!(guard.lost().await, LostCause::Expired);
    drop(guard);
    let next = manager.lock("k", TTL).wait(MINUTE).acquire().await;
    assert!(start.elapsed() <= TTL + ms(2), "{:?}", start.elapsed());
    next.unwrap().release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_min_hold_without_end_is_accepted() {
    for (name, manager) in managers() {
        let request = manager.lock("k", TTL).max_hold(Duration::MAX);
        let guard = request.min_hold(Duration::MAX).acquire().await.unwrap();
        guard.release().await.unwrap();
        sleep(MINUTE).await;
        assert!(!left(&manager).await.is_zero(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_lost_lease_stays_for_its_min_hold() {
    let nodes: Vec<_> = (0..3).map(|_| Scripted::new()).collect();
    let manager = LockManager::new(redlock_over(nodes.clone()));
    let start = Instant::now();
    let request = manager.lock("k", TTL).max_hold(MINUTE).min_hold(MIN_HOLD);
    let request = request.on_lost(OnLost::Finish);
    let body = request.run(async |lease| {
        for node in &nodes[..2] {
            node.lose_data();
        }
        assert_eq!(lease.lost().await, LostCause::Taken);
    });
    body.await.unwrap();
    sleep(ms(1)).await;
    let third = LockManager::new(nodes[2].memory());
    assert_kept(&third, start + MIN_HOLD, "the third node").await;
}

#[tokio::test(start_paused = true)]
async fn a_local_waiter_gets_the_lock_when_the_rest_has_passed_and_asks_nobody_before() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let start = Instant::now();
    let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
    let guard = request.acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(MINUTE).acquire());
    sleep(ms(500)).await;
    guard.release().await.unwrap();
    drop(waiting.await.unwrap().unwrap());
    let waited = start.elapsed();
    assert!(
        (MIN_HOLD..=MIN_HOLD + ms(2)).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_local_waiter_asks_nobody_before_a_rest_beyond_the_ttl_has_passed() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", ms(2000)).max_hold(MINUTE);
    let guard = request.min_hold(MIN_HOLD).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(MINUTE).acquire());
    sleep(ms(500)).await;
    guard.release().await.unwrap();
    drop(waiting.await.unwrap().unwrap());
    assert_eq!(node.calls_of(Operation::Acquire).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_local_waiter_that_gives_up_is_told_the_rest() {
    for (name, manager) in managers() {
        let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
        let guard = request.acquire().await.unwrap();
        let waiting = tokio::spawn(manager.lock("k", TTL).wait(ms(1000)).acquire());
        sleep(ms(500)).await;
        guard.release().await.unwrap();
        match waiting.await.unwrap() {
            Err(LockError::Busy { retry_after, .. }) => {
                let rest = retry_after.unwrap();
                assert!(rest <= ms(3000), "{name}: {rest:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
        sleep(MIN_HOLD).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_of_another_manager_gets_the_lock_when_the_rest_has_passed() {
    let store = Memory::new();
    let (one, other) = (LockManager::new(store.clone()), LockManager::new(store));
    let start = Instant::now();
    let guard = one
        .lock("k", TTL)
        .min_hold(MIN_HOLD)
        .acquire()
        .await
        .unwrap();
    let waiting = tokio::spawn(other.lock("k", TTL).wait(MINUTE).acquire());
    sleep(ms(500)).await;
    guard.release().await.unwrap();
    drop(waiting.await.unwrap().unwrap());
    let waited = start.elapsed();
    assert!(
        (MIN_HOLD..=MIN_HOLD + ms(2)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn waiters_in_a_line_are_all_served_after_the_rest() {
    for (name, manager) in managers() {
        let start = Instant::now();
        let request = || manager.lock("k", TTL).wait(MINUTE).min_hold(ms(1000));
        let jobs: Vec<_> = (0..5)
            .map(|_| tokio::spawn(request().run(async |_| Instant::now())))
            .collect();
        let mut begun = Vec::new();
        for job in jobs {
            begun.push(job.await.unwrap().unwrap());
        }
        begun.sort();
        for pair in begun.windows(2) {
            assert!(pair[1] - pair[0] >= ms(1000), "{name}: {begun:?}");
        }
        assert!(
            start.elapsed() < ms(4000 + 1000),
            "{name}: {:?}",
            start.elapsed()
        );
        sleep(ms(1001)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_with_a_rest_that_fails_leaves_the_value() {
    for step in [Step::fail(), Step::reply(ReleaseReply::NotOwner)] {
        let node = Scripted::new();
        node.on_every_release(step);
        let manager = LockManager::new(node);
        let request = manager.lock("k", TTL).min_hold(MIN_HOLD);
        assert_eq!(request.run(async |_| 7).await.unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn relations_that_cannot_be_are_refused_before_any_server_is_asked() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = |min_hold| manager.lock("k", TTL).min_hold(min_hold);
    for (refused, text) in [
        (request(TTL + ms(1)), "longer than its ttl"),
        (
            request(MINUTE + ms(1)).max_hold(MINUTE),
            "longer than its max_hold",
        ),
    ] {
        let error = refused.acquire().await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(node.calls().is_empty());
    drop(request(TTL).acquire().await.unwrap());
}

#[test]
fn a_guard_dropped_without_a_runtime_leaves_the_rest() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).min_hold(ms(100));
    let start = std::time::Instant::now();
    let guard = runtime.block_on(request.acquire()).unwrap();
    drop(runtime);
    drop(guard);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    let is_free = || {
        runtime
            .block_on(manager.lock("k", TTL).try_acquire())
            .is_ok()
    };
    let is_kept = !is_free();
    assert!(is_kept || start.elapsed() >= ms(100));
    thread::sleep(ms(100).saturating_sub(start.elapsed()) + ms(2));
    assert!(is_free());
}

over_1_3_5_nodes!(the_rest_is_on_every_node_and_not_longer(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let min_hold = MINUTE / 2;
    let start = Instant::now();
    let request = manager.lock("k", MINUTE).min_hold(min_hold);
    assert_eq!(request.run(async |_| 7).await.unwrap(), 7);
    assert!(start.elapsed() < min_hold, "the caller was kept");
    let has_the_rest = |server: &Server| {
        let Some(left) = server.pttl("k") else {
            return false;
        };
        // Servers count whole milliseconds.
        left <= min_hold && left + start.elapsed() + ms(1) >= min_hold
    };
    // Also on nodes that the quorum did not wait for; what keeps the whole ttl
    // is not down to the rest by then.
    eventually(min_hold / 3, || servers.iter().all(has_the_rest)).await;
});

over_1_3_5_nodes!(a_waiter_of_another_process_sees_the_rest(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let other = LockManager::connect(servers.urls()).await.unwrap();
    let start = Instant::now();
    let request = manager.lock("k", MINUTE).min_hold(ms(1500));
    let guard = request.acquire().await.unwrap();
    let waiting = tokio::spawn(other.lock("k", TTL).wait(MINUTE).acquire());
    guard.release().await.unwrap();
    drop(waiting.await.unwrap().unwrap());
    let waited = start.elapsed();
    assert!(waited >= ms(1500) && waited < ms(4000), "{waited:?}");
});

over_1_3_5_nodes!(a_rest_beyond_the_ttl_is_kept_on_servers(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let start = Instant::now();
    let request = manager.lock("k", ms(500)).max_hold(MINUTE).min_hold(ms(2000));
    drop(request.acquire().await.unwrap());
    drop(manager.lock("k", ms(500)).wait(MINUTE).acquire().await.unwrap());
    let waited = start.elapsed();
    assert!(waited >= ms(2000) && waited < ms(4000), "{waited:?}");
});

over_1_3_5_nodes!(a_rest_after_a_cancelled_body_is_kept_on_servers(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let start = Instant::now();
    let request = manager.lock("k", MINUTE).min_hold(ms(1500));
    let run = request.run(async |_| pending::<()>().await);
    assert!(timeout(ms(100), run).await.is_err());
    drop(manager.lock("k", TTL).wait(MINUTE).acquire().await.unwrap());
    let waited = start.elapsed();
    assert!(waited >= ms(1500) && waited < ms(4000), "{waited:?}");
});
