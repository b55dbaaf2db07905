//! Many leases at once, and unlike ones.

use super::*;

#[tokio::test(start_paused = true)]
async fn short_and_long_ttls_are_renewed_side_by_side() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let mut guards = Vec::new();
    for (nth, ttl) in [10, 50, 400, 2000, 60_000, 3_600_000]
        .into_iter()
        .enumerate()
    {
        let request = manager
            .lock(format!("k:{nth}"), ms(ttl))
            .max_hold(60 * MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    sleep(MINUTE + MINUTE).await;
    assert!(guards.iter().all(|guard| guard.is_held()), "{guards:?}");
}

/// The task sleeps until the first renewal that it knows of.
#[tokio::test(start_paused = true)]
async fn a_lease_that_is_due_before_all_others_is_renewed_in_time() {
    let manager = LockManager::new(Scripted::new());
    let long = manager.lock("long", 60 * MINUTE).max_hold(120 * MINUTE);
    let _long = long.acquire().await.unwrap();
    sleep(MINUTE).await;
    let short = manager.lock("short", TTL).max_hold(MINUTE).acquire().await;
    let short = short.unwrap();
    sleep(5 * TTL).await;
    short.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_several_keys_is_renewed_as_one() {
    for (name, manager) in managers() {
        let keys = ["a", "b", "c"];
        let request = manager.lock_all(keys, TTL).max_hold(MINUTE);
        let body = request.run(async |_| {
            sleep(3 * TTL).await;
            for key in keys {
                let other = manager.lock(key, TTL).try_acquire();
                assert!(tokio::spawn(other).await.unwrap().unwrap_err().is_busy());
            }
        });
        body.await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Keeps locks in memory, and tells of how many leases each extend is.
struct Telling<F> {
    memory: Memory,
    tell: F,
}

impl<F> Telling<F> {
    fn to(tell: F) -> Self {
        let memory = Memory::new();
        Self { memory, tell }
    }
}

impl<F: Fn(usize) + Send + Sync + 'static> Backend for Telling<F> {
    forward!(acquire, release => |store| store.memory);

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        (self.tell)(requests.len());
        self.memory.extend(requests)
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_leases_are_renewed_in_a_few_large_batches() {
    const LEASES: usize = 10_000;
    let batches: Arc<Mutex<Vec<_>>> = Arc::default();
    let noted = Arc::clone(&batches);
    let manager = LockManager::new(Telling::to(move |leases| noted.lock().push(leases)));
    let mut guards = Vec::new();
    for n in 0..LEASES {
        let request = manager.lock(format!("k:{n}"), TTL).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
        if n % 20 == 0 {
            // Spread over half a second.
            sleep(ms(1)).await;
        }
    }
    sleep(2 * TTL).await;
    assert!(guards.iter().all(|guard| guard.is_held()));
    let noted = batches.lock().clone();
    let renewals: usize = noted.iter().sum();
    assert!((5 * LEASES..=8 * LEASES).contains(&renewals), "{renewals}");
    assert!(renewals / noted.len() > 100, "{noted:?}");
    drop(guards);
    sleep(TTL).await;
    assert_eq!(*batches.lock(), noted);
}

#[tokio::test(start_paused = true)]
async fn other_tasks_have_turns_while_many_leases_are_renewed() {
    let turns = Arc::new(AtomicUsize::new(0));
    let asked_at: Arc<Mutex<Vec<_>>> = Arc::default();
    let (turn, noted) = (Arc::clone(&turns), Arc::clone(&asked_at));
    let tell = move |_| noted.lock().push(turn.load(Ordering::Relaxed));
    let manager = LockManager::new(Telling::to(tell));
    let mut guards = Vec::new();
    for n in 0..1000 {
        let request = manager.lock(format!("k:{n}"), TTL).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    let other = tokio::spawn(async move {
        loop {
            turns.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    advance(FIRST_RENEWAL).await;
    while asked_at.lock().len() < 4 {
        yield_now().await;
    }
    other.abort();
    let asked_at = asked_at.lock();
    assert!(asked_at.first() < asked_at.last(), "{asked_at:?}");
}

/// The rest are asked for when those have been given up.
#[tokio::test(start_paused = true)]
async fn of_renewals_that_nobody_answers_64_calls_of_256_wait() {
    const MOST: usize = 64 * 256;
    let node = Scripted::new();
    node.on_every_extend(Step::never());
    let manager = LockManager::new(node.clone());
    let mut guards = Vec::new();
    for n in 0..MOST + 100 {
        let request = manager.lock(format!("k:{n}"), MINUTE).max_hold(MINUTE * 2);
        guards.push(request.acquire().await.unwrap());
    }
    sleep(MINUTE / 3 + ms(900)).await;
    assert_eq!(extends(&node), MOST);
    sleep(ms(200)).await;
    assert!(extends(&node) > MOST);
}
