//! Renewals by real servers.

use super::*;

/// Longer than where the clock is paused: machines stand still for a second, and
/// two thirds of it are for a renewal.
const TTL: Duration = ms(4000);

/// A renewed body that says when it is inside, and how it ended.
async fn held_until_lost(
    manager: &LockManager,
    ttl: Duration,
    inside: impl AsyncFnOnce(Lease),
) -> (LostCause, Instant) {
    let request = manager.lock("k", ttl).max_hold(MINUTE);
    let result = request.run(async |lease| {
        inside(lease).await;
        sleep(MINUTE).await;
    });
    (lost_cause(result.await), Instant::now())
}

over_1_3_5_nodes!(a_body_on_servers_outlives_several_ttls(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let other = LockManager::connect(servers.urls()).await.unwrap();
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        for _ in 0..10 {
            sleep(TTL / 4).await;
            assert!(other.lock("k", TTL).try_acquire().await.unwrap_err().is_busy());
        }
    });
    body.await.unwrap();
    eventually(MINUTE, || servers.are_empty()).await;
});

over_1_3_5_nodes!(max_hold_ends_a_body_on_servers(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let start = Instant::now();
    let max_hold = TTL + TTL / 4;
    let request = manager.lock("k", TTL).max_hold(max_hold);
    let cause = lost_cause(request.run(async |_| sleep(MINUTE).await).await);
    assert_eq!(cause, LostCause::MaxHold);
    assert!(start.elapsed() >= max_hold && start.elapsed() < MINUTE / 2);
    eventually(MINUTE, || servers.are_empty()).await;
});

over_1_3_5_nodes!(a_key_deleted_by_force_on_a_quorum_is_taken_at_the_next_renewal(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let mut deadline = Instant::now();
    let (cause, lost) = held_until_lost(&manager, TTL, async |lease| {
        // Renewed once.
        sleep(TTL / 2).await;
        deadline = lease.deadline();
        for server in servers.iter().take(servers.len() / 2 + 1) {
            assert!(server.del("k"));
        }
    })
    .await;
    assert_eq!(cause, LostCause::Taken);
    assert!(lost < deadline, "{:?}", lost - deadline);
});

over_1_3_5_nodes!(a_majority_that_hangs_is_a_loss_at_the_deadline_and_not_before(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let mut deadline = Instant::now();
    let (cause, lost) = held_until_lost(&manager, TTL, async |lease| {
        sleep(TTL / 2).await;
        for server in servers.iter().take(servers.len() / 2 + 1) {
            server.stop();
        }
        // What was answered before they stopped is known soon.
        sleep(ms(100)).await;
        deadline = lease.deadline();
        assert!(lease.is_held());
    })
    .await;
    assert_eq!(cause, LostCause::Expired);
    assert!(lost >= deadline);
    assert!(lost.duration_since(deadline) < MINUTE / 2, "{lost:?}");
    for server in servers {
        server.cont();
    }
});

over_1_3_5_nodes!(a_hung_minority_costs_a_renewed_body_nothing(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let minority = (servers.len() - 1) / 2;
    let request = manager.lock("k", TTL).max_hold(MINUTE);
    let body = request.run(async |_| {
        for server in servers.iter().take(minority) {
            server.stop();
        }
        sleep(TTL + TTL / 2).await;
    });
    body.await.unwrap();
    for server in servers {
        server.cont();
    }
    eventually(MINUTE, || servers.are_empty()).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_that_is_killed_and_restarts_costs_a_renewed_body_nothing() {
    for count in [3, 5] {
        let servers = Servers::start(count);
        let manager = LockManager::connect(servers.urls()).await.unwrap();
        let request = manager.lock("k", TTL).max_hold(MINUTE);
        let body = request.run(async |_| {
            for server in servers.iter().take(count / 2) {
                server.kill();
            }
            sleep(TTL * 3 / 4).await;
            for server in servers.iter().take(count / 2) {
                server.restart();
            }
            sleep(TTL * 3 / 4).await;
            // The release would delete what a renewal had created.
            for server in servers.iter().take(count / 2) {
                assert_eq!(server.get("k"), None, "created again by a renewal");
            }
        });
        body.await.unwrap();
        eventually(MINUTE, || servers.are_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_server_that_restarts_empty_ends_a_renewed_body() {
    let servers = Servers::start(1);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let (cause, _) = held_until_lost(&manager, 5 * TTL, async |_| servers[0].restart()).await;
    assert_eq!(cause, LostCause::Taken);
}

over_1_3_5_nodes!(a_thousand_leases_on_servers_are_renewed(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let mut guards = Vec::new();
    for n in 0..1000 {
        let request = manager.lock(format!("k:{n}"), TTL).max_hold(MINUTE);
        guards.push(request.acquire().await.unwrap());
    }
    // When the last of them would have ended.
    sleep(TTL).await;
    let held = guards.iter().filter(|guard| guard.is_held()).count();
    assert_eq!(held, 1000);
    drop(guards);
    eventually(MINUTE, || servers.are_empty()).await;
});
