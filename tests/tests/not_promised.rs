//! What a lock with a time limit cannot do: the README's second table, shown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lockguard::{LockManager, LostCause, ReleaseError};
use lockguard_tests::Server;
use tokio::time::{Instant, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Set once a side effect has happened.
#[derive(Clone, Default)]
struct Effect(Arc<AtomicBool>);

impl Effect {
    fn happen(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn has_happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_code_goes_on_after_its_lease_is_lost() {
    let manager = LockManager::memory();
    let effect = Effect::default();
    let (begin, inside) = tokio::sync::oneshot::channel();
    let blocking = tokio::spawn({
        let request = manager.lock("k", ms(50));
        let effect = effect.clone();
        async move {
            let body = async |_| {
                begin.send(()).unwrap();
                std::thread::sleep(ms(1000));
                effect.happen();
            };
            request.run(body).await
        }
    });
    inside.await.unwrap();
    // Somebody else gets in while the blocking body is inside.
    let next = manager.lock("k", ms(60_000)).acquire().await.unwrap();
    assert!(!effect.has_happened());
    // Its value is returned, and counted as late.
    blocking.await.unwrap().unwrap();
    assert!(next.is_held() && effect.has_happened());
    assert_eq!(manager.finished_late(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_task_goes_on_after_its_lease_is_lost() {
    let manager = LockManager::memory();
    let effect = Effect::default();
    let lost = manager.lock("k", ms(50)).run(async |_| {
        let effect = effect.clone();
        tokio::spawn(async move {
            sleep(ms(200)).await;
            effect.happen();
        });
        sleep(ms(1000)).await;
    });
    assert!(lost.await.unwrap_err().is_lost());
    assert!(!effect.has_happened());
    sleep(ms(300)).await;
    assert!(effect.has_happened());
}

#[tokio::test]
async fn what_is_returned_lazily_does_its_work_without_the_lock() {
    let manager = LockManager::memory();
    let rows = manager.lock("k", ms(60_000)).run(async |lease| {
        assert!(lease.is_held());
        (0..3).map(move |_| lease.is_held())
    });
    let rows: Vec<bool> = rows.await.unwrap().collect();
    assert_eq!(rows, [false; 3]);
}

#[tokio::test]
async fn a_key_deleted_by_hand_is_noticed_at_the_release_and_not_before() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let guard = manager.lock("k", ms(60_000)).acquire().await.unwrap();
    assert!(server.del("k"));
    sleep(ms(100)).await;
    assert!(guard.is_held(), "nothing is asked of the server meanwhile");
    let error = guard.release().await.unwrap_err();
    assert!(
        matches!(
            error,
            ReleaseError::Lost {
                cause: LostCause::Taken,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_lost_its_data_grants_a_held_key() {
    let server = Server::start();
    let (one, two) = (
        LockManager::connect(server.url()).await.unwrap(),
        LockManager::connect(server.url()).await.unwrap(),
    );
    let first = one.lock("k", ms(60_000)).acquire().await.unwrap();
    // A restart would be noticed, and end the first.
    server.flush();
    let asked = Instant::now();
    let second = two.lock("k", ms(60_000)).acquire().await.unwrap();
    assert!(asked.elapsed() < ms(10_000));
    assert!(first.is_held() && second.is_held(), "both believe it");
}
