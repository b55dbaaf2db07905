//! What a drain does to the leases that are held.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_held_lease_may_be_extended_until_it_is_ended() {
    for (_, manager) in managers() {
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
    for (_, manager) in managers() {
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
    for (_, manager) in managers() {
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
    for (_, manager) in managers() {
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
