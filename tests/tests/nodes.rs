//! Servers that hang, refuse, die, come back, or are slow.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    array,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use lockguard::{
    FencingToken, LockError, LockKey, LockManager, LockRequest, OwnerToken,
    backend::{AcquireReply, AcquireRequest, Backend, ReleaseReply, Standing, Ticket, Waiter},
};
use lockguard_tests::{
    Flow, Operation, Proxy, Scripted, Server, Servers, Step, eventually, eventually_locks, forward,
    hear, redlock_over,
};
use tracing::level_filters::LevelFilter;

const TTL: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

/// The budget of one node at this ttl.
const BUDGET: Duration = Duration::from_millis(500);

/// The same, and room for a slow machine.
const ONE_BUDGET: Duration = Duration::from_millis(500 + 300);

/// Much less than [`LONG`], and than for ever, on a slow machine too: what takes
/// exactly how long is tested on the paused clock.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(servers: &Servers) -> LockManager {
    LockManager::connect(servers.urls()).await.unwrap()
}

/// One lock, taken and given back; how long that took.
async fn cycle(manager: &LockManager) -> Duration {
    let start = Instant::now();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    guard.release().await.unwrap();
    start.elapsed()
}

/// Many locks, none of which waits for a server that is not needed.
async fn nobody_waits(manager: &LockManager) {
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        slowest = slowest.max(cycle(manager).await);
    }
    assert!(slowest < ONE_BUDGET, "the slowest took {slowest:?}");
}

async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn nothing_is_left(servers: &Servers) {
    eventually(Duration::from_secs(20), || servers.iter().all(is_empty)).await;
}

/// Whether no lock is left, and nobody in line; fences stay.
fn is_empty(server: &Server) -> bool {
    server.keys().iter().all(|key| key.ends_with(" fence"))
}

#[tokio::test]
async fn a_hung_minority_is_not_waited_for_and_keeps_nothing() {
    let servers = Servers::start(5);
    let manager = connect(&servers).await;
    servers[1].stop();
    servers[3].stop();
    nobody_waits(&manager).await;
    // Longer than it takes to find that the two are bad, and on.
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        nobody_waits(&manager).await;
    }
    servers[1].cont();
    servers[3].cont();
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn a_lock_held_while_a_node_hangs_is_gone_from_it_when_it_is_back() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    let guard = manager.lock("held", LONG).acquire().await.unwrap();
    servers[0].stop();
    guard.release().await.unwrap();
    // Until the node is known to be bad, and its connection replaced.
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        cycle(&manager).await;
    }
    servers[0].cont();
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn who_waited_when_a_node_hung_is_out_of_its_line_when_it_is_back() {
    let servers = Servers::start(3);
    let holder = connect(&servers).await;
    let waiters = [connect(&servers).await, connect(&servers).await];
    let guard = holder.lock("k", LONG).acquire().await.unwrap();
    let waiting = waiters.each_ref().map(|manager| {
        let waiting = manager.lock("k", LONG).wait(LONG).acquire();
        tokio::spawn(async move { waiting.await.unwrap().release().await })
    });
    eventually(Duration::from_secs(10), || {
        servers[2].cli::<usize>(&["ZCARD", "{k} line"]) == waiters.len()
    })
    .await;
    servers[2].stop();
    // Until all know that it is bad.
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        for manager in waiters.iter().chain([&holder]) {
            let guard = manager.lock("other", TTL).acquire().await.unwrap();
            guard.release().await.unwrap();
        }
    }
    guard.release().await.unwrap();
    for released in waiting {
        released.await.unwrap().unwrap();
    }
    servers[2].cont();
    nothing_is_left(&servers).await;
}

fn over(nodes: &[Scripted; 3]) -> LockManager {
    LockManager::new(redlock_over(nodes.clone()))
}

