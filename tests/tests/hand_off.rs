//! From a release in one process to the next body in another, over servers.
//!
//! Each manager has connections and a queue of its own, as a process has.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use lockguard::LockManager;
use lockguard_tests::{Server, Servers, over_1_3_5_nodes};
use tokio::time::{Instant, sleep};

const TTL: Duration = Duration::from_secs(10);

/// What a hand-off may take on a busy machine, and no poll would.
const SOON: Duration = Duration::from_millis(100);

async fn managers<const N: usize>(servers: &Servers) -> [LockManager; N] {
    let mut managers = Vec::new();
    for _ in 0..N {
        managers.push(LockManager::connect(servers.urls()).await.unwrap());
    }
    managers.try_into().unwrap()
}

/// How many commands clients have sent to the server, those in scripts not
/// counted.
fn sent_to(server: &Server) -> u64 {
    ["evalsha", "eval"]
        .map(|command| server.command_count(command))
        .iter()
        .sum()
}

over_1_3_5_nodes!(a_release_wakes_a_waiter_of_another_process(servers) {
    let [holder, waiter] = managers(servers).await;
    for _ in 0..5 {
        let held = holder.lock("k", TTL).acquire().await.unwrap();
        let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
        // Past every look that polling would have taken early.
        sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        held.release().await.unwrap();
        let guard = waiting.await.unwrap().unwrap();
        let took = start.elapsed();
        assert!(took < SOON, "{took:?}");
        guard.release().await.unwrap();
    }
});

over_1_3_5_nodes!(a_waiter_asks_for_nothing_while_the_lock_is_held(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    sleep(Duration::from_millis(200)).await;
    let before: Vec<_> = servers.iter().map(sent_to).collect();
    sleep(Duration::from_secs(2)).await;
    let after: Vec<_> = servers.iter().map(sent_to).collect();
    assert_eq!(before, after);
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
});
