//! Which servers are connected to, and what is said of the others.

use super::*;

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_refused_within_the_timeout() {
    let server = Server::start();
    server.stop();
    let node = server.node(SHORT);
    let contact = timeout(PATIENCE, node.first_contact()).await.unwrap();
    let error = contact.unwrap_err().error;
    let reason = error.reason();
    assert!(reason.contains("greeting within 300ms"), "{reason}");
    assert!(reason.contains("`connect_timeout`"), "{reason}");
    server.cont();
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_a_first_connection_in_vain_is_told_that_there_is_none() {
    let server = Server::start();
    server.stop();
    let node = server.node(Timeouts::default());
    let asked = AcquireRequest::new(key("seat:1"), token(), Duration::from_millis(400));
    let said = reason(node.acquire(asked).await);
    assert!(said.starts_with("no connection for "), "{said}");
}

#[tokio::test]
async fn no_socket_is_an_error_that_says_so() {
    let error = RedisNode::connect("redis+unix:///nowhere/redis.sock")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/redis.sock: no socket there");
}

#[tokio::test]
async fn a_socket_is_a_node_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s").display().to_string();
    let _server = Server::with(&["--unixsocket", &socket]);
    let url = format!("redis+unix://{socket}");
    let node = RedisNode::connect(&url).await.unwrap();
    assert!(is_granted(&take(&node, &key("seat:1"), &token()).await));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_says_what_to_write() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/99", server.port());
    let error = RedisNode::connect(&url).await.unwrap_err().to_string();
    assert!(error.contains("write a lower one"), "{error}");
}

/// It answers what a server might, and to nothing that it was asked.
#[tokio::test]
async fn what_sends_back_what_it_is_sent_is_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut from, _)) = listener.accept() {
            let mut to = from.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    let error = RedisNode::connect(&format!("redis://127.0.0.1:{port}")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no Redis server is there"), "{error}");
}

#[tokio::test]
async fn a_password_is_used_and_never_shown() {
    let server = Server::start();
    let _: () = server.ask(&["CONFIG", "SET", "requirepass", "s@cret"]);
    let place = format!("127.0.0.1:{}", server.port());
    let node = RedisNode::connect(&format!("redis://:s%40cret@{place}/5"))
        .await
        .unwrap();
    assert!(is_granted(&take(&node, &key("seat:1"), &token()).await));
    assert!(!format!("{node:?}").contains("cret"));

    let wrong = RedisNode::connect(&format!("redis://:secret@{place}")).await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("WRONGPASS"), "{wrong}");
    assert!(!wrong.contains("secret"), "{wrong}");
    let missing = RedisNode::connect(&format!("redis://{place}")).await;
    let missing = missing.unwrap_err().to_string();
    assert!(missing.contains("NOAUTH"), "{missing}");
}

#[tokio::test]
async fn a_user_that_may_only_lock_can_lock() {
    let server = Server::start();
    let _: () = server.ask(&[
        "ACL", "SETUSER", "app", "on", ">pass", "~seat:*", "-@all", "+set", "+get", "+del",
        "+pttl", "+pexpire", "+type", "+eval", "+evalsha",
    ]);
    let url = server.url_of("app");
    let node = RedisNode::connect(&url).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let outcome = take(&node, &key, &self::token()).await;
    assert!(matches!(outcome, Ok(AcquireReply::Busy(_))), "{outcome:?}");
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);

    let said = reason(take(&node, &self::key("elsewhere"), &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    let said = reason(free(&node, &self::key("elsewhere"), &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    assert!(!said.contains(token.expose()), "{said}");
}

#[tokio::test]
async fn a_right_that_only_a_script_misses_is_named() {
    let server = Server::start();
    let _: () = server.ask(&[
        "ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all", "-del",
    ]);
    let url = server.url_of("app");
    let node = RedisNode::connect(&url).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let said = reason(free(&node, &key, &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    assert!(said.contains("grant set, get, del"), "{said}");
}

#[tokio::test]
async fn a_replica_is_refused_and_used_when_it_is_promoted() {
    let primary = Server::start();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    let node = replica.node(SHORT);
    let error = node.first_contact().await.unwrap_err().error;
    assert_eq!(
        error.reason(),
        "this is a replica; give the primary's address"
    );
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    assert!(said.contains("this is a replica"), "{said}");
    let _: () = replica.ask(&["REPLICAOF", "NO", "ONE"]);
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_says_so() {
    let server = Server::start();
    let other = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let said = reason(take(&node, &self::key("seat:2"), &token).await);
    assert!(said.starts_with("READONLY: "), "{said}");
    server.kill_clients();
    eventually("the reason is the role", async || {
        let outcome = take(&node, &key, &token).await;
        is_unavailable(&outcome) && reason(outcome).contains("this is a replica")
    })
    .await;
}

#[tokio::test]
async fn a_cluster_node_is_refused() {
    let server = Server::with(&["--cluster-enabled", "yes"]);
    let error = RedisNode::connect(&server.url()).await.unwrap_err();
    assert!(error.reason().contains("independent"), "{error}");
}

#[tokio::test]
async fn the_facts_of_a_server_name_its_run() {
    let server = Server::start();
    let facts = server.node(SHORT).first_contact().await.unwrap();
    let info: String = server.ask(&["INFO", "server"]);
    assert!(info.contains(&facts.run_id.unwrap()));
    assert_eq!(facts.eviction_policy.as_deref(), Some("noeviction"));
}

/// Whatever it is asked it would refuse.
#[tokio::test]
async fn a_server_that_loads_its_data_is_connected_to_when_it_has() {
    let seconds_of_loading = [
        "--key-load-delay",
        "5000",
        "--loading-process-events-interval-bytes",
        "1024",
        "--rdbcompression",
        "no",
    ];
    let server = Server::with(&seconds_of_loading);
    let fill = "for n = 1, 200 do redis.call('SET', n, string.rep('x', 1024)) end";
    let _: () = server.ask(&["EVAL", fill, "0"]);
    let _: () = server.ask(&["SAVE"]);
    server.kill();
    let url = server.url();
    let starting = thread::spawn(move || {
        server.start_again();
        server
    });
    let mut said = String::new();
    eventually("it is connected to", async || {
        let connected = RedisNode::connect(&url).await;
        if let Err(error) = &connected
            && error.reason().contains("LOADING")
        {
            error.reason().clone_into(&mut said);
        }
        connected.is_ok()
    })
    .await;
    assert_eq!(said, failure::LOADING);
    starting.join().unwrap();
}

#[tokio::test]
async fn a_full_server_says_so() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let said = reason(take(&node, &self::key("seat:2"), &token).await);
    assert!(said.starts_with("OOM: "), "{said}");
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
}