/// On one node another had been faster, so that those that hold the lock, and
/// are well, are no quorum.
#[tokio::test(start_paused = true)]
async fn a_release_in_doubt_waits_for_a_hung_node_for_a_moment() {
    waits_for_a_hung_node_for_a_moment(|node| node).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_in_doubt_waits_no_longer_for_nodes_that_keep_time() {
    waits_for_a_hung_node_for_a_moment(Punctual).await;
}

async fn waits_for_a_hung_node_for_a_moment<N: Backend>(node: impl Fn(Scripted) -> N) {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[0].on_release([Step::never()]);
    nodes[1].on_release([Step::reply(ReleaseReply::NotOwner)]);
    let manager = LockManager::new(redlock_over(nodes.map(node)));
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    let start = tokio::time::Instant::now();
    let released = tokio::time::timeout(LONG, guard.release()).await;
    released.unwrap().unwrap();
    assert!((100..110).contains(&start.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn a_release_in_doubt_hears_a_node_that_answers_within_that_moment() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    let late = Duration::from_millis(80);
    nodes[0].on_release([Step::reply(ReleaseReply::NotOwner).answering_after(late)]);
    nodes[1].on_release([Step::reply(ReleaseReply::NotOwner)]);
    let guard = over(&nodes).lock("k", LONG).acquire().await.unwrap();
    assert!(guard.release().await.unwrap_err().is_not_owner());
}

#[tokio::test(start_paused = true)]
async fn a_quorum_of_slow_nodes_is_waited_for_beyond_that_moment() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    let slow = Duration::from_millis(400);
    for node in &nodes {
        node.on_release([Step::pass().answering_after(slow)]);
    }
    let guard = over(&nodes).lock("k", LONG).acquire().await.unwrap();
    let start = tokio::time::Instant::now();
    guard.release().await.unwrap();
    assert_eq!(start.elapsed(), slow);
}

#[tokio::test(start_paused = true)]
async fn a_release_in_doubt_is_decided_within_its_budget() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[0].on_release([Step::never()]);
    nodes[1].on_release([Step::reply(ReleaseReply::NotOwner)]);
    let ttl = Duration::from_millis(200);
    let guard = over(&nodes).lock("k", ttl).acquire().await.unwrap();
    let start = tokio::time::Instant::now();
    guard.release().await.unwrap();
    assert!((16..20).contains(&start.elapsed().as_millis()));
}

/// Its caller waits for one budget, and the release comes after.
#[tokio::test(start_paused = true)]
async fn a_hand_on_in_doubt_is_decided_within_a_third_of_its_budget() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[0].on_acquire([Step::reply(AcquireReply::Granted)]);
    nodes[1].on_acquire([Step::reply(AcquireReply::Split)]);
    nodes[2].on_acquire([Step::never()]);
    let ttl = Duration::from_millis(200);
    let [first, next] = ["first", "next"].map(OwnerToken::with_label);
    let request = AcquireRequest::new(LockKey::new("k").unwrap(), next, ttl).replacing(first);
    let start = tokio::time::Instant::now();
    let refused = redlock_over(nodes).acquire(request).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!((16..20).contains(&start.elapsed().as_millis()));
}

/// A lock store that answers late, and says that it does so in time.
struct Punctual(Scripted);

impl Backend for Punctual {
    forward!(acquire, extend, release => |store| store.0);

    fn keeps_time(&self) -> bool {
        true
    }
}

/// A timer beside its own would ring at the same moment, and know less.
#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_time_is_waited_for_without_a_timer() {
    let store = Scripted::new();
    let late = TTL / 2;
    store.on_acquire([Step::pass().answering_after(late)]);
    store.on_extend([Step::pass().answering_after(late)]);
    store.on_release([Step::pass().answering_after(late)]);
    let manager = LockManager::new(Punctual(store));
    let guard = manager.lock("k", 2 * TTL).acquire().await.unwrap();
    guard.extend(TTL).await.unwrap();
    guard.release().await.unwrap();
}

