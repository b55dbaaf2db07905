//! Connections that break, and servers that are stopped, killed and replaced.

use super::*;

#[tokio::test]
async fn a_connection_reset_between_two_calls_fails_neither() {
    let server = Server::start();
    let node = server.connected().await;
    for round in 0..50 {
        let (key, token) = (key(&format!("seat:{round}")), token());
        server.kill_clients();
        assert!(is_granted(&take(&node, &key, &token).await), "{round}");
        server.kill_clients();
        let kept = keep(&node, &key, &token, TTL).await;
        assert_eq!(kept.unwrap(), ExtendReply::Extended);
        server.kill_clients();
        let freed = free(&node, &key, &token).await;
        assert_eq!(freed.unwrap(), ReleaseReply::Freed, "{round}");
    }
    assert_eq!(server.keys(), 0);
}

/// Nothing here lets the link's task read before it writes.
#[tokio::test]
async fn a_connection_that_is_found_broken_by_writing_is_replaced_at_once() {
    let server = Server::start();
    let node = server.connected().await;
    let ask = |n| node.acquire(AcquireRequest::new(key(&format!("k:{n}")), token(), TTL));
    assert!(is_granted(&ask(0).await));
    server.kill_clients();
    // What is written first is answered by a reset, and what follows fails.
    let first = ask(1);
    thread::sleep(Duration::from_millis(5));
    let others: Vec<_> = (2..10).map(ask).collect();
    assert!(is_granted(&first.await));
    for other in others {
        assert!(is_granted(&other.await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset_under_load_fail_no_call() {
    let server = Server::start();
    let node = server.connected().await;
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let node = node.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let (key, token) = (key(&format!("k:{task}:{round}")), token());
                    assert!(is_granted(&take(&node, &key, &token).await));
                    let freed = free(&node, &key, &token).await;
                    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
                }
            })
        })
        .collect();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let _: usize = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn a_stopped_server_is_bad_after_the_timeout_and_costs_nothing_then() {
    let server = Server::start();
    let node = server.impatient().await;
    server.stop();
    let start = Instant::now();
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    let waited = start.elapsed();
    // The node's own word, not that of the call, which waits for longer.
    assert!(said.starts_with("no answer for "), "{said}");
    assert!(waited >= SHORT.response, "{waited:?}");
    let start = Instant::now();
    for _ in 0..100 {
        assert!(is_unavailable(&take(&node, &key("seat:1"), &token()).await));
        assert!(is_unavailable(&free(&node, &key("seat:1"), &token()).await));
    }
    // A single one that waited would take a good part of it.
    assert!(start.elapsed() < SHORT.response * 4);
}

