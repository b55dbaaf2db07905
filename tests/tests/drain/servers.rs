//! Drains of real servers, and of bodies in processes of their own.

use super::*;

/// A process that runs a thousand bodies, says so, and drains when it is told.
///
/// Three seconds are for bodies that end, and another one for those that do not.
fn draining_a_thousand(servers: &Servers) -> Worker {
    let program = env!("CARGO_BIN_EXE_worker");
    Worker::start(program, &["drain", &servers.urls(), "1000", "4000"])
}

over_1_3_5_nodes!(a_thousand_bodies_end_in_time_and_nothing_is_left(servers) {
    let mut worker = draining_a_thousand(servers);
    worker.line_with("running");
    // A quorum of them is enough to run.
    eventually(PATIENCE, || servers.iter().all(|server| server.keys().len() == 1000)).await;
    worker.tell("drain");
    worker.line_with("drained");
    assert_eq!(worker.exit_code(), Some(0));
    assert!(servers.are_empty());
});

over_1_3_5_nodes!(a_thousand_bodies_end_in_time_while_a_minority_hangs(servers) {
    let mut worker = draining_a_thousand(servers);
    worker.line_with("running");
    let hung = servers.len() / 2;
    for server in servers.iter().take(hung) {
        server.stop();
    }
    worker.tell("drain");
    worker.line_with("drained");
    assert_eq!(worker.exit_code(), Some(0));
    assert!(servers.iter().skip(hung).all(|server| server.keys().is_empty()));
});

over_1_3_5_nodes!(a_body_that_ends_in_time_returns_its_value_and_the_drain_is_clean(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let body = body(&manager, "k").await;
    let drain = tokio::spawn({ let manager = manager.clone(); async move { manager.drain(TIMEOUT).await } });
    sleep(A_MOMENT).await;
    body.end.send(()).unwrap();
    assert_eq!(body.ended.await.unwrap().unwrap(), 7);
    let drained = drain.await.unwrap();
    assert!(drained.is_clean(), "{drained}");
    assert_eq!(drained.released(), 1);
    assert!(servers.are_empty());
});

over_1_3_5_nodes!(connections_are_closed(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    guard(&manager, "k").await.release().await.unwrap();
    assert!(servers.iter().all(|server| server.client_count() > 0));
    assert!(manager.drain(TIMEOUT).await.is_clean());
    eventually(PATIENCE, || servers.iter().all(|server| server.client_count() == 0)).await;
    drop(manager);
});

over_1_3_5_nodes!(an_acquire_on_its_way_leaves_nothing(servers) {
    for round in 0..20_u64 {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let bodies: Vec<_> = (0..50)
            .map(|n| tokio::spawn(manager.lock(format!("k:{n}"), LONG).run(async move |_| n)))
            .collect();
        // Spread over what fifty acquires take.
        sleep(Duration::from_micros(round * 150)).await;
        let drained = manager.drain(TIMEOUT).await;
        assert!(drained.is_clean(), "{drained}");
        assert!(servers.are_empty(), "{:?}", servers[0].keys());
        for body in bodies {
            let ended = body.await.unwrap();
            assert!(ended.is_ok() || is_draining(&ended), "{ended:?}");
        }
    }
});

over_1_3_5_nodes!(the_last_of_a_manager_takes_its_locks_and_connections_along(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let held = guard(&manager, "held").await;
    let running = body(&manager, "body").await;
    drop(manager);
    assert!(held.is_held());
    running.ended.abort();
    drop(held);
    eventually(PATIENCE, || servers.are_empty()).await;
    eventually(PATIENCE, || servers.iter().all(|server| server.client_count() == 0)).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_servers_are_waited_for_no_longer_than_the_timeout_and_their_keys_are_listed() {
    for (nodes, hung) in [(1, 1), (3, 2)] {
        let servers = Servers::start(nodes);
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let _held = guard(&manager, "a").await;
        let running = body(&manager, "b").await;
        for server in servers.iter().take(hung) {
            server.stop();
        }
        let asked = Instant::now();
        let drained = manager.drain(TTL).await;
        assert!(asked.elapsed() < TTL + Duration::from_millis(500));
        let left: Vec<_> = drained.left().iter().map(ToString::to_string).collect();
        assert_eq!(left, ["a", "b"]);
        assert!(!drained.is_clean());
        assert!(is_drained(&running.ended.await.unwrap()));
    }
}

#[tokio::test]
async fn a_token_is_released_before_the_drain_and_not_after() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let token = manager.acquire("k", LONG).await.unwrap();
    assert!(manager.drain(TIMEOUT).await.is_clean());
    let error = manager.release("k", &token).await.unwrap_err();
    assert!(error.to_string().contains("closed by a drain"), "{error}");
    assert_eq!(servers[0].get("k").as_deref(), Some(token.expose()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_back_in_time_gets_what_it_is_owed() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let _held = guard(&manager, "a").await;
    servers[0].stop();
    let draining = manager.clone();
    let drain = tokio::spawn(async move { draining.drain(TIMEOUT).await });
    // Beyond the response timeout and the grace.
    sleep(Duration::from_millis(9500)).await;
    servers[0].cont();
    let drained = drain.await.unwrap();
    assert!(drained.left().is_empty(), "{drained}");
    assert!(servers.are_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_beside_a_body_that_never_yields() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let go_on = Arc::new(AtomicBool::new(false));
    let (begins, runs) = oneshot::channel();
    let told = Arc::clone(&go_on);
    let request = manager.lock("k", LONG).run(async move |_| {
        begins.send(()).unwrap();
        while !told.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        7
    });
    // In a runtime of its own: one whose threads are blocked rings no timers.
    let running = thread::spawn(|| Runtime::new().unwrap().block_on(request));
    runs.await.unwrap();
    let asked = Instant::now();
    let drained = manager.drain(Duration::from_secs(1)).await;
    assert!(asked.elapsed() < TTL);
    assert_eq!(drained.left()[0].as_str(), "k");
    assert_eq!(drained.cancelled(), 0);
    assert!(servers[0].get("k").is_some());
    eventually(PATIENCE, || servers[0].client_count() == 0).await;
    go_on.store(true, Ordering::Relaxed);
    assert_eq!(running.join().unwrap().unwrap(), 7);
}

#[test]
fn a_manager_whose_runtime_is_gone_is_drained_at_once() {
    let servers = Servers::start(3);
    let home = Runtime::new().unwrap();
    let (manager, held) = home.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let held = guard(&manager, "k").await;
        (manager, held)
    });
    drop(home);
    let asked = std::time::Instant::now();
    let guest = Runtime::new().unwrap();
    let drained = guest.block_on(manager.drain(TTL));
    assert!(asked.elapsed() < TTL + Duration::from_millis(500));
    assert_eq!(drained.left().len(), 1, "{drained}");
    drop(held);
}

#[test]
fn a_runtime_that_ends_leaves_locks_to_their_ttl_and_not_longer() {
    let servers = Servers::start(3);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let (begins, running) = oneshot::channel();
        tokio::spawn(manager.lock("k", TTL).run(async move |_| {
            begins.send(()).unwrap();
            pending::<()>().await;
        }));
        running.await.unwrap();
    });
    drop(runtime);
    eventually_blocking(PATIENCE, || servers.are_empty());
}
