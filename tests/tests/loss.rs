//! What becomes of a body whose lease is lost: `on_lost`.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use lockguard::{LockError, LockManager, LostCause, OnLost};
use lockguard_tests::{Operation, Scripted, Step, Warnings};
use tokio::time::{Instant, sleep};

const TTL: Duration = Duration::from_secs(2);

/// The ttl less the drift margin: 1 % of it and 2 ms.
const LIFETIME: Duration = Duration::from_millis(1978);

/// Lets so much time pass within one poll.
async fn block_for(time: Duration) {
    let mut advance = pin!(tokio::time::advance(time));
    poll_fn(|cx| {
        while advance.as_mut().poll(cx).is_pending() {}
        Poll::Ready(())
    })
    .await;
}

async fn is_free(manager: &LockManager) -> bool {
    let taken = manager.lock("k", TTL).try_acquire().await;
    taken.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_to_finish_goes_on_after_the_loss_and_its_value_is_returned() {
    let manager = LockManager::memory();
    let start = Instant::now();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let value = request.run(async |_| {
        sleep(3 * TTL).await;
        7
    });
    assert_eq!(value.await.unwrap(), 7);
    assert!(start.elapsed() >= 3 * TTL);
    assert_eq!(manager.finished_late(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_is_told_of_the_loss_at_the_deadline() {
    let manager = LockManager::memory();
    let start = Instant::now();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = request.run(async |lease| {
        assert_eq!(lease.lost().await, LostCause::Expired);
        let late = start.elapsed().saturating_sub(LIFETIME);
        assert!(late <= Duration::from_millis(1), "{late:?} late");
        // What follows a wait sees the loss too.
        sleep(TTL).await;
        assert!(!lease.is_held() && lease.remaining().is_zero());
        assert!(lease.check().unwrap_err().is_lost());
        assert_eq!(lease.lost().await, LostCause::Expired);
    });
    body.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_may_lock_again_what_it_has_lost() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = request.run(async |_| {
        sleep(TTL).await;
        manager.lock("k", TTL).acquire().await
    });
    body.await.unwrap().unwrap().release().await.unwrap();
}

/// Within the poll that ends in a wait.
#[tokio::test(start_paused = true)]
async fn a_loss_while_a_body_blocks_is_a_warning_once_it_waits() {
    let warnings = Warnings::collect();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let mut body = pin!(request.run(async |_| {
        block_for(2 * TTL).await;
        pending::<()>().await;
    }));
    assert!(poll_fn(|cx| Poll::Ready(body.as_mut().poll(cx).is_pending())).await);
    assert_eq!(warnings.containing("its body goes on").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_to_finish_and_keeps_its_lease_is_not_late() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    request.run(async |_| sleep(TTL / 2).await).await.unwrap();
    assert_eq!(manager.finished_late(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_loss_inside_one_long_poll_counts_once() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = request.run(async |_| {
        block_for(2 * TTL).await;
        7
    });
    assert_eq!(body.await.unwrap(), 7);
    assert_eq!(manager.finished_late(), 1);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_gets_in_while_a_body_goes_on_and_keeps_the_lock() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = tokio::spawn(request.run(async |_| sleep(2 * TTL).await));
    sleep(TTL + TTL / 4).await;
    let next = manager.lock("k", 10 * TTL).try_acquire().await.unwrap();
    body.await.unwrap().unwrap();
    // The late release is not the next owner's.
    assert!(next.is_held() && !is_free(&manager).await);
}

#[tokio::test(start_paused = true)]
async fn the_release_after_a_body_that_went_on_goes_out_detached() {
    let node = Scripted::new();
    node.on_release([Step::pass().after(TTL)]);
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let start = Instant::now();
    request.run(async |_| sleep(2 * TTL).await).await.unwrap();
    let late = start.elapsed().saturating_sub(2 * TTL);
    assert!(late <= Duration::from_millis(1), "waited {late:?}");
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_dropped_at_the_loss_unless_it_is_to_finish() {
    let manager = LockManager::memory();
    for request in [
        manager.lock("k", TTL),
        manager.lock("k", TTL).on_lost(OnLost::Cancel),
    ] {
        let error = request.run(async |_| sleep(2 * TTL).await).await;
        assert!(matches!(
            error,
            Err(LockError::Lost {
                cause: LostCause::Expired,
                ..
            })
        ));
    }
    assert_eq!(manager.finished_late(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_body_that_went_on_gives_the_lock_back() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = request.run(async |_| {
        sleep(2 * TTL).await;
        panic!("as the test wants");
    });
    assert!(tokio::spawn(body).await.unwrap_err().is_panic());
    assert_eq!(node.calls_of(Operation::Release).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_after_a_known_loss_is_not_woken_without_end() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let polls = std::sync::atomic::AtomicU32::new(0);
    let request = manager.lock("k", TTL).on_lost(OnLost::Finish);
    let body = request.run(async |_| {
        let mut pause = std::pin::pin!(sleep(5 * TTL));
        poll_fn(|cx| {
            polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            pause.as_mut().poll(cx)
        })
        .await;
    });
    body.await.unwrap();
    let polls = polls.into_inner();
    assert!(polls <= 4, "{polls} polls");
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_a_body_outlives_is_one_warning() {
    let warnings = Warnings::collect();
    let manager = LockManager::memory();
    for pause in [2 * TTL, TTL / 2] {
        let request = manager.lock("seat:1", TTL).on_lost(OnLost::Finish);
        request.run(async |_| sleep(pause).await).await.unwrap();
    }
    let told = warnings.containing("seat:1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("its body goes on"), "{told:?}");
}
