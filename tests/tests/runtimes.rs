//! Runtimes that are small, foreign, or gone.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{cell::RefCell, future::poll_fn, task::Poll, thread, time::Duration};

use lockguard::{LockError, LockGuard, LockManager};
use lockguard_tests::{Scripted, Server, Servers, Step, eventually_blocking};
use tokio::runtime::{Builder, Runtime};

const TTL: Duration = Duration::from_secs(600);

const PATIENCE: Duration = Duration::from_secs(10);

fn both_flavours() -> [Runtime; 2] {
    let mut one = Builder::new_current_thread();
    let mut many = Builder::new_multi_thread();
    [
        one.enable_all().build().unwrap(),
        many.worker_threads(2).enable_all().build().unwrap(),
    ]
}

/// What an acquire says at once whose manager's runtime has ended.
#[track_caller]
fn gone_at_once(runtime: &Runtime, manager: &LockManager) -> LockError {
    let start = std::time::Instant::now();
    let error = runtime
        .block_on(manager.lock("k", TTL).acquire())
        .unwrap_err();
    assert!(matches!(error, LockError::RuntimeGone { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_millis(500));
    error
}

#[test]
fn a_cycle_works_on_both_flavours() {
    let servers = Servers::start(3);
    for runtime in both_flavours() {
        runtime.block_on(async {
            let manager = LockManager::connect(servers.urls()).await.unwrap();
            let value = manager.lock("k", TTL).run(async |_| 7).await;
            assert_eq!(value.unwrap(), 7);
        });
    }
}

#[test]
fn a_guard_dropped_outside_any_runtime_neither_blocks_nor_panics_and_its_key_goes() {
    for nodes in [1, 3] {
        let servers = Servers::start(nodes);
        let runtime = Runtime::new().unwrap();
        let guard = runtime.block_on(async {
            let manager = LockManager::connect(servers.urls()).await.unwrap();
            manager.lock("k", TTL).acquire().await.unwrap()
        });
        let start = std::time::Instant::now();
        thread::spawn(move || drop(guard)).join().unwrap();
        assert!(start.elapsed() < Duration::from_millis(500));
        eventually_blocking(PATIENCE, || servers.are_empty());
    }
}

#[test]
fn a_guard_dropped_after_its_runtime_neither_blocks_nor_panics() {
    let servers = Servers::start(3);
    let runtime = Runtime::new().unwrap();
    let guard = runtime.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        manager.lock("k", TTL).acquire().await.unwrap()
    });
    drop(runtime);
    drop(guard);
}

/// The thread has lost its random generator then, which was made later.
#[test]
fn a_guard_that_a_thread_keeps_to_its_end_goes_with_it() {
    thread_local! {
        static KEPT: RefCell<Option<LockGuard>> = const { RefCell::new(None) };
    }

    let servers = Servers::start(1);
    let runtime = Runtime::new().unwrap();
    let connect = || LockManager::connect(servers.urls());
    let first = runtime.block_on(connect()).unwrap();
    let first = runtime.block_on(first.lock("k", TTL).acquire()).unwrap();
    let second = runtime.block_on(connect()).unwrap();
    let handle = runtime.handle().clone();
    let keeper = thread::spawn(move || {
        KEPT.set(None);
        let kept = second.lock("k", TTL).wait(PATIENCE).acquire();
        KEPT.set(Some(handle.block_on(kept).unwrap()));
    });
    // One that was waited for may be left open, which is a draw.
    let are_kept = |keys| servers.iter().all(|server| server.keys().len() == keys);
    eventually_blocking(PATIENCE, || are_kept(2));
    runtime.block_on(first.release()).unwrap();
    keeper.join().unwrap();
    eventually_blocking(PATIENCE, || are_kept(0));
}

#[test]
fn a_manager_whose_runtime_is_gone_says_so_at_once_and_what_to_do() {
    for nodes in [1, 3] {
        let servers = Servers::start(nodes);
        let [first, second] = both_flavours();
        let manager = first
            .block_on(LockManager::connect(servers.urls()))
            .unwrap();
        drop(first);
        let error = gone_at_once(&second, &manager);
        assert!(error.to_string().contains("lockguard::scope"), "{error}");
    }
}

/// Nobody is left who could give it back.
#[test]
fn a_manager_whose_runtime_is_gone_waits_for_no_lock_of_its_own() {
    let servers = Servers::start(1);
    let [first, second] = both_flavours();
    let (manager, _held) = first.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let held = manager.lock("k", TTL).acquire().await.unwrap();
        (manager, held)
    });
    drop(first);
    gone_at_once(&second, &manager);
}

/// Over a store that needs none.
#[test]
fn what_is_dropped_after_a_managers_runtime_is_given_back_on_the_one_at_hand() {
    let node = Scripted::new();
    let [first, second] = both_flavours();
    let manager = first.block_on(async { LockManager::new(node.clone()) });
    drop(first);
    node.on_release([Step::pass().after(Duration::from_millis(1))]);
    second.block_on(async {
        drop(manager.lock("k", TTL).acquire().await.unwrap());
        // A second one could not be had before.
        let next = manager.lock("k", TTL).wait(PATIENCE).acquire().await;
        next.unwrap().release().await.unwrap();
    });
}

#[test]
fn a_manager_can_be_used_from_another_runtime_while_its_own_lives() {
    let servers = Servers::start(3);
    let [home, guest] = both_flavours();
    // The home runtime must be driven: the multi-thread one drives itself.
    let (home, guest) = (guest, home);
    let manager = home.block_on(LockManager::connect(servers.urls())).unwrap();
    let value = guest.block_on(manager.lock("k", TTL).run(async |_| 7));
    assert_eq!(value.unwrap(), 7);
    eventually_blocking(PATIENCE, || servers.are_empty());
}

#[test]
fn what_was_begun_on_a_runtime_that_has_ended_goes_on_on_another() {
    let servers = Servers::start(1);
    let [guest, home] = both_flavours();
    let manager = home.block_on(LockManager::connect(servers.urls())).unwrap();
    let held = home.block_on(manager.lock("k", TTL).acquire()).unwrap();
    let mut waiting = Box::pin(manager.lock("k", TTL).wait(PATIENCE).acquire());
    for runtime in [&guest, &home] {
        let polled = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(runtime.block_on(polled));
    }
    home.block_on(held.release()).unwrap();
    let guard = home.block_on(waiting).unwrap();

    servers.iter().for_each(Server::stop);
    let mut release = Box::pin(guard.release());
    let polled = poll_fn(|cx| Poll::Ready(release.as_mut().poll(cx).is_pending()));
    assert!(guest.block_on(polled));
    drop(guest);
    servers.iter().for_each(Server::cont);
    home.block_on(release).unwrap();
}