#[tokio::test]
async fn a_server_that_goes_on_is_good_again_and_keeps_nothing_of_ours() {
    let server = Server::start();
    let node = server.impatient().await;
    let (held, mine) = (key("held"), token());
    take(&node, &held, &mine).await.unwrap();
    turn_bad(&server, &node).await;

    // One that was held before, and give-backs of what may have been taken.
    assert!(is_unavailable(&free(&node, &held, &mine).await));
    for n in 0..100 {
        let (key, token) = (key(&format!("k:{n}")), token());
        assert!(is_unavailable(&take(&node, &key, &token).await));
        assert!(is_unavailable(&free(&node, &key, &token).await));
    }
    server.cont();
    turn_good(&node).await;
    assert_eq!(server.keys(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_on_its_way_to_a_stopped_server_is_given_back() {
    let server = Server::start();
    for round in 0..5 {
        let node = server.impatient().await;
        server.stop();
        // Far more than the server reads at once, so that a new connection
        // would overtake the rest.
        let tasks: Vec<_> = (0..5000)
            .map(|n| {
                let node = node.clone();
                let (key, token) = (key(&format!("k:{round}:{n}")), token());
                tokio::spawn(async move {
                    let outcome = take(&node, &key, &token).await;
                    let _ = free(&node, &key, &token).await;
                    outcome
                })
            })
            .collect();
        for task in tasks {
            assert!(is_unavailable(&task.await.unwrap()));
        }
        server.cont();
        turn_good(&node).await;
        assert_eq!(server.keys(), 0, "round {round}");
    }
}

#[tokio::test]
async fn a_hand_back_that_a_hung_server_misses_is_what_it_is_sent_first() {
    let server = Server::start();
    let node = server.impatient().await;
    let (key, former, next) = (key("seat:1"), token(), token());
    assert!(is_granted(&take(&node, &key, &former).await));
    server.stop();
    let handed = ExtendRequest::new(key.clone(), former.clone(), TTL).to(next.clone());
    assert!(node.extend(vec![handed]).await[0].is_err());
    turn_bad(&server, &node).await;
    let handed_back = ExtendRequest::new(key.clone(), next, TTL).back_to(former.clone());
    assert!(node.extend(vec![handed_back]).await[0].is_err());
    // What it was sent before is in its socket, and is executed.
    server.cont();
    turn_good(&node).await;
    assert_eq!(server.value(&key), Some(former.expose().to_owned()));
}

/// A lock that was handed on, and what hands it back.
async fn handed_on(node: &RedisNode, name: &str) -> (LockKey, OwnerToken, ExtendRequest) {
    let (key, former, next) = (key(name), token(), token());
    assert!(is_granted(&take(node, &key, &former).await));
    let handed = ExtendRequest::new(key.clone(), former.clone(), TTL).to(next.clone());
    let handed = node.extend(vec![handed]).await.remove(0);
    assert_eq!(handed.unwrap(), ExtendReply::Extended);
    let back = ExtendRequest::new(key.clone(), next, TTL).back_to(former.clone());
    (key, former, back)
}

/// The server says so of each key, in a list.
#[tokio::test]
async fn a_hand_back_that_a_server_refuses_for_the_moment_is_owed() {
    let server = Server::start();
    let node = server.connected().await;
    let replicas = |least| ["CONFIG", "SET", "min-replicas-to-write", least];
    for (refuse, again) in [
        (
            &["REPLICAOF", "127.0.0.1", "1"][..],
            &["REPLICAOF", "NO", "ONE"][..],
        ),
        (&replicas("1"), &replicas("0")),
    ] {
        let (key, former, back) = handed_on(&node, "seat:1").await;
        let _: () = server.ask(refuse);
        assert!(is_unavailable(&node.extend(vec![back]).await[0]));
        let _: () = server.ask(again);
        eventually("it is handed back", async || {
            server.value(&key).as_deref() == Some(former.expose())
        })
        .await;
        turn_good(&node).await;
        let freed = free(&node, &key, &former).await;
        assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    }
}

#[tokio::test]
async fn a_hand_back_that_is_refused_leaves_each_other_key_its_own_answer() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, former, back) = handed_on(&node, "seat:1").await;
    let (kept, mine) = (self::key("kept"), token());
    assert!(is_granted(&take(&node, &kept, &mine).await));
    let _: () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let extend = |key: &LockKey, token, ttl| ExtendRequest::new(key.clone(), token, ttl);
    let requests = vec![
        // Is kept for longer already, and writes nothing.
        extend(&kept, mine.clone(), TTL / 2),
        back,
        extend(&kept, token(), TTL),
        extend(&self::key("free"), token(), TTL),
        extend(&kept, mine, 2 * TTL),
    ];
    let mut replies = node.extend(requests).await;
    for refused in [replies.remove(4), replies.remove(1)] {
        assert!(reason(refused).starts_with("NOREPLICAS: "));
    }
    let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
    let expected = [
        ExtendReply::Extended,
        ExtendReply::NotOwner,
        ExtendReply::NotHeld,
    ];
    assert_eq!(replies, expected);
    let _: () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    eventually("it is handed back", async || {
        server.value(&key).as_deref() == Some(former.expose())
    })
    .await;
    // Its caller was told, and nobody expects it any more.
    let left: i64 = server.ask(&["PTTL", kept.as_str()]);
    assert!(left <= 60_000, "{left}");
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_given_up_by_whom_only_extends_reach_it() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let kept = keep(&node, &key, &token, 2 * TTL).await;
    assert!(reason(kept).starts_with("READONLY: "));
    // Nobody holds it, which a replica can tell.
    let nothing = keep(&node, &self::key("free"), &token, TTL).await;
    assert!(is_unavailable(&nothing), "{nothing:?}");
    let _: () = server.ask(&["REPLICAOF", "NO", "ONE"]);
    turn_good(&node).await;
}

/// A new connection would hear the same, and others go without the server.
#[tokio::test]
async fn a_server_that_refuses_an_extend_for_the_moment_is_not_given_up() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let _: () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let kept = keep(&node, &key, &token, 2 * TTL).await;
    assert!(reason(kept).starts_with("NOREPLICAS: "));
    let nothing = keep(&node, &self::key("free"), &token, TTL).await;
    assert_eq!(nothing.unwrap(), ExtendReply::NotHeld);
}

/// While the answer to what it is owed is out, whoever asks is refused.
#[tokio::test]
async fn a_server_that_is_back_wakes_no_waiter_before_it_can_be_asked() {
    let server = Server::start();
    let node = server.impatient().await;
    let (key, owner) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &owner).await));
    server.stop();
    turn_bad(&server, &node).await;
    assert!(free(&node, &key, &owner).await.is_err());
    let passed = node.passed(&token()).expect("a server that tells");
    server.cont();
    timeout(PATIENCE, passed).await.expect("a new connection");
    assert!(is_granted(&take(&node, &key, &token()).await));
}

#[tokio::test]
async fn what_a_network_delivers_late_takes_no_lock() {
    let server = Server::start();
    let (port, is_held, first) = slow_road(server.port());
    let address = Address::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
    let node = RedisNode::open(address, SHORT);
    node.first_contact().await.unwrap();
    let (key, token) = (key("seat:1"), token());
    is_held.store(true, Ordering::Release);
    assert!(is_unavailable(&take(&node, &key, &token).await));
    let _ = free(&node, &key, &token).await;
    // Over the next connection, which is not held up.
    eventually("the node answers", async || {
        free(&node, &key, &token).await.is_ok()
    })
    .await;
    is_held.store(false, Ordering::Release);
    let first = tokio::task::spawn_blocking(|| first.join().unwrap());
    let carried = timeout(PATIENCE, first).await.unwrap().unwrap();
    assert!(carried > 0, "nothing was held up");
    assert_eq!(server.keys(), 0);
}

