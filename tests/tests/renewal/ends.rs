//! Leases that end while a renewal is due or on its way.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_guard_is_renewed_until_it_is_released() {
    for (name, manager) in managers() {
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        sleep(5 * TTL).await;
        assert!(guard.is_held(), "{name}");
        guard.release().await.unwrap();
        drop(manager.lock("k", TTL).try_acquire().await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_ends_with_the_release_the_drop_and_the_loss() {
    for end in ["release", "drop", "loss"] {
        let node = Scripted::new();
        let manager = LockManager::new(node.clone());
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let guard = request.acquire().await.unwrap();
        sleep(2 * TTL).await;
        let mut kept = None;
        match end {
            "release" => guard.release().await.unwrap(),
            "drop" => drop(guard),
            _ => {
                node.lose_data();
                assert_eq!(guard.lost().await, LostCause::Taken);
                kept = Some(guard);
            }
        }
        let renewed = extends(&node);
        sleep(5 * TTL).await;
        assert_eq!(extends(&node), renewed, "after a {end}");
        drop(kept);
    }
}

/// Another lease keeps the task going.
#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_while_its_release_is_under_way() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let long = manager.lock("long", 60 * MINUTE).max_hold(120 * MINUTE);
    let _long = long.acquire().await.unwrap();
    let guard = manager.lock("k", TTL).max_hold(MINUTE).acquire().await;
    sleep(ms(600)).await;
    node.on_release([Step::pass().after(ms(400))]);
    guard.unwrap().release().await.unwrap();
    assert_eq!(extends(&node), 0);
}

/// A store that takes a while to be asked for a renewal, says so, and notes what
/// it was asked for in which order.
#[derive(Clone)]
struct Ponderous {
    memory: Memory,
    begins: mpsc::Sender<()>,
    asked: Arc<Mutex<Vec<Operation>>>,
}

impl Backend for Ponderous {
    forward!(acquire => |store| store.memory);

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let _ = self.begins.send(());
        let begun = std::time::Instant::now();
        while begun.elapsed() < ms(50) && self.asked.lock().is_empty() {
            thread::sleep(ms(1));
        }
        self.asked.lock().push(Operation::Extend);
        self.memory.extend(requests)
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.asked.lock().push(Operation::Release);
        self.memory.release(request)
    }
}

/// Otherwise it would be renewed after its release, by a node that gets the two in
/// this order.
#[tokio::test(start_paused = true)]
async fn a_release_comes_after_a_renewal_that_is_being_asked_for() {
    let (begins, begun) = mpsc::channel();
    let store = Ponderous {
        memory: Memory::new(),
        begins,
        asked: Arc::default(),
    };
    let manager = LockManager::new(store.clone());
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let guard = request.acquire().await.unwrap();
    let releasing = thread::spawn(move || {
        begun.recv().unwrap();
        drop(guard);
    });
    sleep(FIRST_RENEWAL).await;
    releasing.join().unwrap();
    assert_eq!(*store.asked.lock(), [Operation::Extend, Operation::Release]);
}

/// It comes after the release, and would keep the lock for a whole ttl.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_a_release_overtakes_does_not_lengthen_its_min_hold() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let other = LockManager::new(node.memory());
    let start = Instant::now();
    let request = manager.lock("k", TTL).max_hold(MINUTE).min_hold(ms(1500));
    let guard = request.acquire().await.unwrap();
    node.on_extend([Step::pass().after(ms(300))]);
    sleep(FIRST_RENEWAL).await;
    assert_eq!(extends(&node), 1);
    guard.release().await.unwrap();
    sleep_until(start + ms(1499)).await;
    assert!(
        other
            .lock("k", TTL)
            .try_acquire()
            .await
            .unwrap_err()
            .is_busy()
    );
    sleep_until(start + ms(1500)).await;
    drop(other.lock("k", TTL).try_acquire().await.unwrap());
}

/// Longer than any bound of the library, and much shorter than the ttl.
const SETTLED: Duration = MINUTE;

/// The cancellation matrix: the lease ends while its renewal succeeds, fails,
/// is slow, or is never answered.
#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_during_a_renewal_leaves_nothing() {
    let ttl = ms(600_000);
    let slow = ms(40);
    let steps: [(&str, Step<ExtendReply>); 7] = [
        ("ok", Step::pass()),
        ("slow", Step::pass().after(slow)),
        ("slow reply", Step::pass().answering_after(slow)),
        ("error", Step::fail()),
        ("error after it took effect", Step::fail().applied()),
        ("never", Step::never()),
        ("never, after it took effect", Step::never().applied()),
    ];
    let renewal = ttl / 3;
    let instants = [0, 49, 50, 51, 70, 95, 130, 1200].map(|after| renewal + ms(after));
    for min_hold in [Duration::ZERO, renewal + ms(10_000)] {
        for count in [1, 3] {
            for (name, step) in &steps {
                for instant in instants {
                    for is_run in [true, false] {
                        let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
                        for node in &nodes {
                            node.on_every_extend(step.clone());
                        }
                        let manager = match &nodes[..] {
                            [only] => LockManager::new(only.clone()),
                            several => LockManager::new(redlock_over(several.to_vec())),
                        };
                        let request = manager.lock("k", ttl).max_hold(ttl).min_hold(min_hold);
                        if is_run {
                            let run = request.run(async |_| sleep(ttl).await);
                            assert!(timeout(instant, run).await.is_err());
                        } else {
                            let guard = request.acquire().await.unwrap();
                            sleep(instant).await;
                            guard.release().await.unwrap();
                        }
                        sleep(SETTLED).await;
                        for node in &nodes {
                            let direct = LockManager::new(node.memory());
                            let free = direct.lock("k", ttl).try_acquire().await;
                            assert!(
                                free.is_ok(),
                                "{name} on {count} nodes, ended at {instant:?}, min_hold \
                                 {min_hold:?}: {free:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
