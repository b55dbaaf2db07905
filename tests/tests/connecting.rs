//! Addresses, and servers that are given wrongly.

use std::time::{Duration, Instant};

use lockguard::{ConnectError, LockError, LockManager, OwnerToken};
use lockguard_tests::{Server, Servers, eventually};

#[tokio::test]
async fn a_wrong_address_says_what_a_right_one_looks_like() {
    for wrong in [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://a,,redis://b",
        "redis://localhost?nonsense=1",
    ] {
        let error = LockManager::connect(wrong).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::InvalidAddress { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("redis://"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn a_wrong_address_among_several_is_told_by_its_place() {
    let error = LockManager::connect("redis://a,http://b,redis://c").await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains(": address 2: "), "{text}");
    let error = LockManager::connect("http://b").await.unwrap_err();
    assert!(!error.to_string().contains("address 1"), "{error}");
}

#[tokio::test]
async fn a_comma_inside_a_password_is_told_how_it_is_written() {
    // What stands before the comma is no address, or one of another host.
    for wrong in [
        "redis://:hun,ter2@localhost",
        "redis://app:2024,ter2@localhost",
    ] {
        let error = LockManager::connect(wrong).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("address 2: "), "{text}");
        assert!(text.contains("`%2C`"), "{text}");
        assert!(!text.contains("ter2"), "{text}");
    }
}

#[tokio::test]
async fn a_prefix_that_begins_no_key_is_refused() {
    for prefix in ["a b", "a\n", &"k".repeat(513)] {
        let builder = LockManager::builder().memory().prefix(prefix);
        let error = builder.build().await.unwrap_err();
        assert!(
            matches!(error, ConnectError::InvalidOptions { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("cannot begin a key"), "{error}");
    }
}

#[tokio::test]
async fn no_password_is_in_any_text() {
    for wrong in [
        "redis://user:hunter2@127.0.0.1:1",
        "redis://user:hunter2@127.0.0.1:1?nonsense=1",
        "redis://user:hunter2@127.0.0.1:notaport",
        "rediss://user:hunter2@127.0.0.1:1/nonsense",
    ] {
        let error = LockManager::connect(wrong).await.unwrap_err();
        let builder = LockManager::builder().node(wrong);
        for shown in [
            format!("{error}"),
            format!("{error:?}"),
            format!("{builder:?}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

/// A `main` that returns an error prints it so.
#[tokio::test]
async fn the_debug_text_of_an_error_says_what_its_text_does() {
    let twice = LockManager::connect("redis://a,redis://a")
        .await
        .unwrap_err();
    let register = || lockguard::register_named("twice", LockManager::memory());
    register().unwrap();
    for (shown, text) in [
        shown_and_text(twice),
        shown_and_text(LockError::not_registered(None)),
        shown_and_text(register().unwrap_err()),
        shown_and_text("no token".parse::<OwnerToken>().unwrap_err()),
    ] {
        assert!(shown.contains(&text), "{shown}");
    }
}

fn shown_and_text(error: impl std::error::Error) -> (String, String) {
    (format!("{error:?}"), error.to_string())
}

#[tokio::test]
async fn memory_stands_alone() {
    LockManager::connect("memory://").await.unwrap();
    LockManager::connect(" memory:// ").await.unwrap();
    let error = LockManager::connect("memory://,redis://a")
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::InvalidAddress { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_given_twice_is_refused() {
    let error = LockManager::connect("redis://a,redis://b,redis://a:6379");
    let error = error.await.unwrap_err();
    assert!(matches!(error, ConnectError::SameNode { .. }), "{error}");
}

#[tokio::test]
async fn one_server_under_two_names_is_refused() {
    let servers = Servers::start(2);
    let urls = format!(
        "{},redis://localhost:{},{}",
        servers[0].url(),
        servers[0].port(),
        servers[1].url()
    );
    let error = LockManager::connect(urls).await.unwrap_err();
    assert!(matches!(error, ConnectError::SameNode { .. }), "{error}");
}

#[tokio::test]
async fn a_replica_is_refused_with_a_sentence() {
    let primary = Server::start();
    let port = primary.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let error = LockManager::connect(replica.url()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unsuitable { .. }), "{error}");
    assert!(error.to_string().contains("replica"), "{error}");
}

#[tokio::test]
async fn a_cluster_node_is_refused_with_a_sentence() {
    let server = Server::start_with(&["--cluster-enabled", "yes"]);
    let error = LockManager::connect(server.url()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unsuitable { .. }), "{error}");
    assert!(error.to_string().contains("cluster"), "{error}");
}

#[tokio::test]
async fn no_quorum_at_the_start_names_each_silent_node() {
    let servers = Servers::start(3);
    servers[0].kill();
    servers[1].kill();
    let start = Instant::now();
    let error = LockManager::connect(servers.urls()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let text = error.to_string();
    assert!(text.contains(&servers[0].address()), "{text}");
    assert!(text.contains(&servers[1].address()), "{text}");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn one_that_has_not_answered_by_then_is_named_too() {
    let servers = Servers::start(3);
    servers[0].kill();
    servers[1].stop();
    servers[2].kill();
    let error = LockManager::connect(servers.urls()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let text = error.to_string();
    for server in &servers {
        assert!(text.contains(&server.address()), "{text}");
    }
}

#[tokio::test]
async fn a_hung_server_at_the_start_is_given_up_after_the_connect_timeout() {
    let servers = Servers::start(1);
    servers[0].stop();
    let builder = LockManager::builder()
        .node(servers[0].url())
        .connect_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let error = builder.build().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_lazy_manager_waits_for_nothing_and_finds_its_servers_later() {
    let servers = Servers::start(1);
    servers[0].kill();
    let builder = LockManager::builder().node(servers[0].url()).lazy();
    let manager = builder.build().await.unwrap();
    servers[0].restart();
    eventually(Duration::from_secs(10), || servers[0].client_count() > 0).await;
    let guard = manager.lock("k", Duration::from_secs(2)).acquire();
    guard.await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_password_is_used_and_a_wrong_one_is_named_as_the_reason() {
    let server = Server::start();
    server.cli::<()>(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let with = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port());
    LockManager::connect(with(":hunter2@")).await.unwrap();
    for wrong in ["", ":wrong@"] {
        let error = LockManager::connect(with(wrong)).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        let text = error.to_string().to_lowercase();
        assert!(text.contains("password") || text.contains("auth"), "{text}");
    }
}

#[tokio::test]
async fn a_socket_that_wants_a_password_says_where_its_address_has_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock").display().to_string();
    let server = Server::start_with(&["--unixsocket", &socket]);
    server.cli::<()>(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let with = |query: &str| format!("redis+unix://{socket}{query}");
    let error = LockManager::connect(with("")).await.unwrap_err();
    assert!(error.to_string().contains("&password=password`"), "{error}");
    LockManager::connect(with("?user=default&password=hunter2"))
        .await
        .unwrap();
}

#[tokio::test]
async fn zero_timeouts_are_refused() {
    let builder = LockManager::builder()
        .node("redis://a")
        .response_timeout(Duration::ZERO);
    let error = builder.build().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::InvalidOptions { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn connections_are_closed_when_the_last_clone_of_a_manager_is_gone() {
    let servers = Servers::start(3);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let clone = manager.clone();
    drop(manager);
    let guard = clone
        .lock("k", Duration::from_secs(2))
        .acquire()
        .await
        .unwrap();
    guard.release().await.unwrap();
    drop(clone);
    eventually(Duration::from_secs(10), || {
        servers.iter().all(|server| server.client_count() == 0)
    })
    .await;
}

#[tokio::test]
async fn locks_are_in_the_database_of_the_address() {
    let server = Server::start();
    let manager = LockManager::connect(format!("{}/3", server.url())).await;
    let request = manager.unwrap().lock("k", Duration::from_secs(2));
    let _guard = request.acquire().await.unwrap();
    let keyspace: String = server.cli(&["INFO", "keyspace"]);
    assert!(keyspace.contains("db3:keys=1,"), "{keyspace}");
    assert!(!keyspace.contains("db0:"), "{keyspace}");
}

#[tokio::test]
async fn a_refused_connection_is_the_reason_from_the_first_call_on() {
    // Nothing listens there once the server has ended.
    let server = Server::start();
    let url = server.url();
    drop(server);
    let manager = LockManager::builder().node(url).lazy().build().await;
    let manager = manager.unwrap();
    let request = manager.lock("k", Duration::from_secs(2));
    let error = request.try_acquire().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
