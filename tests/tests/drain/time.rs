//! What a drain waits for, and for how long.

use super::*;

#[tokio::test(start_paused = true)]
async fn without_a_timeout_nothing_is_waited_for() {
    for (_, manager) in managers() {
        let held = guard(&manager, "k").await;
        let running = body(&manager, "j").await;
        let asked = Instant::now();
        let drained = manager.drain(Duration::ZERO).await;
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert!(drained.left().iter().any(|key| key.as_str() == "j"));
        assert!(is_drained(&held.check()));
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn two_drains_at_once_end_with_the_shorter_and_tell_the_same() {
    for (_, manager) in managers() {
        let running = body(&manager, "k").await;
        let asked = Instant::now();
        let long = manager.drain(LONG);
        let short = manager.drain(TIMEOUT);
        let (long, short) = tokio::join!(long, short);
        assert!(asked.elapsed() <= TIMEOUT);
        assert_eq!(long, short);
        assert_eq!(long.cancelled(), 1);
        assert_eq!(manager.drain(TIMEOUT).await, long);
        assert!(asked.elapsed() <= TIMEOUT);
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

/// A lock store that takes so long to be closed, and whether it was.
#[derive(Clone)]
struct Closing {
    store: Scripted,
    takes: Duration,
    is_closed: Arc<AtomicBool>,
}

impl Closing {
    fn within(takes: Duration) -> Self {
        Self {
            store: Scripted::new(),
            takes,
            is_closed: Arc::default(),
        }
    }
}

impl Backend for Closing {
    forward!(acquire, extend, release => |store| store.store);

    fn close(&self) -> BoxFuture<'static, Result<CloseReply, BackendError>> {
        let (takes, is_closed) = (self.takes, Arc::clone(&self.is_closed));
        Box::pin(async move {
            sleep(takes).await;
            is_closed.store(true, Ordering::SeqCst);
            Ok(CloseReply::Flushed)
        })
    }
}

/// For how long a drain waited for the last of three nodes, and whether that was
/// closed by then.
async fn last_is_closed_in(takes: Duration) -> (Duration, bool) {
    let nodes = [Duration::ZERO, Duration::ZERO, takes].map(Closing::within);
    let manager = LockManager::new(redlock_over(nodes.clone()));
    let asked = Instant::now();
    let drained = manager.drain(TIMEOUT).await;
    assert!(drained.is_clean(), "{drained}");
    (asked.elapsed(), nodes[2].is_closed.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn once_a_quorum_is_closed_the_others_have_a_moment_more() {
    let soon = Duration::from_millis(80);
    assert_eq!(last_is_closed_in(soon).await, (soon, true));
    let (waited, is_closed) = last_is_closed_in(LONG).await;
    assert!(waited < 2 * soon && !is_closed, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_only_a_minority_has_got_is_left() {
    let flushed: Arc<dyn Backend> = Arc::new(Closing::within(A_MOMENT));
    let others = [(); 2].map(|()| {
        let node = Scripted::new();
        node.on_release([Step::fail()]);
        Arc::new(node) as Arc<dyn Backend>
    });
    let nodes = [flushed].into_iter().chain(others);
    let manager = LockManager::new(Redlock::new(nodes));
    assert!(guard(&manager, "a").await.release().await.is_err());
    let drained = manager.drain(TIMEOUT).await;
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_never_closed_is_waited_for_no_longer_than_the_timeout() {
    let manager = LockManager::new(Closing::within(LONG));
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert_eq!(asked.elapsed(), TIMEOUT);
}

/// A store that has been flushed has got the release that had failed.
#[tokio::test(start_paused = true)]
async fn a_body_that_nothing_stops_leaves_time_to_close_the_store() {
    let store = Closing::within(A_MOMENT);
    store.store.on_release([Step::fail()]);
    let manager = LockManager::new(store);
    assert!(guard(&manager, "a").await.release().await.is_err());
    let request = manager.lock("b", LONG).on_lost(OnLost::Finish);
    let running = tokio::spawn(request.run(async |_| sleep(LONG).await));
    yield_now().await;
    let drained = manager.drain(TIMEOUT).await;
    let left: Vec<_> = drained.left().iter().map(LockKey::as_str).collect();
    assert_eq!(left, ["b"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_quarter_of_the_time_and_at_most_two_seconds_is_kept_for_releases() {
    for (timeout, for_releases) in [(4000, 1000), (8000, 2000), (40_000, 2000)] {
        let [timeout, for_releases] = [timeout, for_releases].map(Duration::from_millis);
        let manager = LockManager::new(Scripted::new());
        let held = guard(&manager, "k").await;
        let lease = held.lease().clone();
        let asked = Instant::now();
        let drain = tokio::spawn(async move { manager.drain(timeout).await });
        assert_eq!(lease.lost().await, LostCause::Drained);
        assert_eq!(asked.elapsed() + for_releases, timeout);
        assert!(drain.await.unwrap().is_clean());
    }
}

/// What was asked for when the drain began may have been granted.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_given_back() {
    let node = Scripted::new();
    node.on_acquire([Step::never().applied()]);
    node.on_release([Step::pass().after(A_MOMENT)]);
    let manager = LockManager::new(node.clone());
    let acquire = tokio::spawn(manager.lock("k", LONG).acquire());
    yield_now().await;
    let asked = Instant::now();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    assert_eq!(asked.elapsed(), A_MOMENT);
    assert!(is_draining(&acquire.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_releases_that_a_quorum_did_not_need() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[2].on_release([Step::pass().after(A_MOMENT)]);
    let manager = LockManager::new(redlock_over(nodes.clone()));
    guard(&manager, "k").await.release().await.unwrap();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    let releases = nodes[2].calls_of(Operation::Release);
    assert_eq!(releases[0].fate, Fate::Answered);
}
