//! How long a lease is renewed, and how its deadline moves.

use super::*;

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
