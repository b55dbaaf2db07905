//! What is said of nodes: in `nodes()`, and once each as a warning.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{sync::Arc, time::Duration};

use lockguard::{LockManager, NodeRole, NodeStatus};
use lockguard_tests::{Scripted, Server, Servers, Warnings, eventually, eventually_locks};
use tokio::{task::spawn_blocking, time::Instant};

const TTL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(urls: impl AsRef<str>) -> LockManager {
    LockManager::connect(urls).await.unwrap()
}

/// The warnings of all nodes.
async fn warnings(manager: &LockManager) -> Vec<String> {
    let nodes = manager.nodes().await;
    let warnings = nodes.iter().flat_map(NodeStatus::warnings);
    warnings.map(str::to_owned).collect()
}

/// The one thing that there is to say is this, in `nodes()`, and once in the
/// log, also after another connection.
async fn warns_once(manager: &LockManager, logged: &Warnings, server: &Server, text: &str) {
    let said = warnings(manager).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said.concat().contains(text), "{said:?}");
    server.client_kill();
    eventually(PATIENCE, || server.client_count() > 0).await;
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    guard.release().await.unwrap();
    assert_eq!(logged.containing(text).len(), 1, "{logged:?}");
}

/// The server's address for a user with these rights.
fn as_user(server: &Server, rights: &[&str]) -> String {
    let user = ["ACL", "SETUSER", "app", "on", ">pass", "~*", "&*"];
    server.cli::<()>(&[&user, rights].concat());
    format!("redis://app:pass@{}", server.address())
}

#[tokio::test]
async fn each_server_is_listed_in_order_with_nothing_to_say() {
    let servers = Servers::start(3);
    let logged = Warnings::collect();
    let nodes = connect(servers.urls()).await.nodes().await;
    assert_eq!(nodes.len(), 3);
    for (node, server) in nodes.iter().zip(&servers) {
        assert_eq!(node.address(), server.address());
        assert_eq!(node.role(), NodeRole::Primary);
        assert!(node.is_reachable() && node.has_push(), "{node:?}");
        assert!(node.round_trip().unwrap() > Duration::ZERO);
        assert_eq!(node.warnings().len(), 0, "{node:?}");
    }
    assert!(logged.containing("").is_empty(), "{logged:?}");
}

#[tokio::test]
async fn a_memory_manager_is_one_node() {
    let nodes = LockManager::memory().nodes().await;
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].address(), "memory");
    assert_eq!(nodes[0].role(), NodeRole::Memory);
    assert!(nodes[0].is_reachable());
}

#[tokio::test]
async fn a_backend_that_says_nothing_of_its_nodes_is_one() {
    let nodes = LockManager::new(Scripted::new()).nodes().await;
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].role(), NodeRole::Unknown);
}

#[tokio::test]
async fn a_hung_and_a_dead_server_are_unreachable_within_the_response_timeout() {
    let servers = Servers::start(3);
    let timeout = Duration::from_millis(300);
    let builder = LockManager::builder()
        .node(servers.urls())
        .response_timeout(timeout);
    let manager = builder.build().await.unwrap();
    servers[0].stop();
    servers[1].kill();
    let start = Instant::now();
    let nodes = manager.nodes().await;
    assert!(start.elapsed() < 10 * timeout, "{:?}", start.elapsed());
    for node in &nodes[..2] {
        assert!(!node.is_reachable(), "{node:?}");
        assert_eq!(node.error().unwrap().node(), node.address());
        assert_eq!(node.round_trip(), None);
    }
    assert!(nodes[2].is_reachable());
}

#[tokio::test]
async fn an_eviction_policy_that_can_evict_locks_is_warned_of() {
    let server =
        Server::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]);
    let logged = Warnings::collect();
    let manager = connect(server.url()).await;
    warns_once(&manager, &logged, &server, "evicts locks").await;
}

#[tokio::test]
async fn an_eviction_policy_without_a_memory_limit_is_warned_of_as_such() {
    let server = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let logged = Warnings::collect();
    let manager = connect(server.url()).await;
    warns_once(&manager, &logged, &server, "once maxmemory is set").await;
}

#[tokio::test]
async fn a_policy_that_is_set_right_is_warned_of_no_more() {
    let server = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let manager = connect(server.url()).await;
    assert_eq!(warnings(&manager).await.len(), 1);
    server.cli::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert!(warnings(&manager).await.is_empty());
}

#[tokio::test]
async fn a_server_without_resp3_is_warned_of_and_has_no_push() {
    let server = Server::start_with(&["--rename-command", "HELLO", ""]);
    let logged = Warnings::collect();
    let manager = connect(server.url()).await;
    assert!(!manager.nodes().await[0].has_push());
    let said = warnings(&manager).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("no RESP3"), "{said:?}");
    assert_eq!(logged.containing("no RESP3").len(), 1, "{logged:?}");
}

#[tokio::test]
async fn a_missing_right_is_warned_of_before_it_is_needed() {
    let server = Server::start();
    let url = as_user(&server, &["+@all", "-eval", "-pexpire"]);
    let logged = Warnings::collect();
    let manager = connect(url).await;
    warns_once(&manager, &logged, &server, "may not run pexpire, eval,").await;
}

#[tokio::test]
async fn a_missing_right_that_only_waiters_need_is_warned_of_as_such() {
    let server = Server::start();
    let url = as_user(&server, &["+@all", "-zadd", "-zrem"]);
    let logged = Warnings::collect();
    let manager = connect(url).await;
    warns_once(&manager, &logged, &server, "zadd, zrem, so that waiters").await;
}

