//! The token interface: the job of Go's `LockManager { Acquire; Release }`.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockManager, NodeError, OwnerToken, ReleaseError, Released, RetryPolicy,
    TokenLock,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, ExtendReply, ExtendRequest, Memory,
        ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{Server, Servers, eventually, over_1_3_5_nodes};
use tokio::time::{Instant, advance, timeout};

const KEY: &str = "demo-lock-key";
const TTL: Duration = Duration::from_secs(2);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Three tries 100 ms apart, and a label that is the same for everybody.
async fn manager() -> LockManager {
    LockManager::builder()
        .memory()
        .token_generator(|key| format!("token-for:{key}"))
        .retry(RetryPolicy::tries(3).delay(ms(100)))
        .build()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_walk_acquire_busy_release_release_again() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    assert_eq!(token.label(), "token-for:demo-lock-key");

    let asked = Instant::now();
    let second = manager.acquire_as(KEY, TTL, "another-token").await;
    assert!(second.unwrap_err().is_busy());
    let waited = asked.elapsed();
    assert!(ms(200) <= waited && waited < ms(210), "{waited:?}");

    // The holder is untouched by the attempts of the other.
    assert_eq!(manager.release(KEY, &token).await.unwrap(), Released::Freed);
    assert_eq!(
        manager.release(KEY, &token).await.unwrap(),
        Released::NotHeld
    );
    let next = manager.acquire_as(KEY, TTL, "another-token").await.unwrap();
    assert_eq!(next.label(), "another-token");
}

#[tokio::test(start_paused = true)]
async fn busy_names_the_holder_and_never_its_token() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    let busy = manager.acquire(KEY, TTL).await.unwrap_err();
    let text = busy.to_string();
    assert!(text.contains("token-for:demo-lock-key"), "{text}");
    let random = token.expose().rsplit(':').next().unwrap();
    assert!(!text.contains(random), "{text}");
}

#[tokio::test(start_paused = true)]
async fn release_with_a_wrong_token_is_refused_and_leaves_the_lock() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    // The same label is not the same owner.
    let forged = OwnerToken::with_label(token.label());
    let refused = manager.release(KEY, &forged).await.unwrap_err();
    assert!(refused.is_not_owner());
    assert_eq!(refused.key(), KEY);
    assert!(manager.acquire(KEY, TTL).await.unwrap_err().is_busy());
    assert_eq!(manager.release(KEY, &token).await.unwrap(), Released::Freed);
}

#[tokio::test(start_paused = true)]
async fn release_after_expiry_is_a_no_op_that_says_so() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    advance(TTL).await;
    assert_eq!(
        manager.release(KEY, &token).await.unwrap(),
        Released::NotHeld
    );
}

#[tokio::test(start_paused = true)]
async fn release_by_a_stale_owner_leaves_the_successor() {
    let manager = manager().await;
    let stale = manager.acquire(KEY, TTL).await.unwrap();
    advance(TTL).await;
    let successor = manager.acquire(KEY, TTL).await.unwrap();
    assert_eq!(successor.label(), stale.label());

    let refused = manager.release(KEY, &stale).await.unwrap_err();
    assert!(refused.is_not_owner());
    assert_eq!(
        manager.release(KEY, &successor).await.unwrap(),
        Released::Freed
    );
}