/// Killed servers were said to give no answer: that timer rang before the nodes
/// said that they refuse.
#[tokio::test(start_paused = true)]
async fn an_extend_over_nodes_that_keep_time_needs_no_timer() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    for node in &nodes {
        node.on_extend([Step::pass().answering_after(TTL / 2)]);
    }
    let manager = LockManager::new(redlock_over(nodes.map(Punctual)));
    let guard = manager.lock("k", 2 * TTL).acquire().await.unwrap();
    guard.extend(TTL).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_served_leaves_the_lines_of_silent_nodes() {
    leaves_the_line_of_a_silent_node(|request| request).await;
}

#[tokio::test(start_paused = true)]
async fn a_fenced_waiter_that_is_served_leaves_the_lines_of_silent_nodes() {
    let token = FencingToken::new(1).unwrap();
    leaves_the_line_of_a_silent_node(|request| request.fenced(token, LONG)).await;
}

async fn leaves_the_line_of_a_silent_node(asked: impl Fn(AcquireRequest) -> AcquireRequest) {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    nodes[2].on_acquire([Step::fail()]);
    let token = || OwnerToken::with_label("");
    let waiter = Waiter::new(Ticket::draw(), token(), LONG);
    let request = AcquireRequest::new(LockKey::new("k").unwrap(), token(), LONG);
    let redlock = redlock_over(nodes.clone());
    let acquired = redlock
        .acquire(asked(request.waiting(waiter.clone())))
        .await;
    let acquired = acquired.unwrap();
    assert!(
        matches!(
            acquired,
            AcquireReply::Granted | AcquireReply::GrantedWith(_)
        ),
        "{acquired:?}"
    );
    let releases = nodes[2].calls_of(Operation::Release);
    let left = releases
        .iter()
        .filter_map(|release| match &release.standing {
            Some(Standing::Leaves(ticket)) => Some(ticket),
            _ => None,
        });
    assert_eq!(left.collect::<Vec<_>>(), [&waiter.ticket]);
}

#[tokio::test]
async fn a_killed_minority_is_not_waited_for() {
    let servers = Servers::start(5);
    let manager = connect(&servers).await;
    servers[0].kill();
    servers[4].kill();
    nobody_waits(&manager).await;
}

#[tokio::test]
async fn a_node_that_refuses_from_the_start_is_not_waited_for() {
    let servers = Servers::start(3);
    servers[2].kill();
    let start = Instant::now();
    let manager = connect(&servers).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    nobody_waits(&manager).await;
}

#[tokio::test]
async fn a_node_that_comes_back_is_used_again() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    servers[0].kill();
    cycle(&manager).await;
    servers[0].restart();
    eventually(Duration::from_secs(10), || servers[0].client_count() > 0).await;
    // Another one goes: without the first there would be no quorum.
    servers[1].kill();
    eventually_cycles(&manager).await;
}

#[tokio::test]
async fn those_in_line_behind_a_hung_server_hear_unavailable_and_not_busy() {
    let servers = Servers::start(1);
    let manager = connect(&servers).await;
    servers[0].stop();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let request = manager.lock("k", 2 * TTL).wait(TTL / 8);
            tokio::spawn(request.acquire())
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
}

#[tokio::test]
async fn failing_acquires_do_not_push_out_a_release_that_is_owed() {
    fail_while_a_release_is_owed(|manager| manager.lock("k", TTL)).await;
}

#[tokio::test]
async fn failing_fenced_acquires_do_not_push_out_a_release_that_is_owed() {
    fail_while_a_release_is_owed(|manager| manager.lock("k", TTL).fenced()).await;
}

