//! However a body ends, nothing of its lock is left on any server.

use std::{future::pending, time::Duration};

use lockguard::{LockError, LockManager, distributed_lock};
use lockguard_tests::{Flow, Proxy, Server, Servers, eventually, over_1_3_5_nodes};
use tokio::time::{Instant, sleep, timeout};

const TTL: Duration = Duration::from_secs(2);

/// Long: a key that is gone before was released, and did not expire.
const LONG: Duration = Duration::from_secs(600);

async fn gone(servers: &Servers) {
    eventually(Duration::from_secs(10), || servers.are_empty()).await;
}

over_1_3_5_nodes!(a_value_comes_after_the_release_on_a_quorum(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let value = manager.lock("k", LONG).run(async |_| 7).await.unwrap();
    assert_eq!(value, 7);
    let free = servers.iter().filter(|server| server.keys().is_empty()).count();
    assert!(free > servers.len() / 2, "{free} are free");
    gone(servers).await;
});

over_1_3_5_nodes!(an_error_of_the_body_releases(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let value = manager.lock("k", LONG).run(async |_| Err::<(), _>("no"));
    assert_eq!(value.await.unwrap(), Err("no"));
    gone(servers).await;
});

over_1_3_5_nodes!(a_panic_releases(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let run = manager.lock("k", LONG).run(async |_| panic!("as the test wants"));
    assert!(tokio::spawn(run).await.unwrap_err().is_panic());
    gone(servers).await;
});

over_1_3_5_nodes!(a_cancelled_caller_releases(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let run = manager.lock("k", LONG).run(async |_| pending::<()>().await);
    assert!(timeout(Duration::from_millis(50), run).await.is_err());
    gone(servers).await;
});

over_1_3_5_nodes!(a_lost_lease_stops_the_body_and_is_given_back(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let ttl = Duration::from_millis(200);
    let run = manager.lock("k", ttl).run(async |_| pending::<()>().await);
    assert!(run.await.unwrap_err().is_lost());
    gone(servers).await;
});

over_1_3_5_nodes!(a_dropped_guard_releases(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    drop(manager.lock("k", LONG).acquire().await.unwrap());
    gone(servers).await;
});

over_1_3_5_nodes!(a_key_deleted_by_hand_is_noticed_at_the_release(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    for server in servers {
        server.flush();
    }
    let error = guard.release().await.unwrap_err();
    assert!(error.is_lost(), "{error}");
});

over_1_3_5_nodes!(an_extend_lengthens_the_key_on_every_server(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    guard.extend(LONG).await.unwrap();
    assert!(guard.remaining() > LONG / 2);
    eventually(TTL, || {
        servers.iter().all(|server| server.pttl("k").is_some_and(|left| left > LONG / 2))
    })
    .await;
    guard.release().await.unwrap();
    gone(servers).await;
});

over_1_3_5_nodes!(five_hundred_acquires_cancelled_at_random_leave_nothing(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for round in 0..500_u64 {
        let run = manager.lock("k", LONG).wait(TTL).run(async |_| sleep(TTL).await);
        // Spread over the microseconds that an acquire takes, and beyond.
        let instant = Duration::from_micros((round * 7919) % 1500);
        let _ = timeout(instant, run).await;
    }
    gone(servers).await;
    let guard = manager.lock("k", TTL).try_acquire().await.unwrap();
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(cancelled_waiters_leave_nothing(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let other = LockManager::connect(servers.urls()).await.unwrap();
    let held = other.lock("k", LONG).acquire().await.unwrap();
    let waiters: Vec<_> = (0..20)
        .map(|_| tokio::spawn(manager.lock("k", LONG).wait(LONG).acquire()))
        .collect();
    sleep(Duration::from_millis(20)).await;
    for waiter in &waiters {
        waiter.abort();
    }
    for waiter in waiters {
        let _ = waiter.await;
    }
    held.release().await.unwrap();
    gone(servers).await;
});

over_1_3_5_nodes!(scripts_that_were_flushed_are_sent_again(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for _ in 0..3 {
        for server in servers {
            server.script_flush();
        }
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        guard.extend(LONG).await.unwrap();
        for server in servers {
            server.script_flush();
        }
        guard.release().await.unwrap();
    }
    gone(servers).await;
});

over_1_3_5_nodes!(a_connection_reset_between_two_calls_fails_neither(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for _ in 0..20 {
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        for server in servers {
            server.client_kill();
        }
        guard.release().await.unwrap();
        for server in servers {
            server.client_kill();
        }
    }
    gone(servers).await;
});

#[tokio::test]
async fn with_background_release_no_caller_waits_for_it_and_it_comes() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let builder = LockManager::builder().node(proxy.url());
    let manager = builder.background_release().build().await.unwrap();
    let run = manager.lock("k", LONG).run(async |_| {
        proxy.set_to_server(Flow::Hold);
        Instant::now()
    });
    let ended = run.await.unwrap();
    // Whoever waits for an answer waits for a second.
    assert!(ended.elapsed() < Duration::from_secs(1));
    assert!(server.get("k").is_some());
    proxy.set_to_server(Flow::Pass);
    eventually(Duration::from_secs(10), || server.keys().is_empty()).await;
}

#[tokio::test]
async fn the_owner_token_is_in_no_error() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let stored = servers[0].get("k").unwrap();
    let random = stored.rsplit(':').next().unwrap().to_owned();
    let busy = manager.lock("k", TTL).try_acquire().await.unwrap_err();
    assert!(matches!(busy, LockError::Busy { .. }));
    for shown in [format!("{busy}"), format!("{busy:?}"), format!("{guard:?}")] {
        assert!(!shown.contains(&random), "{shown}");
    }
}

over_1_3_5_nodes!(a_lock_is_on_every_node_and_not_on_a_quorum_only(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for round in 0..100 {
        let key = format!("k:{round}");
        let guard = manager.lock(&key, LONG).acquire().await.unwrap();
        eventually(TTL, || servers.iter().all(|server| server.get(&key).is_some())).await;
        guard.release().await.unwrap();
    }
    gone(servers).await;
});

#[distributed_lock(
    keys = ["from:{n}", "to:{n}"],
    ttl = "10m",
    wait = "1s",
    max_hold = "20m",
    fence = token,
    manager = manager,
)]
async fn transfer(manager: &LockManager, n: u64) -> Result<u64, LockError> {
    sleep(Duration::from_millis(1)).await;
    Ok(token.get() / n)
}

/// Fences stay for a day; locks must not.
fn no_lock_is_left(servers: &Servers) -> bool {
    let mut keys = servers.iter().flat_map(Server::keys);
    keys.all(|key| key.ends_with(" fence"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_with_every_option_dropped_while_nodes_stop_and_go_on_leaves_nothing() {
    let servers = Servers::start(3);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for stopped in [0, 1, 2, 0, 1, 2] {
        servers[stopped].stop();
        for round in 1..20_u64 {
            if round == 10 {
                servers[stopped].cont();
            }
            // Spread over what taking, running and giving back take.
            let instant = Duration::from_micros((round * 7919) % 4000);
            let _ = timeout(instant, transfer(&manager, round % 4 + 1)).await;
        }
    }
    eventually(Duration::from_secs(20), || no_lock_is_left(&servers)).await;
}