#[tokio::test(start_paused = true)]
async fn release_of_a_key_that_was_never_held_is_a_no_op_that_says_so() {
    let manager = manager().await;
    let token = OwnerToken::with_label("nobody");
    for key in [KEY, "", "not a key"] {
        assert_eq!(
            manager.release(key, &token).await.unwrap(),
            Released::NotHeld,
            "{key:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_not_released_is_free_after_its_ttl() {
    let manager = manager().await;
    let _crashed = manager.acquire(KEY, ms(150)).await.unwrap();
    let asked = Instant::now();
    manager.acquire(KEY, TTL).await.unwrap();
    assert!(asked.elapsed() >= ms(150));
}

#[tokio::test(start_paused = true)]
async fn different_keys_do_not_exclude_each_other() {
    let manager = manager().await;
    let one = manager.acquire("seat:1", TTL).await.unwrap();
    let two = manager.acquire("seat:2", TTL).await.unwrap();
    assert!(
        manager
            .release("seat:1", &two)
            .await
            .unwrap_err()
            .is_not_owner()
    );
    assert_eq!(
        manager.release("seat:1", &one).await.unwrap(),
        Released::Freed
    );
    assert_eq!(
        manager.release("seat:2", &two).await.unwrap(),
        Released::Freed
    );
}

#[tokio::test(start_paused = true)]
async fn the_generator_is_called_once_for_each_acquire_with_the_key() {
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let manager = LockManager::builder()
        .memory()
        .prefix("shop:")
        .token_generator({
            let calls = Arc::clone(&calls);
            move |key| {
                calls.lock().unwrap().push(key.to_owned());
                String::from("label")
            }
        })
        .retry(RetryPolicy::tries(3).delay(ms(100)))
        .build()
        .await
        .unwrap();

    manager.acquire("seat:1", TTL).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["seat:1"]);
    // Three tries, each with a token of its own, and one label.
    assert!(manager.acquire("seat:1", TTL).await.unwrap_err().is_busy());
    assert_eq!(*calls.lock().unwrap(), ["seat:1", "seat:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_label_overrides_the_generator() {
    let manager = manager().await;
    let token = manager.acquire_as(KEY, TTL, "by-hand").await.unwrap();
    assert_eq!(token.label(), "by-hand");
}

#[tokio::test(start_paused = true)]
async fn an_empty_label_falls_back_to_the_generator() {
    let manager = manager().await;
    let token = manager.acquire_as(KEY, TTL, "").await.unwrap();
    assert_eq!(token.label(), "token-for:demo-lock-key");
}

#[tokio::test(start_paused = true)]
async fn without_a_generator_the_label_is_the_managers() {
    let manager = LockManager::builder()
        .memory()
        .label("billing@host-1")
        .build()
        .await
        .unwrap();
    let token = manager.acquire(KEY, TTL).await.unwrap();
    assert_eq!(token.label(), "billing@host-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_survives_as_text() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    let text = token.expose().to_owned();
    assert!(text.starts_with("lg1:token-for:demo-lock-key:"), "{text}");
    let again: OwnerToken = text.parse().unwrap();
    assert_eq!(manager.release(KEY, &again).await.unwrap(), Released::Freed);
}

/// The trap of the well-known tutorial: where the label is the whole token, a
/// loser's clean-up deletes the winner's key.
#[tokio::test(start_paused = true)]
async fn owners_with_one_label_still_exclude_each_other() {
    let store = Memory::new();
    let (winner, loser) = (LockManager::new(store.clone()), LockManager::new(store));
    let label = "token-for:demo-lock-key";
    let token = winner.acquire_as(KEY, TTL, label).await.unwrap();

    let refused = timeout(ms(500), loser.acquire_as(KEY, TTL, label)).await;
    assert!(refused.is_err(), "the key was given away");
    assert!(
        loser
            .lock(KEY, TTL)
            .try_acquire()
            .await
            .unwrap_err()
            .is_busy()
    );
    // What the loser left behind has not touched the winner.
    assert_eq!(winner.release(KEY, &token).await.unwrap(), Released::Freed);
}

#[tokio::test(start_paused = true)]
async fn eight_contenders_with_one_label_never_overlap() {
    let store = Memory::new();
    let (inside, grants) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            // Each is a process of its own, as far as the store can tell.
            let manager = LockManager::new(store.clone());
            let (inside, grants) = (Arc::clone(&inside), Arc::clone(&grants));
            tokio::spawn(async move {
                for _ in 0..20 {
                    let label = "token-for:demo-lock-key";
                    let Ok(token) = manager.acquire_as(KEY, TTL, label).await else {
                        continue;
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                    tokio::time::sleep(ms(5)).await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    grants.fetch_add(1, Ordering::SeqCst);
                    let released = manager.release(KEY, &token).await.unwrap();
                    assert_eq!(released, Released::Freed);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(grants.load(Ordering::SeqCst), 160);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_woken_by_the_release_before_its_delay_has_passed() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    let next = tokio::spawn({
        let manager = manager.clone();
        async move {
            let asked = Instant::now();
            manager.acquire(KEY, TTL).await.unwrap();
            asked.elapsed()
        }
    });
    tokio::time::sleep(ms(30)).await;
    manager.release(KEY, &token).await.unwrap();
    let waited = next.await.unwrap();
    assert!(waited < ms(40), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_shortens_the_wait_and_never_lengthens_it() {
    for _ in 0..20 {
        let manager = LockManager::builder()
            .memory()
            .retry(RetryPolicy::tries(3).delay(ms(100)).jitter(0.5))
            .build()
            .await
            .unwrap();
        manager.acquire(KEY, TTL).await.unwrap();
        let asked = Instant::now();
        assert!(manager.acquire(KEY, TTL).await.unwrap_err().is_busy());
        let waited = asked.elapsed();
        assert!(ms(100) <= waited && waited <= ms(202), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_a_time_limit_ends_the_wait_at_its_limit() {
    let manager = LockManager::builder()
        .memory()
        .retry(RetryPolicy::within(ms(300)))
        .build()
        .await
        .unwrap();
    manager.acquire(KEY, TTL).await.unwrap();
    let asked = Instant::now();
    assert!(manager.acquire(KEY, TTL).await.unwrap_err().is_busy());
    let waited = asked.elapsed();
    assert!(ms(300) <= waited && waited < ms(310), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_callers_deadline_ends_the_wait_promptly_and_leaves_nothing() {
    let manager = manager().await;
    let token = manager.acquire(KEY, TTL).await.unwrap();
    let asked = Instant::now();
    let ended = timeout(ms(30), manager.acquire(KEY, TTL)).await;
    assert!(ended.is_err());
    assert!(asked.elapsed() < ms(35), "{:?}", asked.elapsed());

    manager.release(KEY, &token).await.unwrap();
    // Whoever left does not stand in the way of who comes next.
    let next = manager.lock(KEY, TTL).try_acquire().await.unwrap();
    next.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_error_on_acquire_is_told_from_busy() {
    let manager = LockManager::new(Failing);
    let asked = Instant::now();
    let error = manager.acquire(KEY, TTL).await.unwrap_err();
    assert!(error.is_unavailable() && !error.is_busy(), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("store-1:6379: connection refused")
    );
    // Waiting is for busy alone.
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_store_error_on_release_is_told_from_a_wrong_token() {
    let manager = LockManager::new(Failing);
    let token = OwnerToken::with_label("any");
    let error = manager.release(KEY, &token).await.unwrap_err();
    assert!(error.is_unavailable() && !error.is_not_owner(), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("store-1:6379: connection refused")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_and_what_is_no_ttl_are_refused_by_name() {
    let manager = manager().await;
    let error = manager.acquire("not a key", TTL).await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error:?}");
    let error = manager.acquire(KEY, Duration::ZERO).await.unwrap_err();
    assert!(
        matches!(error, LockError::InvalidOptions { .. }),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_manager_and_a_mock_stand_behind_one_interface() {
    async fn run_job(locks: Arc<dyn TokenLock>) -> Result<Released, LockError> {
        let token = locks.acquire(KEY, TTL).await?;
        Ok(locks.release(KEY, &token).await.expect("release"))
    }

    let real: Arc<dyn TokenLock> = Arc::new(manager().await);
    assert_eq!(run_job(real).await.unwrap(), Released::Freed);
    let mock: Arc<dyn TokenLock> = Arc::new(AlwaysBusy);
    assert!(run_job(mock).await.unwrap_err().is_busy());
}

/// What the trap needs: a process of its own, a label for everybody, and tries
/// that meet each other.
async fn on(servers: &Servers) -> LockManager {
    LockManager::builder()
        .nodes(servers.iter().map(Server::url))
        .token_generator(|key| format!("token-for:{key}"))
        .retry(RetryPolicy::tries(3).delay(ms(100)))
        .build()
        .await
        .unwrap()
}

over_1_3_5_nodes!(the_walk_on_servers(servers) {
    let (holder, other) = (on(servers).await, on(servers).await);
    let token = holder.acquire(KEY, TTL).await.unwrap();
    eventually(TTL, || servers.iter().all(|server| server.get(KEY).is_some())).await;

    let asked = Instant::now();
    assert!(other.acquire(KEY, TTL).await.unwrap_err().is_busy());
    let waited = asked.elapsed();
    assert!(ms(200) <= waited && waited < ms(1500), "{waited:?}");
    // Neither the tries of the other nor its clean-up has touched the key.
    for server in servers {
        assert_eq!(server.get(KEY).as_deref(), Some(token.expose()));
        assert!(server.pttl(KEY).is_some_and(|left| left + ms(200) <= TTL));
    }
    assert_eq!(holder.release(KEY, &token).await.unwrap(), Released::Freed);
    assert_eq!(holder.release(KEY, &token).await.unwrap(), Released::NotHeld);
    other.acquire(KEY, TTL).await.unwrap();
});

over_1_3_5_nodes!(eight_managers_with_one_generator_never_overlap(servers) {
    let inside = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for _ in 0..8 {
        let (manager, inside) = (on(servers).await, Arc::clone(&inside));
        workers.push(tokio::spawn(async move {
            let (end, mut grants) = (Instant::now() + ms(1000), 0);
            while Instant::now() < end {
                let Ok(token) = manager.acquire(KEY, TTL).await else {
                    continue;
                };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                tokio::time::sleep(ms(2)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(manager.release(KEY, &token).await.unwrap(), Released::Freed);
                grants += 1;
            }
            grants
        }));
    }
    let mut grants = 0;
    for worker in workers {
        grants += worker.await.unwrap();
    }
    assert!(grants > 8, "{grants} grants");
});

over_1_3_5_nodes!(a_stale_owner_leaves_the_successor_on_servers(servers) {
    let (manager, short) = (on(servers).await, ms(200));
    let stale = manager.acquire(KEY, short).await.unwrap();
    tokio::time::sleep(short + ms(5)).await;
    let successor = manager.acquire(KEY, TTL).await.unwrap();
    assert!(manager.release(KEY, &stale).await.unwrap_err().is_not_owner());
    assert_eq!(manager.release(KEY, &successor).await.unwrap(), Released::Freed);
});

/// The future borrows the locks alone.
fn of_a_key_that_is_dropped(locks: &dyn TokenLock) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
    let key = format!("{KEY}:{}", 17);
    locks.acquire(&key, TTL)
}

/// The same without the trait.
fn of_a_key_of_the_managers(manager: &LockManager) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
    let key = format!("{KEY}:{}", 18);
    manager.acquire(&key, TTL)
}

#[tokio::test]
async fn a_future_of_the_trait_and_of_a_manager_owns_its_key() {
    let manager = LockManager::memory();
    let token = of_a_key_that_is_dropped(&manager).await.unwrap();
    let released = TokenLock::release(&manager, &format!("{KEY}:17"), &token);
    assert_eq!(released.await.unwrap(), Released::Freed);
    let token = of_a_key_of_the_managers(&manager).await.unwrap();
    let released = manager.release(&format!("{KEY}:18"), &token);
    assert_eq!(released.await.unwrap(), Released::Freed);
}

/// A mock: a user's test of what happens when the lock is taken.
struct AlwaysBusy;

impl TokenLock for AlwaysBusy {
    fn acquire(&self, key: &str, ttl: Duration) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        self.acquire_as(key, ttl, "")
    }

    fn acquire_as(
        &self,
        key: &str,
        _ttl: Duration,
        _label: &str,
    ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        let error = LockError::busy(key, Duration::ZERO);
        Box::pin(async { Err(error) })
    }

    fn release(
        &self,
        key: &str,
        _token: &OwnerToken,
    ) -> BoxFuture<'_, Result<Released, ReleaseError>> {
        let error = ReleaseError::not_owner(key);
        Box::pin(async { Err(error) })
    }
}

/// A store whose server is down.
struct Failing;

fn refused() -> BackendError {
    BackendError::unavailable(NodeError::new("store-1:6379", "connection refused"))
}

impl Backend for Failing {
    fn acquire(&self, _: AcquireRequest) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        Box::pin(async { Err(refused()) })
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        Box::pin(async move { requests.iter().map(|_| Err(refused())).collect() })
    }

    fn release(&self, _: ReleaseRequest) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        Box::pin(async { Err(refused()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_release_does_not_use_up_the_tries_of_others() {
    let manager = manager().await;
    let _held = manager.acquire("k", ms(2000)).await.unwrap();
    let start = Instant::now();
    let waiter = {
        let manager = manager.clone();
        tokio::spawn(async move { manager.acquire("k", ms(2000)).await })
    };
    for _ in 0..5 {
        tokio::time::sleep(ms(10)).await;
        let wrong = OwnerToken::with_label("somebody");
        let refused = manager.release("k", &wrong).await.unwrap_err();
        assert!(refused.is_not_owner(), "{refused}");
    }
    assert!(waiter.await.unwrap().unwrap_err().is_busy());
    assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_delay_without_end_is_accepted() {
    let manager = LockManager::builder()
        .memory()
        .retry(RetryPolicy::tries(2).delay(Duration::MAX))
        .build()
        .await
        .unwrap();
    let held = manager.acquire("k", ms(2000)).await.unwrap();
    let waiting = manager.acquire("k", ms(2000));
    let (waited, _) = tokio::join!(waiting, manager.release("k", &held));
    waited.unwrap();
}
