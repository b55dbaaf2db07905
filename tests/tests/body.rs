//! A body under its lease: it runs while the lease lasts, and not longer.
//!
//! Time is paused: what takes seconds here takes none.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    future::{pending, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use lockguard::{LockError, LockManager, LostCause};
use tokio::{
    sync::oneshot,
    task::{LocalSet, yield_now},
    time::{Instant, sleep},
};

const TTL: Duration = Duration::from_secs(2);

/// The ttl less the drift margin: 1 % of it and 2 ms.
const LIFETIME: Duration = Duration::from_millis(1978);

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

fn lost_cause(error: &LockError) -> Option<LostCause> {
    match error {
        LockError::Lost { cause, .. } => Some(*cause),
        _ => None,
    }
}

/// Sets its flag when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_returned_and_the_lock_is_free_before_the_caller_goes_on() {
    let manager = LockManager::memory();
    let value = manager.lock("k", TTL).run(async |_| 42).await.unwrap();
    assert_eq!(value, 42);
    assert!(is_free(&manager, "k").await);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_body_is_its_value_and_the_lock_is_released() {
    let manager = LockManager::memory();
    let value = manager
        .lock("k", TTL)
        .run(async |_| Err::<(), _>("no"))
        .await;
    assert_eq!(value.unwrap(), Err("no"));
    assert!(is_free(&manager, "k").await);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_body_releases_the_lock() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL);
    let panicked = tokio::spawn(request.run(async |_| panic!("as the test wants")))
        .await
        .unwrap_err();
    assert!(panicked.is_panic());
    assert!(is_free(&manager, "k").await);
}

#[tokio::test(start_paused = true)]
async fn cancelling_the_caller_drops_the_body_and_releases_the_lock() {
    let manager = LockManager::memory();
    let is_dropped = Arc::new(AtomicBool::new(false));
    let dropped = Dropped(Arc::clone(&is_dropped));
    let run = manager.lock("k", TTL).run(async move |_| {
        let _dropped = dropped;
        pending::<()>().await;
    });
    assert!(tokio::time::timeout(TTL / 4, run).await.is_err());
    assert!(is_dropped.load(Ordering::SeqCst));
    assert!(is_free(&manager, "k").await);
}