async fn fail_while_a_release_is_owed(request: impl Fn(&LockManager) -> LockRequest) {
    let servers = Servers::start(3);
    let holes = [
        Proxy::start(servers[0].port()).await,
        Proxy::start(servers[1].port()).await,
    ];
    let urls = [holes[0].url(), holes[1].url(), servers[2].url()].join(",");
    let manager = LockManager::connect(urls).await.unwrap();
    let guard = manager.lock("held", LONG).acquire().await.unwrap();
    // Unlike a server that is stopped, it reads nothing later.
    for hole in &holes {
        hole.set(Flow::Swallow);
    }
    guard.release().await.unwrap_err();
    // Until both are known to be bad, and then more than are remembered.
    let mut failed = 0;
    while failed < 40_000 {
        let error = request(&manager).try_acquire().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        failed += 1;
    }
    for hole in &holes {
        hole.set(Flow::Pass);
        hole.reset().await;
    }
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn a_release_that_the_server_refuses_for_the_moment_is_sent_again() {
    let servers = Servers::start(1);
    let manager = connect(&servers).await;
    let guard = manager.lock("held", LONG).acquire().await.unwrap();
    servers[0].cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let error = guard.release().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("NOREPLICAS"), "{error}");
    servers[0].cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    nothing_is_left(&servers).await;
    eventually_cycles(&manager).await;
}

#[tokio::test]
async fn a_subscriber_that_panics_ends_no_locking() {
    let servers = Servers::start(1);
    let manager = connect(&servers).await;
    let has_panicked = Arc::new(AtomicBool::new(false));
    let panics = Arc::clone(&has_panicked);
    let _heard = hear(LevelFilter::DEBUG, move |event| {
        let is_of_the_connection = event.metadata().target().ends_with("link");
        let is_first = is_of_the_connection && !panics.swap(true, Ordering::Relaxed);
        assert!(!is_first, "of a subscriber");
    });
    servers[0].cli::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    eventually(Duration::from_secs(20), || {
        has_panicked.load(Ordering::Relaxed)
    })
    .await;
    cycle(&manager).await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_left_and_says_what_it_is() {
    let servers = Servers::start(2);
    let manager = LockManager::connect(servers[0].url()).await.unwrap();
    let port = servers[1].port().to_string();
    servers[0].cli::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let error = manager.lock("k", TTL).try_acquire().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        if error
            .to_string()
            .contains("this is a replica; give the primary")
        {
            break;
        }
        assert!(Instant::now() < end, "{error}");
    }
    servers[0].cli::<()>(&["REPLICAOF", "NO", "ONE"]);
    eventually_cycles(&manager).await;
}

/// Cycles until one succeeds: a server may still be being found.
async fn eventually_cycles(manager: &LockManager) {
    eventually_locks(Duration::from_secs(10), || manager.lock("k", TTL)).await;
}

#[tokio::test]
async fn a_hung_majority_is_unavailable_and_not_busy_within_a_bounded_time() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    servers[0].stop();
    servers[1].stop();
    let asked = manager.lock("k", TTL).wait(LONG).acquire();
    let error = within_patience(asked).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let text = error.to_string();
    for silent in [&servers[0], &servers[1]] {
        assert!(text.contains(&silent.address()), "{text}");
    }
    assert!(!text.contains(&servers[2].address()), "{text}");
    servers[0].cont();
    servers[1].cont();
    nothing_is_left(&servers).await;
    eventually_cycles(&manager).await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_majority_costs_whoever_waits_one_budget() {
    let nodes: [_; 3] = array::from_fn(|_| Scripted::new());
    for hung in &nodes[..2] {
        hung.on_acquire([Step::never()]);
    }
    let start = tokio::time::Instant::now();
    let asked = over(&nodes).lock("k", TTL).wait(LONG).acquire();
    assert!(asked.await.unwrap_err().is_unavailable());
    assert_eq!(start.elapsed(), BUDGET);
}

#[tokio::test]
async fn a_killed_majority_is_unavailable_and_at_once_when_it_is_known() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    servers[0].kill();
    servers[1].kill();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let start = Instant::now();
        let error = manager.lock("k", TTL).acquire().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        if start.elapsed() < Duration::from_millis(20) {
            assert!(error.to_string().contains("refused"), "{error}");
            break;
        }
        assert!(Instant::now() < end, "unavailable is still slow");
    }
    nothing_is_left_on(&servers, 2).await;
}