/// It gives the numbers of its clients anew.
#[tokio::test]
async fn a_client_of_another_run_is_not_taken_for_the_connection_before() {
    let [before, server] = [(); 2].map(|()| Server::start());
    let open = async |server: &Server, lingering| {
        let address = Address::parse(&server.url()).unwrap();
        let (lookup, pushes) = (lookup::Lookup::default(), Arc::new(Pushes::new()));
        let opened = connection::open(address, lookup, PATIENCE, lingering, pushes);
        opened.await.ok().and_then(|opened| opened.identity)
    };
    let number = |connection: &mut redis::Connection| -> i64 {
        let id = redis::cmd("CLIENT").arg("ID").query(connection);
        id.unwrap()
    };
    let client = redis::Client::open(server.url()).unwrap();
    let mut other = client.get_connection().unwrap();
    let mut lingering = open(&before, None).await.unwrap();
    while lingering.client_id <= number(&mut other) {
        lingering = open(&before, None).await.unwrap();
    }
    while number(&mut other) < lingering.client_id {
        other = client.get_connection().unwrap();
    }
    assert_eq!(number(&mut other), lingering.client_id);
    assert!(open(&server, Some(lingering)).await.is_some());
    number(&mut other);
}

/// A road to the server whose first traveller can be held up; it is done when
/// what was held up is delivered or refused, and tells how much that was.
fn slow_road(server: u16) -> (u16, Arc<AtomicBool>, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_held = Arc::new(AtomicBool::new(false));
    let road = Arc::clone(&is_held);
    let first = thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        let rest = thread::spawn(move || {
            while let Ok((next, _)) = listener.accept() {
                let free = Arc::default();
                thread::spawn(move || drive(next, server, &free));
            }
        });
        let carried = drive(first, server, &road);
        drop(rest);
        carried
    });
    (port, is_held, first)
}

/// Carries bytes both ways until the client has closed and the server has
/// replied to everything or closed too; how many were held up.
fn drive(mut client: TcpStream, server: u16, is_held: &Arc<AtomicBool>) -> usize {
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut held_up = 0;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if is_held.load(Ordering::Acquire) {
            held_up += count;
        }
        while is_held.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        if server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
    back.join().unwrap();
    held_up
}

#[tokio::test]
async fn a_server_that_answers_greetings_but_no_commands_stays_bad() {
    let server = Server::start();
    let node = server.impatient().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert!(is_unavailable(&free(&node, &key, &token).await));
    let start = Instant::now();
    let mut slow = 0;
    while start.elapsed() < SHORT.response * 4 {
        let asked = Instant::now();
        assert!(is_unavailable(&take(&node, &key, &self::token()).await));
        slow += usize::from(asked.elapsed() >= SHORT.response);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(slow, 0);
    let _: () = server.ask(&["CLIENT", "UNPAUSE"]);
    eventually("the lock is given back", async || server.keys() == 0).await;
}

/// The answer to what it is owed is still out, and nothing is owed after that.
#[tokio::test]
async fn a_release_behind_those_that_a_server_is_owed_leaves_no_key() {
    let server = Server::start();
    let node = server.impatient().await;
    let [first, second] = ["first", "second"].map(|name| (key(name), token()));
    for (key, token) in [&first, &second] {
        take(&node, key, token).await.unwrap();
    }
    let _: () = server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert!(is_unavailable(&free(&node, &first.0, &first.1).await));
    eventually("what it is owed is on its way", async || {
        node.link.load().is_some_and(|(under_way, _)| under_way > 0)
    })
    .await;
    // On its way when its method returns.
    drop(node.release(ReleaseRequest::new(second.0, second.1)));
    let _: () = server.ask(&["CLIENT", "UNPAUSE"]);
    eventually("both are given back", async || server.keys() == 0).await;
}

#[tokio::test]
async fn a_killed_server_is_used_again_when_it_is_back() {
    let server = Server::start();
    let node = server.impatient().await;
    server.kill();
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    assert!(said.contains("connection refused"), "{said}");
    server.start_again();
    eventually("the node grants again", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn a_server_restarted_within_the_timeout_fails_no_call() {
    let server = Server::start();
    let node = server.connected().await;
    server.kill();
    let (key, token) = (key("seat:1"), token());
    let taking = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    server.start_again();
    assert!(is_granted(&taking.await));
}

#[tokio::test]
async fn a_node_that_is_refused_from_the_start_connects_when_it_can() {
    let server = Server::start();
    server.kill();
    let node = server.node(SHORT);
    let error = node.first_contact().await.unwrap_err().error;
    assert_eq!(error.reason(), "connection refused");
    assert_eq!(error.node(), format!("127.0.0.1:{}", server.port()));
    assert!(is_unavailable(&take(&node, &key("seat:1"), &token()).await));
    server.start_again();
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
    node.first_contact().await.unwrap();
}
