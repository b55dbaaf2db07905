//! Fencing tokens: they rise, whoever takes the lock, wherever it is kept.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockguard::{
    BoxFuture, FencingToken, LockError, LockGuard, LockKey, LockManager, OwnerToken, backend::*,
};
use lockguard_tests::{
    Fate, Operation, Scripted, Server, Servers, Step, eventually, forward, over_1_3_5_nodes,
    redlock_over, tokens_over_random_quorums,
};
use rand::Rng as _;
use tokio::task::JoinSet;

const TTL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn connect(servers: &Servers) -> LockManager {
    LockManager::connect(servers.urls()).await.unwrap()
}

async fn fenced(manager: &LockManager, key: &str) -> LockGuard {
    manager.lock(key, TTL).fenced().acquire().await.unwrap()
}

/// The token of a fenced lease that is given back at once.
async fn next_token(manager: &LockManager, key: &str) -> FencingToken {
    let guard = fenced(manager, key).await;
    let token = guard.fencing_token().unwrap();
    guard.release().await.unwrap();
    token
}

fn assert_rising(tokens: &[FencingToken]) {
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

async fn nodes(servers: &Servers) -> Vec<Arc<dyn Backend>> {
    let mut nodes = Vec::new();
    for server in servers {
        let node = RedisNode::connect(&server.url()).await.unwrap();
        nodes.push(Arc::new(node) as Arc<dyn Backend>);
    }
    nodes
}

fn token(number: u64) -> FencingToken {
    FencingToken::new(number).unwrap()
}

/// A fenced attempt of a client whose clock stands still in 1970.
fn lagging(key: &str, owner: &OwnerToken) -> AcquireRequest {
    let key = LockKey::new(key).unwrap();
    AcquireRequest::new(key, owner.clone(), TTL).fenced(token(1), DAY)
}

#[tokio::test]
async fn only_a_fenced_lease_has_a_token() {
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert_eq!(guard.fencing_token(), None);
    guard.release().await.unwrap();
    let guard = fenced(&manager, "k").await;
    let token = guard.fencing_token().unwrap();
    assert!(0 < token.get() && token.get() < 1 << 53);
    assert_eq!(u64::from(token).to_string(), token.to_string());
    assert_eq!(guard.lease().clone().fencing_token(), Some(token));
}

#[tokio::test]
async fn a_body_finds_the_token_in_its_lease() {
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).fenced();
    let inside = request.run(async |lease| (lease.fencing_token(), lockguard::current()));
    let (given, current) = inside.await.unwrap();
    assert!(given.is_some());
    assert_eq!(current.unwrap().fencing_token(), given);
}

over_1_3_5_nodes!(tokens_rise_from_lease_to_lease_and_from_manager_to_manager(servers) {
    let managers = [connect(servers).await, connect(servers).await];
    let mut tokens = Vec::new();
    for manager in managers.iter().cycle().take(20) {
        tokens.push(next_token(manager, "k").await);
    }
    assert_rising(&tokens);
});

over_1_3_5_nodes!(tokens_are_unique_among_contending_owners_and_in_their_order(servers) {
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut owners = JoinSet::new();
    for _ in 0..4 {
        let (manager, seen) = (connect(servers).await, Arc::clone(&seen));
        owners.spawn(async move {
            for _ in 0..10 {
                let request = manager.lock("k", TTL).fenced().wait(Duration::from_secs(60));
                let note = async |lease: lockguard::Lease| {
                    seen.lock().push(lease.fencing_token().unwrap());
                };
                request.run(note).await.unwrap();
            }
        });
    }
    owners.join_all().await;
    assert_eq!(seen.lock().iter().collect::<HashSet<_>>().len(), 40);
    assert_rising(&seen.lock());
});

over_1_3_5_nodes!(an_extend_keeps_the_token(servers) {
    let manager = connect(servers).await;
    let guard = fenced(&manager, "k").await;
    let before = guard.fencing_token();
    guard.extend(LONG).await.unwrap();
    assert_eq!(guard.fencing_token(), before);
    guard.release().await.unwrap();
    assert!(next_token(&manager, "k").await > before.unwrap());
});