#[tokio::test(start_paused = true)]
async fn an_idle_body_is_dropped_at_the_deadline_and_reported_lost() {
    let manager = LockManager::memory();
    let is_dropped = Arc::new(AtomicBool::new(false));
    let dropped = Dropped(Arc::clone(&is_dropped));
    let start = Instant::now();
    let error = manager
        .lock("k", TTL)
        .run(async move |_| {
            let _dropped = dropped;
            pending::<()>().await;
        })
        .await
        .unwrap_err();
    assert_eq!(lost_cause(&error), Some(LostCause::Expired));
    assert!(!error.is_retryable());
    assert!(is_dropped.load(Ordering::SeqCst));
    // The paused clock moves in whole milliseconds.
    let late = start.elapsed().saturating_sub(LIFETIME);
    assert!(
        late <= Duration::from_millis(1),
        "{late:?} after the deadline"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_lies_before_the_expiry_on_the_server_by_the_drift_margin() {
    let manager = LockManager::memory();
    let start = Instant::now();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert_eq!(guard.deadline() - start, LIFETIME);
    tokio::time::advance(LIFETIME).await;
    assert!(!guard.is_held());
    assert!(!is_free(&manager, "k").await, "free before the ttl");
    tokio::time::advance(TTL.saturating_sub(LIFETIME)).await;
    assert!(is_free(&manager, "k").await);
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_always_ready_to_go_on_is_stopped_too() {
    let manager = LockManager::memory();
    let polls = AtomicU32::new(0);
    let error = manager
        .lock("k", TTL)
        .run(async |_| {
            loop {
                polls.fetch_add(1, Ordering::SeqCst);
                // Never idle: the runtime has no time for a timer of its own.
                tokio::time::advance(TTL / 8).await;
            }
        })
        .await
        .map(|(): ()| ())
        .unwrap_err();
    assert_eq!(lost_cause(&error), Some(LostCause::Expired));
    assert!(polls.load(Ordering::SeqCst) <= 9, "{polls:?} polls");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_woken_after_the_deadline_is_not_polled_again() {
    let manager = LockManager::memory();
    let (wake, woken) = tokio::sync::oneshot::channel();
    let mut running = Box::pin(manager.lock("k", TTL).run(async move |_| woken.await));
    let begun = tokio::time::timeout(Duration::from_millis(1), &mut running).await;
    assert!(begun.is_err(), "it waits");
    tokio::time::advance(TTL).await;
    wake.send(()).unwrap();
    let error = running.await.unwrap_err();
    assert_eq!(lost_cause(&error), Some(LostCause::Expired));
}

/// On the real clock: the budget is spent on real wakes.
#[tokio::test]
async fn a_body_that_uses_up_its_cooperative_budget_is_stopped_too() {
    let manager = LockManager::memory();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let start = std::time::Instant::now();
    let error = manager
        .lock("k", Duration::from_millis(100))
        .run(async |_| {
            loop {
                // Always ready: only the budget makes this yield.
                sender.send(()).unwrap();
                receiver.recv().await;
            }
        })
        .await
        .map(|(): ()| ())
        .unwrap_err();
    assert_eq!(lost_cause(&error), Some(LostCause::Expired));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_of_a_last_long_poll_is_returned_and_counted() {
    let manager = LockManager::memory();
    let value = manager
        .lock("k", TTL)
        .run(async |_| {
            // One poll, longer than the lease.
            tokio::time::advance(Duration::ZERO).await;
            poll_fn(|cx| {
                let mut advance = std::pin::pin!(tokio::time::advance(2 * TTL));
                while advance.as_mut().poll(cx).is_pending() {}
                Poll::Ready(7)
            })
            .await
        })
        .await;
    assert_eq!(value.unwrap(), 7);
    assert_eq!(manager.finished_late(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_body_sees_its_lease_and_current_does_too() {
    let manager = LockManager::memory();
    assert!(lockguard::current().is_none());
    manager
        .lock("k", TTL)
        .run(async |lease| {
            let current = lockguard::current().unwrap();
            assert_eq!(current.keys(), lease.keys());
            assert!(lease.is_held() && lease.check().is_ok());
            assert!(lease.remaining() <= LIFETIME);
            let spawned = tokio::spawn(async { lockguard::current().is_some() });
            assert!(!spawned.await.unwrap(), "a spawned task is not the body");
        })
        .await
        .unwrap();
    assert!(lockguard::current().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_innermost_body_is_current() {
    let manager = LockManager::memory();
    let current = || lockguard::current().map(|lease| lease.keys()[0].to_string());
    let outer = manager.lock("outer", TTL).run(async |_| {
        let inner = manager.lock("inner", TTL).run(async |_| current());
        assert_eq!(inner.await.unwrap().as_deref(), Some("inner"));
        current()
    });
    assert_eq!(outer.await.unwrap().as_deref(), Some("outer"));
}

#[tokio::test(start_paused = true)]
async fn a_bare_guard_is_not_current() {
    let manager = LockManager::memory();
    let _guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(lockguard::current().is_none());
}

#[tokio::test(start_paused = true)]
async fn locking_a_key_again_inside_its_body_is_reentrant_at_once() {
    let manager = LockManager::memory();
    let start = Instant::now();
    let error = manager
        .lock("seat:1", TTL)
        .named("shop::book")
        .run(async |_| {
            manager
                .lock("audit", TTL)
                .run(async |_| {
                    manager
                        .lock("seat:1", TTL)
                        .named("shop::refund")
                        .wait(TTL)
                        .acquire()
                        .await
                })
                .await
                .unwrap()
                .unwrap_err()
        })
        .await
        .unwrap();
    assert!(start.elapsed().is_zero());
    let text = error.to_string();
    assert!(matches!(error, LockError::Reentrant { .. }), "{text}");
    for part in ["seat:1", "shop::book", "shop::refund"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_key_under_another_manager_is_not_reentrant() {
    let (one, other) = (LockManager::memory(), LockManager::memory());
    let inner = one
        .lock("k", TTL)
        .run(async |_| other.lock("k", TTL).try_acquire().await.map(drop));
    inner.await.unwrap().unwrap();
}

/// Whoever awaits it from the outer one would wait for itself.
#[tokio::test(start_paused = true)]
async fn a_body_that_began_inside_another_is_inside_wherever_it_is_polled() {
    let manager = LockManager::memory();
    let (begun, elsewhere) = oneshot::channel();
    let outer = manager.lock("outer", TTL).run(async |_| {
        let again = manager.clone();
        let mut inner = Box::pin(manager.lock("inner", TTL).run(async move |_| {
            yield_now().await;
            again.lock("outer", TTL).acquire().await.map(drop)
        }));
        let begins = poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx)));
        assert!(begins.await.is_pending());
        assert!(begun.send(inner).is_ok());
        sleep(TTL / 2).await;
    });
    let inner = async { elsewhere.await.unwrap().await };
    let (outer, inner) = tokio::join!(outer, inner);
    outer.unwrap();
    let error = inner.unwrap().unwrap_err();
    assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
}

/// A `LocalSet` that a body drives for a moment polls tasks that nobody inside
/// waits for.
#[tokio::test(start_paused = true)]
async fn a_body_of_another_local_task_is_not_inside_the_one_that_drives_it() {
    let (manager, tasks) = (LockManager::memory(), LocalSet::new());
    let (begin, begins) = oneshot::channel::<()>();
    let other = manager.clone();
    let other = tasks.spawn_local(async move {
        let its = other.lock("its", TTL).run(async |_| {
            begins.await.unwrap();
            other.lock("k", TTL).acquire().await.map(drop)
        });
        its.await.unwrap()
    });
    tasks.run_until(yield_now()).await;
    let drives = manager.lock("k", TTL).run(async |_| {
        begin.send(()).unwrap();
        tasks.run_until(sleep(TTL / 4)).await;
    });
    drives.await.unwrap();
    tasks.run_until(other).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_bodies_joined_in_one_task_do_not_see_each_other() {
    let manager = LockManager::memory();
    let body = |key: &'static str| {
        manager.lock(key, TTL).run(async move |_| {
            for _ in 0..10 {
                sleep(Duration::from_millis(3)).await;
                let current = lockguard::current().unwrap();
                assert_eq!(current.keys()[0].as_str(), key);
            }
        })
    };
    let (a, b) = tokio::join!(body("a"), body("b"));
    a.and(b).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_another_task_holds_is_waited_for_and_not_reentrant() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(TTL).run(async |_| ()));
    sleep(TTL / 4).await;
    guard.release().await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_closure_does_before_its_future_runs_in_the_body_too() {
    let manager = LockManager::memory();
    let in_the_body = manager.lock("k", TTL).run(|_lease| {
        let first = lockguard::current().is_some();
        async move { (first, lockguard::current().is_some()) }
    });
    assert_eq!(in_the_body.await.unwrap(), (true, true));
}