#[tokio::test]
async fn who_may_not_tell_waiters_is_warned_and_has_no_push() {
    let server = Server::start();
    let url = as_user(&server, &["+@all", "-publish"]);
    let logged = Warnings::collect();
    let manager = connect(url).await;
    assert!(!manager.nodes().await[0].has_push());
    warns_once(
        &manager,
        &logged,
        &server,
        "may not run publish, which tells them",
    )
    .await;
}

/// It would tell nothing of itself meanwhile, and let nobody listen.
#[tokio::test]
async fn a_server_that_a_script_keeps_busy_is_connected_to_when_it_is_free() {
    let server = Arc::new(Server::start_with(&["--lua-time-limit", "10"]));
    let logged = Warnings::collect();
    let endless = {
        let server = Arc::clone(&server);
        let words = ["EVAL", "while true do end", "0"];
        spawn_blocking(move || server.try_cli::<()>(&words))
    };
    eventually(PATIENCE, || server.try_cli::<()>(&["GET", "k"]).is_err()).await;
    let error = LockManager::connect(server.url()).await.unwrap_err();
    assert!(error.to_string().contains("BUSY"), "{error}");
    let manager = LockManager::builder().node(server.url()).lazy();
    let manager = manager.build().await.unwrap();
    let error = manager.lock("k", TTL).acquire().await.unwrap_err();
    assert!(error.to_string().contains("BUSY"), "{error}");
    server.cli::<()>(&["SCRIPT", "KILL"]);
    endless.await.unwrap().unwrap_err();
    eventually_locks(PATIENCE, || manager.lock("k", TTL)).await;
    assert!(manager.nodes().await[0].has_push());
    assert!(warnings(&manager).await.is_empty());
    assert!(logged.containing("grant").is_empty(), "{logged:?}");
}

#[tokio::test]
async fn a_missing_right_that_may_not_be_asked_for_is_warned_of_when_it_shows() {
    let server = Server::start();
    let url = as_user(&server, &["+@all", "-acl", "-evalsha"]);
    let logged = Warnings::collect();
    let manager = connect(url).await;
    assert!(warnings(&manager).await.is_empty());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let error = guard.release().await.unwrap_err();
    assert!(error.to_string().contains("NOPERM"), "{error}");
    let said = warnings(&manager).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("evalsha"), "{said:?}");
    assert_eq!(logged.containing("NOPERM").len(), 1, "{logged:?}");
}

#[tokio::test]
async fn a_server_that_may_not_be_asked_what_it_is_keeps_locks_with_a_warning() {
    let server = Server::start();
    let url = as_user(&server, &["+@all", "-info"]);
    let logged = Warnings::collect();
    let manager = connect(url).await;
    let nodes = manager.nodes().await;
    assert_eq!(nodes[0].role(), NodeRole::Unknown);
    assert!(nodes[0].is_reachable());
    warns_once(&manager, &logged, &server, "does not say what it is").await;
}

#[tokio::test]
async fn an_even_number_of_servers_is_warned_of() {
    let servers = Servers::start(2);
    let logged = Warnings::collect();
    let manager = connect(servers.urls()).await;
    let said = warnings(&manager).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("even number"), "{said:?}");
    assert_eq!(logged.containing("even number").len(), 1, "{logged:?}");
}

#[tokio::test]
async fn a_restart_is_warned_of_and_says_for_how_long_the_server_is_kept_out() {
    let servers = Servers::start(3);
    let logged = Warnings::collect();
    let builder = LockManager::builder().node(servers.urls());
    let manager = builder.restart_delay(10 * PATIENCE).build().await.unwrap();
    servers[1].restart();
    eventually(PATIENCE, || servers[1].client_count() > 0).await;
    let said = warnings(&manager).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("kept out for another"), "{said:?}");
    assert_eq!(logged.containing("kept out").len(), 1, "{logged:?}");
}

#[tokio::test]
async fn a_lazy_manager_says_which_of_its_servers_is_a_replica() {
    let primary = Server::start();
    let port = primary.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let manager = LockManager::builder().node(replica.url()).lazy();
    let manager = manager.build().await.unwrap();
    let nodes = manager.nodes().await;
    assert_eq!(nodes[0].role(), NodeRole::Replica);
    let error = nodes[0].error().unwrap();
    assert!(
        error.reason().contains("give the primary's address"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lazy_manager_counts_no_server_twice() {
    let servers = Servers::start(1);
    let logged = Warnings::collect();
    let twin = format!("redis://localhost:{}", servers[0].port());
    let urls = [servers[0].url(), twin, "redis://127.0.0.1:1".to_owned()];
    let manager = LockManager::builder().nodes(urls).lazy().build().await;
    let manager = manager.unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let error = manager.lock("k", TTL).try_acquire().await.unwrap_err();
        assert!(
            error.is_unavailable(),
            "one server made a quorum of three: {error}"
        );
        if error.to_string().contains("the same server as") {
            break;
        }
        assert!(Instant::now() < end, "{error}");
    }
    let nodes = manager.nodes().await;
    let reachable = nodes.iter().filter(|node| node.is_reachable()).count();
    assert_eq!(reachable, 1, "{nodes:?}");
    eventually(PATIENCE, || servers[0].keys().is_empty()).await;
    let warned = logged.containing("vote would count twice; give it once");
    assert!(!warned.is_empty(), "{logged:?}");
}
