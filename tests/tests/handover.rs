//! A lock that is given away is held until it is adopted, once, or its ttl has
//! passed.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::{
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockguard::{
    FencingToken, Handover, LockError, LockGuard, LockKey, LockManager, LostCause, NodeError,
    NodeStatus, OwnerToken,
    backend::{AcquireRequest, Backend as _, Memory, ReleaseRequest},
};
use lockguard_tests::{
    Operation, Scripted, Server, Servers, Step, Worker, eventually, over_1_3_5_nodes, redlock_over,
};
use tokio::time::{Instant, advance, sleep, timeout};

const TTL: Duration = Duration::from_secs(2);

/// Long: a key that is gone before was released, and did not expire.
const LONG: Duration = Duration::from_secs(600);

const PATIENCE: Duration = Duration::from_secs(10);

fn is_taken<T>(result: &Result<T, LockError>) -> bool {
    let cause = LostCause::Taken;
    matches!(result, Err(LockError::Lost { cause: found, .. }) if *found == cause)
}

fn is_empty(servers: &Servers) -> bool {
    servers.iter().all(|server| server.keys().is_empty())
}

async fn handed_over(manager: &LockManager, key: &str, ttl: Duration) -> Handover {
    let guard = manager.lock(key, ttl).acquire().await;
    guard.expect("a free key").into_handover()
}

/// Managers that need no server: in memory, over one node, over three.
fn managers() -> Vec<LockManager> {
    let nodes = (0..3).map(|_| Scripted::new());
    vec![
        LockManager::memory(),
        LockManager::new(Scripted::new()),
        LockManager::new(redlock_over(nodes)),
    ]
}

over_1_3_5_nodes!(another_process_adopts_it_and_gives_it_back(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let handover = handed_over(&manager, "order;17", LONG).await;
    let busy = manager.lock("order;17", TTL).try_acquire().await.unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    let args = ["adopt", &servers.urls(), &handover.expose()];
    let worker = Worker::start(env!("CARGO_BIN_EXE_worker"), &args);
    assert_eq!(worker.line_with("adopted"), "adopted order;17");
    worker.line_with("released");
    assert_eq!(worker.exit_code(), Some(0));
    eventually(PATIENCE, || is_empty(servers)).await;
    // Released, so that nobody can adopt it now.
    assert!(is_taken(&manager.adopt(handover).await));
});

#[tokio::test(start_paused = true)]
async fn the_lease_of_the_former_holder_ends_with_it() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let lease = guard.lease().clone();
    let lost = tokio::spawn({
        let lease = lease.clone();
        async move { lease.lost().await }
    });
    tokio::task::yield_now().await;
    let handed_over = Instant::now();
    let _handover = guard.into_handover();
    assert!(!lease.is_held() && lease.remaining().is_zero());
    lost.await.unwrap();
    assert_eq!(handed_over.elapsed(), Duration::ZERO);
}

over_1_3_5_nodes!(it_outlives_the_manager_that_gave_it_away(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    let handover = guard.into_handover();
    assert!(manager.drain(PATIENCE).await.is_clean());
    drop(manager);
    let other = LockManager::connect(servers.urls()).await.unwrap();
    let guard = other.adopt(handover).await.unwrap();
    guard.release().await.unwrap();
    eventually(PATIENCE, || is_empty(servers)).await;
});

/// Who gets it of these managers, each of which adopts it at the same moment.
async fn adopted_at_once(managers: &[LockManager], handover: &Handover) -> Vec<LockGuard> {
    let adopts: Vec<_> = managers
        .iter()
        .map(|manager| tokio::spawn(manager.adopt(handover.clone())))
        .collect();
    let mut guards = Vec::new();
    for adopt in adopts {
        match adopt.await.expect("no panic") {
            Ok(guard) => guards.push(guard),
            // Votes that were split are nobody's.
            Err(error) => assert!(error.is_lost() || error.is_unavailable(), "{error}"),
        }
    }
    guards
}

