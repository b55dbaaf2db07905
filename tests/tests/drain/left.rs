//! What a drain says that it has left.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_lists_its_key_until_the_ttl_has_passed() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let _short = manager.lock("short", TTL).acquire().await.unwrap();
    let _long = guard(&manager, "long").await;
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(
        drained.to_string(),
        "0 leases released, 0 bodies cancelled, left: long"
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_that_finds_anothers_key_lists_nothing() {
    let node = Scripted::new();
    node.on_release([Step::reply(ReleaseReply::NotOwner)]);
    let manager = LockManager::new(node);
    drop(guard(&manager, "k").await);
    assert!(manager.drain(TIMEOUT).await.is_clean());
}

#[test]
fn a_release_that_ended_with_its_runtime_is_listed() {
    let node = Scripted::new();
    node.on_release([Step::never()]);
    let runtime = Runtime::new().expect("a runtime");
    let manager = runtime.block_on(async {
        let manager = LockManager::new(node);
        drop(guard(&manager, "k").await);
        manager
    });
    drop(runtime);
    let runtime = Runtime::new().expect("a runtime");
    let drained = runtime.block_on(manager.drain(A_MOMENT));
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["k"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_failed_before_the_drain_is_listed_too() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let failed = guard(&manager, "k").await.release().await;
    assert!(failed.unwrap_err().is_unavailable());
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
    assert!(!drained.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_extended_is_listed_for_as_long_as_servers_keep_it() {
    let node = Scripted::new();
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let extended = manager.lock("k", TTL).acquire().await.unwrap();
    extended.extend(LONG).await.unwrap();
    assert!(extended.release().await.is_err());
    sleep(TTL).await;
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_was_cut_off_is_listed_where_it_may_have_been_granted() {
    let node = Scripted::new();
    node.on_acquire([Step::never().applied()]);
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    let request = manager.lock("k", LONG);
    let acquire = tokio::spawn(async move { request.acquire().await.map(drop) });
    tokio::task::yield_now().await;
    let drained = manager.drain(TIMEOUT).await;
    assert!(acquire.await.unwrap().is_err());
    assert_eq!(drained.left().len(), 1, "{drained}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_left_twice_is_listed_once() {
    let node = Scripted::new();
    node.on_acquire([Step::never(), Step::never()]);
    node.on_every_release(Step::fail());
    let manager = LockManager::new(node);
    for _ in 0..2 {
        let cut_off = manager.lock("k", LONG).acquire();
        timeout(A_MOMENT, cut_off).await.unwrap_err();
    }
    let drained = manager.drain(TIMEOUT).await;
    assert_eq!(drained.left().len(), 1, "{drained}");
}