async fn nothing_is_left_on(servers: &Servers, nth: usize) {
    eventually(Duration::from_secs(20), || servers[nth].keys().is_empty()).await;
}

#[tokio::test]
async fn a_single_server_that_restarts_is_back_by_itself() {
    let servers = Servers::start(1);
    let manager = connect(&servers).await;
    for _ in 0..3 {
        servers[0].restart();
        eventually_cycles(&manager).await;
    }
}

#[tokio::test]
async fn a_majority_that_hangs_during_the_body_loses_the_release_and_not_the_value() {
    let servers = Servers::start(3);
    let manager = connect(&servers).await;
    let running = manager.lock("k", TTL).run(async |_| {
        servers[0].stop();
        servers[1].stop();
        7
    });
    assert_eq!(within_patience(running).await.unwrap(), 7);
    servers[0].cont();
    servers[1].cont();
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn the_time_a_slow_server_takes_is_taken_off_the_validity() {
    let servers = Servers::start(1);
    let proxy = Proxy::start(servers[0].port()).await;
    let manager = LockManager::connect(proxy.url()).await.unwrap();
    let delay = Duration::from_millis(100);
    proxy.set_to_client(Flow::Delay(delay));
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(guard.remaining() + delay < TTL, "{:?}", guard.remaining());
    proxy.set(Flow::Pass);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_grant_with_less_than_half_its_ttl_left_is_none_and_given_back() {
    let servers = Servers::start(1);
    let proxy = Proxy::start(servers[0].port()).await;
    let manager = LockManager::connect(proxy.url()).await.unwrap();
    proxy.set_to_client(Flow::Delay(Duration::from_millis(300)));
    let ttl = Duration::from_millis(400);
    let error = manager.lock("k", ttl).try_acquire().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    proxy.set(Flow::Pass);
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn a_grant_whose_reply_is_lost_is_given_back() {
    let servers = Servers::start(3);
    let proxy = Proxy::start(servers[0].port()).await;
    let urls = format!("{},{},{}", proxy.url(), servers[1].url(), servers[2].url());
    let manager = LockManager::connect(urls).await.unwrap();
    proxy.set_to_client(Flow::Hold);
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    eventually(TTL, || servers[0].get("k").is_some()).await;
    guard.release().await.unwrap();
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn connections_reset_in_mid_reply_fail_no_call() {
    let servers = Servers::start(3);
    let mut proxies = Vec::new();
    for server in &servers {
        proxies.push(Proxy::start(server.port()).await);
    }
    let urls: Vec<_> = proxies.iter().map(Proxy::url).collect();
    let manager = LockManager::connect(urls.join(",")).await.unwrap();
    for round in 0..30 {
        let guard = manager.lock("k", TTL).acquire();
        let (guard, ()) = tokio::join!(guard, proxies[round % 3].reset());
        let release = guard.unwrap().release();
        let (released, ()) = tokio::join!(release, proxies[(round + 1) % 3].reset());
        released.unwrap();
    }
    nothing_is_left(&servers).await;
}

#[tokio::test]
async fn a_black_hole_is_bad_after_the_response_timeout_and_costs_nothing_then() {
    let servers = Servers::start(1);
    let proxy = Proxy::start(servers[0].port()).await;
    let manager = LockManager::connect(proxy.url()).await.unwrap();
    proxy.set(Flow::Swallow);
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let start = Instant::now();
        let error = manager.lock("k", TTL).try_acquire().await.unwrap_err();
        assert!(matches!(error, LockError::Unavailable { .. }), "{error}");
        if start.elapsed() < Duration::from_millis(20) {
            break;
        }
        assert!(Instant::now() < end, "unavailable is still slow");
    }
    proxy.set(Flow::Pass);
    proxy.reset().await;
    eventually_cycles(&manager).await;
    nothing_is_left(&servers).await;
}