over_1_3_5_nodes!(several_keys_have_one_token_beyond_those_of_each(servers) {
    let manager = connect(servers).await;
    let before = [next_token(&manager, "a").await, next_token(&manager, "b").await];
    let guard = manager.lock_all(["b", "a", "c"], TTL).fenced().acquire().await.unwrap();
    let token = guard.fencing_token().unwrap();
    assert!(before.iter().all(|before| token > *before));
    guard.release().await.unwrap();
    for key in ["a", "b", "c"] {
        assert!(next_token(&manager, key).await > token);
    }
});

over_1_3_5_nodes!(a_token_is_stored_by_a_quorum_beside_its_lock_for_a_day(servers) {
    let manager = connect(servers).await;
    let guard = fenced(&manager, "seat:17").await;
    let stored = guard.fencing_token().unwrap().to_string();
    let on = |server: &&Server| server.get("{seat:17} fence") == Some(stored.clone());
    eventually(SOON, || servers.iter().filter(on).count() == servers.len()).await;
    guard.release().await.unwrap();
    for server in servers {
        let left = server.pttl("{seat:17} fence").unwrap();
        assert!(left + SOON > DAY && left <= DAY, "{left:?}");
    }
    eventually(SOON, || servers.iter().all(|server| server.keys() == ["{seat:17} fence"])).await;
});

over_1_3_5_nodes!(a_lease_without_a_token_leaves_no_fence(servers) {
    let manager = connect(servers).await;
    let guard = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    guard.release().await.unwrap();
    let guard = manager.lock("a", TTL).acquire().await.unwrap();
    let error = manager.lock("a", TTL).fenced().try_acquire().await.unwrap_err();
    assert!(error.is_busy(), "{error}");
    guard.release().await.unwrap();
    eventually(SOON, || servers.are_empty()).await;
});

