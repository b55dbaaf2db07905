//! The task that renews, and the runtime that it is on.

use super::*;

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
