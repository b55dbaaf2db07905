//! Renewals that fail, are not answered, or are refused.

use super::*;

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