async fn eight_managers_of(servers: &Servers) -> Vec<LockManager> {
    let mut managers = Vec::new();
    for _ in 0..8 {
        let manager = LockManager::connect(servers.urls()).await;
        managers.push(manager.expect("servers that answer"));
    }
    managers
}

over_1_3_5_nodes!(of_many_that_adopt_at_once_at_most_one_gets_it(servers) {
    let managers = eight_managers_of(servers).await;
    let handover = handed_over(&managers[0], "k", LONG).await;
    let guards = adopted_at_once(&managers, &handover).await;
    assert!(guards.len() <= 1, "{guards:?}");
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_adopt_at_once_one_gets_it() {
    let store = Memory::new();
    let in_memory = (0..8).map(|_| LockManager::new(store.clone())).collect();
    let servers = Servers::start(1);
    for managers in [in_memory, eight_managers_of(&servers).await] {
        let handover = handed_over(&managers[0], "k", LONG).await;
        let guards = adopted_at_once(&managers, &handover).await;
        assert_eq!(guards.len(), 1, "{guards:?}");
    }
}

over_1_3_5_nodes!(one_that_has_expired_or_was_never_here_is_lost(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let handover = handed_over(&manager, "k", LONG).await;
    // A quorum decided, and the others may have been asked since.
    eventually(PATIENCE, || servers.iter().all(|server| server.get("k").is_some())).await;
    for server in servers {
        let _: bool = server.cli(&["PEXPIRE", "k", "1"]);
    }
    eventually(PATIENCE, || is_empty(servers)).await;
    assert!(is_taken(&manager.adopt(handover).await));
    let elsewhere = handed_over(&LockManager::memory(), "k", LONG).await;
    assert!(is_taken(&manager.adopt(elsewhere).await));
    // And is none of ours to release.
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    guard.release().await.unwrap();
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_it_is_unavailable_and_can_be_adopted_later() {
    let servers = Servers::start(3);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let handover = handed_over(&manager, "k", LONG).await;
    servers[0].stop();
    servers[1].stop();
    let error = manager.adopt(handover.clone()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    servers[0].cont();
    servers[1].cont();
    let guard = adopted_at_last(&manager, &handover).await;
    guard.release().await.unwrap();
    eventually(PATIENCE, || is_empty(&servers)).await;
}

/// It still keeps the former holder's token, which nobody else gives back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_misses_an_adoption_keeps_nothing_of_the_former_holder() {
    let servers = Servers::start(3);
    let manager = impatient(servers.urls()).await;
    let handover = handed_over(&manager, "k", LONG).await;
    eventually(PATIENCE, || {
        servers.iter().all(|server| server.get("k").is_some())
    })
    .await;
    give_up(&servers, 2, &manager).await;
    let guard = manager.adopt(handover).await.unwrap();
    servers[2].cont();
    guard.release().await.unwrap();
    eventually(PATIENCE, || is_empty(&servers)).await;
}

/// A manager that soon asks a server that is stopped for nothing more.
async fn impatient(urls: String) -> LockManager {
    let builder = LockManager::builder().nodes([urls]);
    let builder = builder.response_timeout(Duration::from_millis(200));
    builder.build().await.expect("servers that run")
}

/// Stops a server, and waits until the manager goes on without it.
async fn give_up(servers: &Servers, nth: usize, manager: &LockManager) {
    servers[nth].stop();
    let is_given_up = |error: &NodeError| error.reason().starts_with("no answer for");
    let error = |nodes: &[NodeStatus]| nodes.get(nth)?.error().cloned();
    while !error(&manager.nodes().await).is_some_and(|error| is_given_up(&error)) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adoption_that_misses_one_of_its_keys_leaves_the_others_to_the_former_holder() {
    let servers = Servers::start(3);
    let grant = |server: &Server, keys: &[&str]| {
        let user = [
            "ACL",
            "SETUSER",
            "app",
            "on",
            ">pass",
            "&*",
            "+@all",
            "resetkeys",
        ];
        server.cli::<()>(&[&user, keys].concat());
    };
    servers.iter().for_each(|server| grant(server, &["~*"]));
    let urls = servers
        .iter()
        .map(|server| format!("redis://app:pass@{}", server.address()));
    let manager = impatient(urls.collect::<Vec<_>>().join(",")).await;
    let guard = manager.lock_all(["a", "b"], LONG).acquire().await.unwrap();
    let handover = guard.into_handover();
    let is_kept = || {
        let token = handover.token().expose();
        servers
            .iter()
            .all(|server| server.get("a").as_deref() == Some(token))
    };
    eventually(PATIENCE, is_kept).await;
    give_up(&servers, 2, &manager).await;
    grant(&servers[1], &["~a", "~{a}*"]);
    let error = manager.adopt(handover.clone()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    servers[2].cont();
    // What it is owed is the first that it is sent.
    while manager.nodes().await[2].error().is_some() {}
    eventually(PATIENCE, is_kept).await;
}

/// Nodes that are back are found out within a while.
async fn adopted_at_last(manager: &LockManager, handover: &Handover) -> LockGuard {
    let adopted = timeout(PATIENCE, async {
        loop {
            match manager.adopt(handover.clone()).await {
                Ok(guard) => return guard,
                Err(error) => assert!(error.is_unavailable(), "{error}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    adopted.await.expect("the nodes answer again")
}

/// It leads this process's clock, as one that was raised elsewhere may.
#[tokio::test(start_paused = true)]
async fn an_adopted_fencing_token_is_exceeded_though_the_store_has_lost_it() {
    let node = Scripted::new();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ahead = u64::try_from((since + TTL * 60).as_micros()).unwrap();
    let ahead = FencingToken::new(ahead).unwrap();
    let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let raise = AcquireRequest::new(key.clone(), token.clone(), TTL).fenced(ahead, TTL);
    let memory = node.memory();
    memory.acquire(raise).await.unwrap();
    let release = ReleaseRequest::new(key, token);
    memory.release(release).await.unwrap();

    let theirs = LockManager::new(node.clone());
    let guard = theirs.lock("k", TTL).fenced().acquire().await.unwrap();
    let fence = guard.fencing_token();
    assert!(fence > Some(ahead));
    let ours = LockManager::new(node.clone());
    drop(ours.adopt(guard.into_handover()).await.unwrap());
    node.lose_data();
    let next = ours.lock("k", TTL).fenced().acquire().await.unwrap();
    assert!(next.fencing_token() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_keys_and_their_fencing_token_go_on_as_they_are() {
    let servers = Servers::start(3);
    let builder = LockManager::builder().nodes([servers.urls()]);
    let manager = builder.prefix("shop:").build().await.unwrap();
    let guard = manager.lock_all(["b", "a"], LONG).fenced().acquire().await;
    let guard = guard.unwrap();
    let (keys, fence) = (guard.keys().to_vec(), guard.fencing_token());
    let handover = guard.into_handover();
    assert_eq!((handover.keys(), handover.fence()), (&keys[..], fence));
    assert_eq!(handover.fencing_token(), fence);
    let guard = manager.adopt(handover).await.unwrap();
    assert_eq!(guard.keys(), keys);
    assert_eq!(guard.keys()[0].as_str(), "shop:a");
    assert_eq!(guard.fencing_token(), fence);
    guard.release().await.unwrap();
    let next = manager.lock("a", TTL).fenced().acquire().await.unwrap();
    assert!(next.fencing_token() > fence);
    next.release().await.unwrap();
    let no_lock_is_left = || {
        let mut keys = servers.iter().flat_map(Server::keys);
        keys.all(|key| key.ends_with(" fence"))
    };
    eventually(PATIENCE, no_lock_is_left).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_adopted_once() {
    for manager in managers() {
        let handover = handed_over(&manager, "k", LONG).await;
        let guard = manager.adopt(handover.clone()).await.unwrap();
        assert!(is_taken(&manager.adopt(handover.clone()).await));
        assert!(guard.is_held());
        guard.extend(LONG).await.unwrap();
        guard.release().await.unwrap();
        assert!(is_taken(&manager.adopt(handover).await));
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_held_for_its_ttl_and_the_adopter_for_a_ttl_of_its_own() {
    for manager in managers() {
        let start = Instant::now();
        let handover = handed_over(&manager, "k", TTL).await;
        sleep(TTL * 3 / 4).await;
        let asked = Instant::now();
        let guard = manager.adopt(handover).await.unwrap();
        let left = guard.deadline() - asked;
        assert!(left < TTL && left > TTL * 9 / 10, "{left:?}");
        assert!(guard.deadline() > start + TTL);
        sleep(TTL / 2).await;
        guard.release().await.unwrap();

        let handover = handed_over(&manager, "k", TTL).await;
        let next = manager.lock("k", TTL).acquire().await.unwrap();
        assert!(start.elapsed() >= 2 * TTL);
        assert!(is_taken(&manager.adopt(handover).await));
        next.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_here_is_woken_by_the_adopters_release() {
    for manager in managers() {
        let handover = handed_over(&manager, "k", LONG).await;
        let guard = manager.adopt(handover).await.unwrap();
        let waiting = tokio::spawn(manager.lock("k", TTL).wait(LONG).acquire());
        sleep(Duration::from_millis(20)).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        assert!(released.elapsed() < Duration::from_millis(20));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_here_for_an_adopter_asks_no_server() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let handover = handed_over(&manager, "k", LONG).await;
    let guard = manager.adopt(handover).await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(LONG).acquire());
    sleep(TTL).await;
    assert_eq!(node.calls_of(Operation::Acquire).len(), 1);
    guard.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_the_former_holder_is_woken_by_the_adopters_release() {
    let store = Memory::new();
    let [manager, other] = [store.clone(), store].map(LockManager::new);
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).wait(LONG).acquire());
    sleep(Duration::from_millis(20)).await;
    let adopted = other.adopt(guard.into_handover()).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let released = Instant::now();
    adopted.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(released.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_is_renewed_no_more_and_kept_for_its_ttl() {
    for manager in managers() {
        let request = manager.lock("k", TTL).max_hold(LONG).min_hold(LONG);
        let guard = request.acquire().await.unwrap();
        sleep(2 * TTL).await;
        let given = Instant::now();
        let handover = guard.into_handover();
        assert_eq!(handover.ttl(), TTL);
        let next = manager.lock("k", TTL).wait(LONG).acquire().await.unwrap();
        assert!(given.elapsed() <= TTL + Duration::from_millis(300));
        next.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_former_holder_releases_it() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let request = manager.lock("k", TTL).max_hold(LONG).min_hold(LONG);
    let guard = request.acquire().await.unwrap();
    // A renewal is on its way when the lock is given away and adopted.
    node.on_extend([Step::pass().answering_after(TTL / 8)]);
    sleep(TTL * 3 / 8).await;
    assert_eq!(node.calls_of(Operation::Extend).len(), 1);
    let handover = guard.into_handover();
    let guard = manager.adopt(handover).await.unwrap();
    sleep(TTL / 4).await;
    assert!(node.calls_of(Operation::Release).is_empty());
    assert!(guard.is_held());
    guard.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_is_dropped_or_fails_leaves_it_to_be_adopted() {
    for step in [
        Step::never(),
        Step::never().applied(),
        Step::fail(),
        Step::fail().applied(),
        Step::pass().answering_after(TTL),
    ] {
        let node = Scripted::new();
        let manager = LockManager::new(node.clone());
        let handover = handed_over(&manager, "k", LONG).await;
        node.on_extend([step.clone()]);
        let adopted = manager.adopt(handover.clone());
        if let Ok(adopted) = timeout(TTL / 4, adopted).await {
            assert!(adopted.unwrap_err().is_unavailable());
        }
        // It is given back in the background.
        sleep(Duration::from_millis(1)).await;
        let guard = manager.adopt(handover).await;
        let guard = guard.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        assert!(node.calls_of(Operation::Release).is_empty());
        guard.release().await.unwrap();
    }
}

/// The process was paused while the answer was on its way.
#[tokio::test(start_paused = true)]
async fn an_adoption_that_is_heard_of_after_its_deadline_is_lost() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let handover = handed_over(&manager, "k", TTL).await;
    node.on_extend([Step::pass().answering_after(TTL / 8)]);
    let mut adopting = pin!(manager.adopt(handover));
    assert!(timeout(Duration::ZERO, &mut adopting).await.is_err());
    advance(TTL).await;
    assert!(adopting.await.unwrap_err().is_lost());
}

#[tokio::test(start_paused = true)]
async fn one_lost_key_of_several_loses_it_and_frees_the_others() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock_all(["a", "b"], LONG).acquire().await.unwrap();
    let token = node.calls_of(Operation::Acquire)[0].token.clone();
    let handover = guard.into_handover();
    let lost = handover.keys()[1].clone();
    let release = ReleaseRequest::new(lost, token);
    node.memory().release(release).await.unwrap();
    let error = manager.adopt(handover).await.unwrap_err();
    assert_eq!(error.key(), Some("b"));
    assert!(error.is_lost());
    manager
        .lock("a", TTL)
        .wait(TTL)
        .acquire()
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_handed_over_to_nobody() {
    for manager in managers() {
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        sleep(2 * TTL).await;
        assert!(is_taken(&manager.adopt(guard.into_handover()).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_neither_waits_for_it_nor_lets_it_be_adopted() {
    for manager in managers() {
        let guard = manager.lock("k", LONG).acquire().await.unwrap();
        let asked = Instant::now();
        let (handover, drained) = tokio::join!(
            async {
                sleep(TTL).await;
                guard.into_handover()
            },
            manager.drain(PATIENCE)
        );
        assert!(asked.elapsed() < TTL + Duration::from_millis(20));
        assert!(drained.is_clean());
        assert_eq!(drained.released(), 0);
        let refused = manager.adopt(handover).await;
        assert!(matches!(refused, Err(LockError::Draining { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_a_drain_overtakes_leaves_it_to_be_adopted() {
    let node = Scripted::new();
    let [manager, other] = [node.clone(), node.clone()].map(LockManager::new);
    let handover = handed_over(&manager, "k", LONG).await;
    node.on_extend([Step::pass().answering_after(TTL / 8)]);
    let adopting = manager.adopt(handover.clone());
    let (refused, drained) = tokio::join!(adopting, manager.drain(PATIENCE));
    assert!(matches!(refused, Err(LockError::Draining { .. })));
    assert!(drained.is_clean());
    assert_eq!(drained.released(), 0);
    let guard = other.adopt(handover).await.unwrap();
    assert!(node.calls_of(Operation::Release).is_empty());
    guard.release().await.unwrap();
}

#[tokio::test]
async fn the_owner_token_is_in_no_debug_and_in_no_error() {
    let manager = LockManager::memory();
    let handover = handed_over(&manager, "k", LONG).await;
    let text = handover.expose();
    let (_, random) = text.rsplit_once(':').unwrap();
    let random = &random[..32];
    let error = format!("{text};").parse::<Handover>().unwrap_err();
    for shown in [format!("{handover:?}"), format!("{error} {error:?}")] {
        assert!(!shown.contains(random), "{shown}");
    }
}