over_1_3_5_nodes!(fences_that_differ_are_raised_to_one_token_on_a_quorum(servers) {
    let manager = connect(servers).await;
    // Far beyond every clock, and different on each server.
    let beyond: u64 = 1 << 51;
    for (nth, server) in (1_u64..).zip(servers) {
        let fence = (beyond + nth * 1000).to_string();
        let _: String = server.cli(&["SET", "{k} fence", &fence]);
    }
    let quorum = servers.len() / 2 + 1;
    for _ in 0..10 {
        let guard = fenced(&manager, "k").await;
        let token = guard.fencing_token().unwrap();
        assert!(token.get() > beyond + quorum as u64 * 1000, "{token}");
        let on = |server: &&Server| server.get("{k} fence") == Some(token.to_string());
        let agreed = servers.iter().filter(on).count();
        assert!(agreed >= quorum, "{agreed} store {token}");
        guard.release().await.unwrap();
    }
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_rise_over_random_quorums_of_real_servers() {
    for n in [3, 5] {
        let servers = Servers::start(n);
        for _ in 0..3 {
            let seed = rand::rng().random();
            let nodes = nodes(&servers).await;
            let tokens = tokens_over_random_quorums(nodes, 40, seed).await;
            assert!(tokens.is_ok(), "seed {seed} on {n}: {tokens:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_rise_over_random_quorums_in_memory() {
    for n in [1, 3, 4, 5] {
        for seed in 0..50 {
            let nodes = (0..n).map(|_| Arc::new(Memory::new()) as Arc<dyn Backend>);
            let tokens = tokens_over_random_quorums(nodes.collect(), 50, seed).await;
            assert!(tokens.is_ok(), "seed {seed} on {n}: {tokens:?}");
        }
    }
}

/// No clock helps here: what is stopped, and goes on later, has missed tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_lagging_clocks_rise_while_servers_stop_and_go_on() {
    let servers = Servers::start(3);
    let redlock = Redlock::new(nodes(&servers).await);
    let mut tokens = Vec::new();
    for round in 0..15 {
        let stopped = &servers[round % 3];
        stopped.stop();
        let owner = OwnerToken::with_label("tests");
        let reply = redlock.acquire(lagging("k", &owner)).await.unwrap();
        let AcquireReply::GrantedWith(token) = reply else {
            panic!("round {round}: {reply:?}");
        };
        tokens.push(token);
        let key = LockKey::new("k").unwrap();
        redlock
            .release(ReleaseRequest::new(key, owner))
            .await
            .unwrap();
        stopped.cont();
        eventually(SOON, || {
            servers.iter().all(|server| server.get("k").is_none())
        })
        .await;
    }
    assert_rising(&tokens);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_rise_while_a_minority_is_killed_and_starts_again_empty() {
    let servers = Servers::start(3);
    // What has forgotten its fences votes at once: only clocks keep tokens
    // rising here.
    let builder = LockManager::builder().node(servers.urls());
    let manager = builder.restart_delay(Duration::ZERO).build().await.unwrap();
    let mut tokens = Vec::new();
    for round in 0..6 {
        let killed = &servers[round % 3];
        killed.kill();
        tokens.push(next_token(&manager, "k").await);
        killed.restart();
        eventually(SOON, || killed.client_count() > 0).await;
        tokens.push(next_token(&manager, "k").await);
    }
    assert_rising(&tokens);
}

#[tokio::test]
async fn a_persistent_server_remembers_its_fences() {
    let server = Server::start_persistent();
    let node = RedisNode::connect(&server.url()).await.unwrap();
    let owner = OwnerToken::with_label("tests");
    let first = node.acquire(lagging("k", &owner)).await.unwrap();
    assert_eq!(first, AcquireReply::GrantedWith(token(1)));
    let key = LockKey::new("k").unwrap();
    node.release(ReleaseRequest::new(key, owner)).await.unwrap();
    server.kill();
    server.restart_with_data();
    let node = RedisNode::connect(&server.url()).await.unwrap();
    let second = node
        .acquire(lagging("k", &OwnerToken::with_label("tests")))
        .await;
    assert_eq!(second.unwrap(), AcquireReply::GrantedWith(token(2)));
}

over_1_3_5_nodes!(renewals_leave_the_token_and_the_fence_as_they_are(servers) {
    const BRIEF: Duration = Duration::from_millis(300);
    let manager = connect(servers).await;
    let request = manager.lock("k", BRIEF).max_hold(LONG).fenced();
    let guard = request.acquire().await.unwrap();
    let token = guard.fencing_token().unwrap();
    let fences = || servers.iter().map(|server| server.get("{k} fence")).collect::<Vec<_>>();
    // The slowest node has granted it, too.
    eventually(SOON, || fences().iter().all(Option::is_some)).await;
    let (before, first) = (fences(), guard.deadline());
    // Several renewals later.
    eventually(SOON, || guard.deadline() > first + 3 * BRIEF).await;
    assert_eq!(guard.fencing_token(), Some(token));
    assert_eq!(fences(), before);
    guard.release().await.unwrap();
});

#[tokio::test]
async fn a_fenced_acquire_is_one_command() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let guard = fenced(&manager, "k").await;
    assert_eq!(server.command_count("evalsha"), 1);
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_spoilt_fence_is_told_with_what_to_do() {
    for spoilt in [
        &["SET", "{k} fence", "9007199254740000"][..],
        &["SET", "{k} fence", "much"],
        &["SET", "{k} fence", "-1"],
        &["SET", "{k} fence", "nan"],
        &["RPUSH", "{k} fence", "1"],
    ] {
        let server = Server::start();
        let manager = LockManager::connect(server.url()).await.unwrap();
        let _: redis::Value = server.cli(spoilt);
        let error = manager.lock("k", TTL).fenced().acquire().await.unwrap_err();
        assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
        assert_eq!(error.key(), Some("k"));
        let text = error.to_string();
        assert!(text.contains("spoilt fence: `{k} fence` on"), "{text}");
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        guard.release().await.unwrap();
    }
}

#[tokio::test]
async fn of_several_keys_the_one_whose_fence_is_used_up_is_named() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let _: redis::Value = server.cli(&["SET", "{b} fence", "9007199254740000"]);
    let request = manager.lock_all(["a", "b", "c"], TTL).fenced();
    let error = request.acquire().await.unwrap_err();
    assert_eq!(error.key(), Some("b"), "{error}");
}

#[tokio::test]
async fn a_fenced_key_that_is_no_lock_is_named() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let _: i64 = server.cli(&["RPUSH", "b", "1"]);
    let request = manager.lock_all(["a", "b"], TTL).fenced();
    let error = request.acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
    assert_eq!(error.key(), Some("b"));
    assert_eq!(server.keys(), ["b"]);
}

#[tokio::test]
async fn a_client_of_another_library_is_busy_to_fenced_owners() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    server.set_nx_px("k", "theirs", LONG);
    let error = manager
        .lock("k", TTL)
        .fenced()
        .try_acquire()
        .await
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    server.del("k");
    let before = next_token(&manager, "k").await;
    server.set_nx_px("k", "theirs", LONG);
    assert!(manager.lock("k", TTL).fenced().try_acquire().await.is_err());
    server.del("k");
    assert!(next_token(&manager, "k").await > before);
}

/// The script has written the fence by the time that it may not set the lock.
#[tokio::test]
async fn a_script_that_fails_half_way_leaves_no_lock() {
    let server = Server::start();
    let _: String = server.cli(&[
        "ACL", "SETUSER", "app", "on", ">secret", "+@all", "~{*", "~a", "%R~b",
    ]);
    let url = server.url().replace("redis://", "redis://app:secret@");
    let manager = LockManager::connect(url).await.unwrap();
    let request = manager.lock_all(["a", "b"], TTL).fenced();
    let error = request.try_acquire().await.unwrap_err();
    assert!(error.to_string().contains("NOPERM"), "{error}");
    eventually(SOON, || {
        server.get("a").is_none() && server.get("b").is_none()
    })
    .await;
}

/// A wrapper that was written before there was fencing.
struct WithoutFences(Memory);

impl Backend for WithoutFences {
    forward!(extend, release => |store| store.0);

    fn acquire(
        &self,
        mut request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        request.fence = None;
        self.0.acquire(request)
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_store_without_fencing_is_told_and_keeps_nothing() {
    let manager = LockManager::new(WithoutFences(Memory::new()));
    let error = manager.lock("k", TTL).fenced().acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    assert!(error.to_string().contains("no fencing tokens"), "{error}");
    drop(manager.lock("k", TTL).try_acquire().await.unwrap());
}

#[tokio::test]
async fn a_quorum_without_fencing_is_unavailable_to_fenced_owners() {
    let nodes = (0..3).map(|_| WithoutFences(Memory::new()));
    let manager = LockManager::new(redlock_over(nodes));
    let error = manager.lock("k", TTL).fenced().acquire().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("no fencing tokens"), "{error}");
}

/// Three nodes whose fences lie apart, the client's clock behind them all.
fn apart() -> [Scripted; 3] {
    std::array::from_fn(|_| Scripted::new())
}

async fn set_fence(node: &Scripted, fence: u64) {
    let owner = OwnerToken::with_label("tests");
    let memory = node.memory();
    for proposal in [1, fence] {
        let key = LockKey::new("k").unwrap();
        let request = AcquireRequest::new(key, owner.clone(), TTL);
        let request = request.fenced(token(proposal), DAY);
        memory.acquire(request).await.unwrap();
    }
    let release = ReleaseRequest::new(LockKey::new("k").unwrap(), owner);
    memory.release(release).await.unwrap();
}

/// Whether the one release that the node was asked for is done.
fn is_released(node: &Scripted) -> bool {
    let releases = node.calls_of(Operation::Release);
    matches!(&releases[..], [release] if release.fate == Fate::Answered)
}

#[tokio::test(start_paused = true)]
async fn only_nodes_below_the_greatest_token_are_asked_to_raise_theirs() {
    let nodes = apart();
    for (node, fence) in nodes.iter().zip([10, 20, 30]) {
        set_fence(node, fence).await;
    }
    let owner = OwnerToken::with_label("tests");
    let reply = redlock_over(nodes.clone())
        .acquire(lagging("k", &owner))
        .await;
    assert_eq!(reply.unwrap(), AcquireReply::GrantedWith(token(31)));
    let asked = nodes.map(|node| node.calls_of(Operation::Acquire).len());
    assert_eq!(asked, [2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_agree_are_asked_once() {
    let nodes = apart();
    for node in &nodes {
        set_fence(node, 7).await;
    }
    let owner = OwnerToken::with_label("tests");
    let reply = redlock_over(nodes.clone())
        .acquire(lagging("k", &owner))
        .await;
    assert_eq!(reply.unwrap(), AcquireReply::GrantedWith(token(8)));
    assert!(
        nodes
            .iter()
            .all(|node| node.calls_of(Operation::Acquire).len() == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_raise_that_is_not_answered_is_no_agreement() {
    let nodes = apart();
    set_fence(&nodes[0], 10).await;
    nodes[1].on_acquire([Step::pass(), Step::never().applied()]);
    nodes[2].on_every_acquire(Step::never());
    let owner = OwnerToken::with_label("tests");
    let redlock = redlock_over(nodes.clone());
    let reply = redlock.acquire(lagging("k", &owner)).await;
    assert!(
        matches!(reply, Err(BackendError::Unavailable { .. })),
        "{reply:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nodes_that_never_agree_are_split_and_keep_nothing() {
    let nodes = apart();
    for (node, stored) in nodes.iter().zip(1..) {
        let stubborn = AcquireReply::GrantedWith(token(stored));
        node.on_every_acquire(Step::reply(stubborn));
    }
    let owner = OwnerToken::with_label("tests");
    let reply = redlock_over(nodes.clone())
        .acquire(lagging("k", &owner))
        .await;
    assert_eq!(reply.unwrap(), AcquireReply::Split);
    let asked = nodes[0].calls_of(Operation::Acquire).len();
    assert!(asked <= 10, "asked {asked} times");
    eventually(SOON, || nodes.iter().all(is_released)).await;
}

#[tokio::test(start_paused = true)]
async fn slow_nodes_that_never_agree_are_split_when_the_attempt_has_had_its_time() {
    let nodes = apart();
    for (node, stored) in nodes.iter().zip(1..) {
        let stubborn = Step::reply(AcquireReply::GrantedWith(token(stored)));
        node.on_every_acquire(stubborn.answering_after(Duration::from_millis(800)));
    }
    let start = tokio::time::Instant::now();
    let owner = OwnerToken::with_label("tests");
    let reply = redlock_over(nodes).acquire(lagging("k", &owner)).await;
    assert_eq!(reply.unwrap(), AcquireReply::Split);
    // Half of the ttl, and the round in which that has passed.
    assert!(start.elapsed() < TTL * 3 / 5, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hung_node_is_not_waited_for_when_the_others_must_be_raised() {
    let nodes = apart();
    set_fence(&nodes[0], 10).await;
    nodes[2].on_every_acquire(Step::never());
    let start = tokio::time::Instant::now();
    let owner = OwnerToken::with_label("tests");
    let reply = redlock_over(nodes.clone())
        .acquire(lagging("k", &owner))
        .await;
    assert_eq!(reply.unwrap(), AcquireReply::GrantedWith(token(11)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_fenced_acquire_during_its_raise_gives_everything_back() {
    let nodes = apart();
    // Ahead of the client's clock, and apart.
    set_fence(&nodes[0], 1 << 51).await;
    set_fence(&nodes[1], (1 << 51) + 10).await;
    for node in [&nodes[0], &nodes[2]] {
        node.on_acquire([Step::pass(), Step::never().applied()]);
    }
    let manager = LockManager::new(redlock_over(nodes.clone()));
    let acquire = manager.lock("k", TTL).fenced().acquire();
    assert!(
        tokio::time::timeout(Duration::from_millis(100), acquire)
            .await
            .is_err()
    );
    eventually(SOON, || nodes.iter().all(is_released)).await;
    let guard = manager.lock("k", TTL).try_acquire().await.unwrap();
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_lags_behind_a_fence_is_put_right_by_what_was_seen() {
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    set_fence(&node, 1 << 51).await;
    let first = next_token(&manager, "k").await;
    assert_eq!(first, token((1 << 51) + 1));
    assert_eq!(next_token(&manager, "k").await, token((1 << 51) + 2));
}

/// Otherwise nodes would answer with different tokens, and have to be asked again.
#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_is_put_right_by_the_token_of_an_adopted_lock() {
    let (nodes, ahead) = two_ahead().await;
    let [giver, adopter] = [(); 2].map(|()| LockManager::new(redlock_over(nodes.clone())));
    let guard = giver.lock("k", TTL).fenced().acquire().await.unwrap();
    let guard = adopter.adopt(guard.into_handover()).await.unwrap();
    guard.release().await.unwrap();
    // The two that are left have stored different tokens.
    nodes[1].on_acquire([Step::fail()]);
    assert_eq!(next_token(&adopter, "k").await, token(ahead + 2));
    let asked = nodes.map(|node| node.calls_of(Operation::Acquire).len());
    assert_eq!(asked, [2; 3]);
}

/// Nodes of which two are far ahead of our clock.
async fn two_ahead() -> ([Scripted; 3], u64) {
    let nodes = apart();
    let half_an_hour = Duration::from_secs(30 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ahead = u64::try_from((now + half_an_hour).as_micros()).unwrap();
    for node in &nodes[..2] {
        set_fence(node, ahead).await;
    }
    (nodes, ahead)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_is_put_right_by_a_token_of_ones_own() {
    let (nodes, ahead) = two_ahead().await;
    let manager = LockManager::new(redlock_over(nodes.clone()));
    assert_eq!(next_token(&manager, "k").await, token(ahead + 1));
    // The two that are left have stored different tokens.
    nodes[1].on_acquire([Step::fail()]);
    assert_eq!(next_token(&manager, "k").await, token(ahead + 2));
    let asked = nodes.map(|node| node.calls_of(Operation::Acquire).len());
    assert_eq!(asked, [2; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_is_put_right_by_the_token_of_the_holder() {
    let (nodes, ahead) = two_ahead().await;
    let [holder, ours] = [(); 2].map(|()| LockManager::new(redlock_over(nodes.clone())));
    let guard = holder.lock("k", TTL).fenced().acquire().await.unwrap();
    let busy = ours.lock("k", TTL).fenced().try_acquire().await;
    assert!(busy.unwrap_err().is_busy());
    guard.release().await.unwrap();
    nodes[1].on_acquire([Step::fail()]);
    assert_eq!(next_token(&ours, "k").await, token(ahead + 2));
    let asked = nodes.map(|node| node.calls_of(Operation::Acquire).len());
    assert_eq!(asked, [3; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_compares_tokens_refuses_an_owner_that_comes_too_late() {
    let manager = LockManager::memory();
    // What the row in the database has seen.
    let mut fence = None;
    let mut write = |token: Option<FencingToken>| {
        let is_current = token >= fence;
        fence = fence.max(token);
        is_current
    };
    let late = fenced(&manager, "k").await;
    assert!(write(late.fencing_token()));
    // Suspended, say, and about to write without a look at its lease.
    tokio::time::advance(TTL).await;
    let next = fenced(&manager, "k").await;
    assert!(write(next.fencing_token()));
    assert!(!write(late.fencing_token()));
    assert!(write(next.fencing_token()));
}
