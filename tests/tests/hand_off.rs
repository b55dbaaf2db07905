//! From a release in one process to the next body in another, over servers.
//!
//! Each manager has connections and a queue of its own, as a process has.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use lockguard::{FencingToken, Lease, LockKey, LockManager, OwnerToken, RetryPolicy, backend::*};
use lockguard_tests::{
    Flow, Proxy, Server, Servers, Warnings, Witness, Worker, eventually, eventually_blocking,
    over_1_3_5_nodes, redlock_over,
};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const TTL: Duration = Duration::from_secs(10);

/// For tests that wait for a ttl or a share of it.
const SHORT: Duration = Duration::from_secs(2);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a hand-off may take on a busy machine, and no poll would.
const SOON: Duration = Duration::from_millis(500);

async fn managers<const N: usize>(servers: &Servers) -> [LockManager; N] {
    let mut managers = Vec::new();
    for _ in 0..N {
        managers.push(LockManager::connect(servers.urls()).await.unwrap());
    }
    managers.try_into().unwrap()
}

/// How often clients have asked for a lock, or given one back; `SET` is counted
/// in scripts as well.
fn asked(server: &Server) -> u64 {
    let scripts = ["evalsha", "eval"].map(|command| server.command_count(command));
    scripts.iter().sum::<u64>() + server.command_count("set")
}

/// How many waiters stand in line for `k`.
fn standing(server: &Server) -> usize {
    server.cli(&["ZCARD", "{k} line"])
}

/// How many clients listen to a channel.
fn listening(server: &Server) -> usize {
    let channels: Vec<String> = server.cli(&["PUBSUB", "CHANNELS", "lockguard:*"]);
    channels.len()
}

/// No key is left, once what is on its way has arrived.
async fn assert_nothing_left(servers: &Servers) {
    for server in servers {
        eventually(PATIENCE, || server.keys().is_empty()).await;
    }
}

/// A process that waits for `k`.
fn wait_in_a_process(servers: &Servers) -> Worker {
    let ttl = SHORT.as_millis().to_string();
    let worker = env!("CARGO_BIN_EXE_worker");
    Worker::start(worker, &["hold", &servers.urls(), "k", &ttl])
}

/// The commands that a server runs by a call, inside scripts too; none of connections
/// and checks.
async fn run_by<T>(server: &Server, call: impl AsyncFnOnce() -> T) -> (String, T) {
    let before = server.command_counts();
    let reply = call().await;
    let mut run = Vec::new();
    for (command, count) in server.command_counts() {
        let is_of_checks = ["info", "hello", "client"]
            .iter()
            .any(|of| command.starts_with(of));
        if !is_of_checks {
            let times = count - before.get(&command).copied().unwrap_or(0);
            run.extend((0..times).map(|_| command.clone()));
        }
    }
    (run.join(" "), reply)
}

/// Where many wait, each section is one place in line and one release, and one
/// claim where the release is no grant.
#[tokio::test]
async fn a_place_in_line_a_release_and_a_claim_take_few_commands() {
    let server = Server::start();
    let node = RedisNode::connect(&server.url()).await.unwrap();
    let key = LockKey::new("k").unwrap();
    let token = || OwnerToken::with_label("");
    let [held, first, second] = [token(), token(), token()];
    let ask = |token: &OwnerToken, next: &OwnerToken| {
        let waiter = Waiter::new(Ticket::draw(), next.clone(), TTL);
        let request = AcquireRequest::new(key.clone(), token.clone(), TTL);
        node.acquire(request.waiting(waiter))
    };
    let release =
        |token: &OwnerToken| node.release(ReleaseRequest::new(key.clone(), token.clone()));
    assert_eq!(ask(&held, &token()).await.unwrap(), AcquireReply::Granted);
    assert!(matches!(
        ask(&token(), &first).await,
        Ok(AcquireReply::Busy(_))
    ));

    let (place, reply) = run_by(&server, async || ask(&token(), &second).await).await;
    assert!(matches!(reply, Ok(AcquireReply::Busy(_))), "{reply:?}");
    assert_eq!(place, "evalsha get pttl pttl zadd zrangebyscore");
    let (passed_on, reply) = run_by(&server, async || release(&held).await).await;
    assert_eq!(reply.unwrap(), ReleaseReply::Freed);
    assert_eq!(passed_on, "evalsha get pttl publish set zpopmin");
    let (claim, reply) = run_by(&server, async || ask(&first, &token()).await).await;
    assert_eq!(reply.unwrap(), AcquireReply::Granted);
    assert_eq!(claim, "evalsha get set zrangebyscore");
    let (last, reply) = run_by(&server, async || release(&first).await).await;
    assert_eq!(reply.unwrap(), ReleaseReply::Freed);
    assert_eq!(last, passed_on);
    assert_eq!(ask(&second, &token()).await.unwrap(), AcquireReply::Granted);
    let (freed, reply) = run_by(&server, async || release(&second).await).await;
    assert_eq!(reply.unwrap(), ReleaseReply::Freed);
    assert_eq!(freed, "del evalsha get pttl");
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
    let before: Vec<_> = servers.iter().map(asked).collect();
    sleep(Duration::from_secs(2)).await;
    let after: Vec<_> = servers.iter().map(asked).collect();
    assert_eq!(before, after);
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
});

over_1_3_5_nodes!(sixteen_processes_hand_on_without_polling(servers) {
    const PROCESSES: usize = 16;
    const SECTIONS: usize = 4;
    let witness = Witness::new();
    let mut managers = Vec::new();
    for _ in 0..PROCESSES {
        managers.push(LockManager::connect(servers.urls()).await.unwrap());
    }
    let before: Vec<_> = servers.iter().map(asked).collect();
    let workers: Vec<_> = managers
        .into_iter()
        .map(|manager| {
            let witness = witness.clone();
            tokio::spawn(async move {
                for _ in 0..SECTIONS {
                    let guard = manager.lock("k", TTL).wait(PATIENCE).acquire().await.unwrap();
                    let section = witness.enter("k");
                    sleep(Duration::from_millis(2)).await;
                    section.leave();
                    guard.release().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    witness.assert_exclusive(PROCESSES * SECTIONS);
    for (server, before) in servers.iter().zip(before) {
        let asked = asked(server) - before;
        let sections = u64::try_from(PROCESSES * SECTIONS).unwrap();
        assert!(asked <= 8 * sections, "{asked} commands for {sections} sections");
    }
    assert_nothing_left(servers).await;
});

over_1_3_5_nodes!(of_many_waiters_none_is_starved(servers) {
    const PROCESSES: usize = 16;
    const WAITERS: usize = 16;
    let managers: [_; PROCESSES] = managers(servers).await;
    let mut waiters = JoinSet::new();
    for manager in &managers {
        for _ in 0..WAITERS {
            waiters.spawn(manager.lock("k", TTL).wait(PATIENCE).run(async |_| ()));
        }
    }
    while let Some(served) = waiters.join_next().await {
        served.unwrap().unwrap();
    }
    assert_nothing_left(servers).await;
});

over_1_3_5_nodes!(waiters_of_several_processes_are_served_in_order(servers) {
    const PROCESSES: usize = 5;
    let managers: [_; PROCESSES] = managers(servers).await;
    let [holder] = self::managers(servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for (n, manager) in managers.iter().enumerate() {
        let (request, served) = (manager.lock("k", TTL).wait(PATIENCE), Arc::clone(&served));
        waiters.push(tokio::spawn(async move {
            let body = async |_| served.lock().push(n);
            request.run(body).await
        }));
        for server in servers {
            eventually(PATIENCE, || standing(server) == n + 1).await;
        }
    }
    held.release().await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(*served.lock(), (0..PROCESSES).collect::<Vec<_>>());
});

over_1_3_5_nodes!(a_process_that_releases_goes_behind_those_that_wait(servers) {
    let [first, second] = managers(servers).await;
    let held = first.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(second.lock("k", TTL).wait(PATIENCE).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    held.release().await.unwrap();
    let busy = first.lock("k", TTL).try_acquire().await.unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    waiting.await.unwrap().unwrap().release().await.unwrap();
});

over_1_3_5_nodes!(a_waiter_that_gives_up_leaves_nothing(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let wait = Duration::from_millis(100);
    let busy = waiter.lock("k", TTL).wait(wait).acquire().await.unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    let cancelled = tokio::spawn(waiter.lock("k", TTL).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    cancelled.abort();
    for server in servers {
        eventually(PATIENCE, || standing(server) == 0).await;
    }
    held.release().await.unwrap();
    assert_nothing_left(servers).await;
    waiter.lock("k", TTL).try_acquire().await.unwrap().release().await.unwrap();
});

over_1_3_5_nodes!(a_waiter_that_gives_up_with_a_pass_hands_it_on(servers) {
    let [holder, first, second] = managers(servers).await;
    for _ in 0..10 {
        let held = holder.lock("k", TTL).acquire().await.unwrap();
        let cancelled = tokio::spawn(first.lock("k", TTL).acquire());
        for server in servers {
            eventually(PATIENCE, || standing(server) == 1).await;
        }
        let waiting = tokio::spawn(second.lock("k", TTL).acquire());
        for server in servers {
            eventually(PATIENCE, || standing(server) == 2).await;
        }
        drop(held);
        cancelled.abort();
        // It may have come through: then this drops its guard.
        drop(cancelled);
        let start = Instant::now();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
});

over_1_3_5_nodes!(a_waiter_that_was_killed_in_line_costs_the_next_nothing(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let killed = wait_in_a_process(servers);
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    killed.kill();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 2).await;
        // A connection that is gone hears nothing.
        eventually(PATIENCE, || listening(server) == 2).await;
    }
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_nothing_left(servers).await;
});

over_1_3_5_nodes!(a_waiter_that_hangs_with_a_pass_delays_the_next_by_its_window(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", SHORT).max_hold(TTL).acquire().await.unwrap();
    let hung = wait_in_a_process(servers);
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    let waiting = tokio::spawn(waiter.lock("k", SHORT).wait(PATIENCE).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 2).await;
    }
    hung.stop();
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    // Its window is half of its ttl; then the timer looks.
    assert!(start.elapsed() < 2 * SHORT, "{:?}", start.elapsed());
});

over_1_3_5_nodes!(a_line_that_is_lost_is_entered_again(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", SHORT).max_hold(TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", SHORT).wait(PATIENCE).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
        assert!(server.del("{k} line"));
    }
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
});

over_1_3_5_nodes!(a_key_deleted_by_hand_is_noticed_with_few_commands(servers) {
    let [holder, waiter] = managers(servers).await;
    let _held = holder.lock("k", 10 * TTL).acquire().await.unwrap();
    let before: Vec<_> = servers.iter().map(asked).collect();
    let start = Instant::now();
    let waiting = tokio::spawn(waiter.lock("k", 10 * TTL).wait(PATIENCE).acquire());
    sleep(Duration::from_secs(1)).await;
    for server in servers {
        server.del("k");
    }
    let deleted = Instant::now();
    let guard = waiting.await.unwrap().unwrap();
    assert!(deleted.elapsed() < Duration::from_secs(10), "{:?}", deleted.elapsed());
    for (server, before) in servers.iter().zip(before) {
        let asked = asked(server) - before;
        let allowed = 4 * (start.elapsed().as_secs() + 1);
        assert!(asked <= allowed, "{asked} commands in {:?}", start.elapsed());
    }
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(a_connection_that_broke_is_listened_to_again(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
        server.client_kill();
    }
    for server in servers {
        eventually(Duration::from_secs(2), || listening(server) >= 1).await;
        eventually(Duration::from_secs(2), || standing(server) == 1).await;
    }
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_lost_is_made_up_for_by_the_timer() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let holder = LockManager::connect(server.url()).await.unwrap();
    let waiter = LockManager::connect(proxy.url()).await.unwrap();
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", SHORT).wait(PATIENCE).acquire());
    eventually(PATIENCE, || standing(&server) == 1).await;
    // Its answer has arrived, and its timer is far away: nothing else is lost.
    sleep(Duration::from_millis(100)).await;
    proxy.set_to_client(Flow::Swallow);
    held.release().await.unwrap();
    sleep(Duration::from_millis(20)).await;
    proxy.set_to_client(Flow::Pass);
    let start = Instant::now();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < SHORT, "{:?}", start.elapsed());
}

async fn hand_off_with_one_of(nodes: usize) {
    let servers = Servers::start(nodes);
    let [holder, waiter] = managers(&servers).await;
    for _ in 0..3 {
        let held = holder.lock("k", TTL).acquire().await.unwrap();
        let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
        for server in servers.iter().skip(1) {
            eventually(PATIENCE, || standing(server) == 1).await;
        }
        servers[0].stop();
        let start = Instant::now();
        held.release().await.unwrap();
        let guard = waiting.await.unwrap().unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        servers[0].cont();
        guard.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_that_is_stopped_delays_no_hand_off() {
    hand_off_with_one_of(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_five_that_is_stopped_delays_no_hand_off() {
    hand_off_with_one_of(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_while_it_passes_delays_no_hand_off() {
    let servers = Servers::start(3);
    let [holder, waiter] = managers(&servers).await;
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    for server in &servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    let start = Instant::now();
    let releasing = tokio::spawn(held.release());
    servers[0].kill();
    releasing.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < 5 * SOON, "{:?}", start.elapsed());
}

over_1_3_5_nodes!(min_hold_is_waited_for_and_not_longer(servers) {
    let [holder, waiter] = managers(servers).await;
    let rest = Duration::from_millis(400);
    let request = holder.lock("k", TTL).min_hold(rest);
    let start = Instant::now();
    let held = request.acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    held.release().await.unwrap();
    let guard = waiting.await.unwrap().unwrap();
    let took = start.elapsed();
    assert!(took >= rest, "{took:?}");
    assert!(took < rest + 3 * SOON, "{took:?}");
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(a_fenced_lock_is_handed_on_with_a_greater_token(servers) {
    let [holder, waiter] = managers(servers).await;
    let held = holder.lock("k", TTL).fenced().acquire().await.unwrap();
    let first = held.fencing_token();
    let waiting = tokio::spawn(waiter.lock("k", TTL).fenced().acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    let start = Instant::now();
    held.release().await.unwrap();
    let guard = waiting.await.unwrap().unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(guard.fencing_token() > first);
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(a_waiter_with_tries_is_woken_before_its_delay(servers) {
    let [holder] = managers(servers).await;
    let retry = RetryPolicy::tries(3).delay(TTL).jitter(0.0);
    let builder = LockManager::builder().nodes(servers.iter().map(Server::url));
    let waiter = builder.retry(retry).build().await.unwrap();
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(async move { waiter.acquire("k", TTL).await });
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
});

over_1_3_5_nodes!(who_waits_for_several_keys_is_woken_by_each(servers) {
    let [holder, waiter] = managers(servers).await;
    let first = holder.lock("a", TTL).acquire().await.unwrap();
    let second = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock_all(["a", "k"], TTL).acquire());
    // Past every look that polling would have taken early.
    sleep(Duration::from_millis(300)).await;
    first.release().await.unwrap();
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
        // It holds neither meanwhile.
        assert_eq!(server.get("a"), None);
    }
    let start = Instant::now();
    second.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_nothing_left(servers).await;
});

/// Long: a line that is empty before is not forgotten.
const LONG: Duration = Duration::from_secs(600);

over_1_3_5_nodes!(who_gives_up_several_keys_stands_in_no_line(servers) {
    let [holder, waiter] = managers(servers).await;
    let _held = holder.lock("k", LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock_all(["a", "k"], LONG).acquire());
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    waiting.abort();
    for server in servers {
        eventually(PATIENCE, || standing(server) == 0).await;
    }
});

over_1_3_5_nodes!(who_has_several_keys_that_expired_stands_in_no_line(servers) {
    let [holder, waiter] = managers(servers).await;
    // Nobody is told of its end.
    let _token = holder.acquire("k", Duration::from_secs(1)).await.unwrap();
    let _both = waiter.lock_all(["a", "k"], LONG).acquire().await.unwrap();
    for server in servers {
        eventually(PATIENCE, || standing(server) == 0).await;
    }
});

over_1_3_5_nodes!(inside_a_process_a_lock_is_handed_on_without_being_freed(servers) {
    const SECTIONS: usize = 100;
    let [manager] = managers(servers).await;
    let witness = Witness::new();
    let held = manager.lock("k", TTL).acquire().await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..SECTIONS {
        let witness = witness.clone();
        let request = manager.lock("k", TTL).wait(PATIENCE);
        let mut waiter = Box::pin(request.run(async move |_| {
            let section = witness.enter("k");
            tokio::task::yield_now().await;
            section.leave();
        }));
        // All stand in line before the first is served: one that came later
        // might find nobody to be handed the lock by.
        assert!(timeout(Duration::ZERO, &mut waiter).await.is_err());
        waiters.push(tokio::spawn(waiter));
    }
    let freed = |server: &Server| server.command_count("del");
    let before: Vec<_> = servers.iter().map(freed).collect();
    held.release().await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    witness.assert_exclusive(SECTIONS);
    assert_nothing_left(servers).await;
    for (server, before) in servers.iter().zip(before) {
        let freed = freed(server) - before;
        assert!(freed <= 10, "freed {freed} times for {SECTIONS} sections");
    }
});

over_1_3_5_nodes!(fenced_locks_are_handed_on_with_rising_tokens(servers) {
    let [manager] = managers(servers).await;
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let held = manager.lock("k", TTL).fenced().acquire().await.unwrap();
    let mut waiters = JoinSet::new();
    for _ in 0..20 {
        let tokens = Arc::clone(&tokens);
        let request = manager.lock("k", TTL).fenced().wait(PATIENCE);
        waiters.spawn(request.run(async move |lease: Lease| {
            tokens.lock().push(lease.fencing_token().unwrap());
        }));
    }
    tokens.lock().push(held.fencing_token().unwrap());
    held.release().await.unwrap();
    while let Some(done) = waiters.join_next().await {
        done.unwrap().unwrap();
    }
    let tokens = tokens.lock();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
});

over_1_3_5_nodes!(a_successor_that_is_cancelled_leaves_the_lock_free(servers) {
    let [manager] = managers(servers).await;
    for n in 0..20 {
        let held = manager.lock("k", TTL).acquire().await.unwrap();
        let cancelled = tokio::spawn(manager.lock("k", TTL).wait(PATIENCE).acquire());
        sleep(Duration::from_millis(n % 3)).await;
        let releasing = tokio::spawn(held.release());
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
        cancelled.abort();
        drop(cancelled);
        releasing.await.unwrap().unwrap();
        let request = manager.lock("k", TTL).wait(SOON);
        request.acquire().await.unwrap().release().await.unwrap();
    }
    assert_nothing_left(servers).await;
});

over_1_3_5_nodes!(another_process_has_its_turn_after_32_hand_ons(servers) {
    let [crowd, other] = managers(servers).await;
    let served = Arc::new(Mutex::new(0_u32));
    let mut crowded = JoinSet::new();
    let held = crowd.lock("k", TTL).acquire().await.unwrap();
    for _ in 0..8 {
        let (crowd, served) = (crowd.clone(), Arc::clone(&served));
        crowded.spawn(async move {
            loop {
                let request = crowd.lock("k", TTL).wait(PATIENCE);
                request.run(async |_| *served.lock() += 1).await.unwrap();
            }
        });
    }
    let (at, waiting) = (Arc::clone(&served), other.lock("k", TTL).wait(PATIENCE));
    let waiting = tokio::spawn(waiting.run(async move |_| *at.lock()));
    for server in servers {
        eventually(PATIENCE, || standing(server) == 1).await;
    }
    held.release().await.unwrap();
    let before_it = waiting.await.unwrap().unwrap();
    assert!(before_it <= 33, "{before_it} sections came before");
    crowded.shutdown().await;
});

/// A user that may do everything but this.
fn restricted(server: &Server, but: &[&str]) -> String {
    let user = ["ACL", "SETUSER", "app", "on", ">p", "~*", "&*", "+@all"];
    server.cli::<()>(&[&user[..], but].concat());
    format!("redis://app:p@{}", server.address())
}

async fn assert_handed_on_within_a_second(holder: &LockManager, waiter: &LockManager) {
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", TTL).acquire());
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

async fn polls_and_warns_once(server: &Server, url: String) {
    let holder = LockManager::connect(server.url()).await.unwrap();
    let warnings = Warnings::collect();
    let waiter = LockManager::connect(url).await.unwrap();
    for _ in 0..3 {
        assert_handed_on_within_a_second(&holder, &waiter).await;
    }
    assert_eq!(
        warnings.containing("waiters cannot be told").len(),
        1,
        "{warnings:?}"
    );
}

#[tokio::test]
async fn without_a_right_to_channels_a_waiter_polls_and_warns_once() {
    let server = Server::start();
    polls_and_warns_once(&server, restricted(&server, &["resetchannels"])).await;
}

#[tokio::test]
async fn without_resp3_a_waiter_polls_and_warns_once() {
    let server = Server::start_with(&["--rename-command", "HELLO", "NO-HELLO"]);
    polls_and_warns_once(&server, server.url()).await;
}

#[tokio::test]
async fn where_nobody_can_publish_waiters_poll_and_a_warning_says_so() {
    let server = Server::start_with(&["--rename-command", "PUBLISH", ""]);
    polls_and_warns_once(&server, server.url()).await;
}

/// Else the lock would be reserved for it, and free for nobody meanwhile.
#[tokio::test]
async fn who_gives_up_while_the_server_refuses_writes_leaves_the_line_when_it_does_not() {
    let server = Server::start();
    let holder = LockManager::connect(server.url()).await.unwrap();
    let waiter = LockManager::connect(server.url()).await.unwrap();
    let held = holder.lock("k", TTL).acquire().await.unwrap();
    let wait = Duration::from_millis(500);
    let waiting = tokio::spawn(waiter.lock("k", TTL).wait(wait).acquire());
    eventually(PATIENCE, || standing(&server) == 1).await;
    server.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    waiting.await.unwrap().unwrap_err();
    server.cli::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    // Long before the line is forgotten.
    eventually(TTL / 2, || standing(&server) == 0).await;
    held.release().await.unwrap();
}

#[tokio::test]
async fn without_a_right_to_the_line_a_lock_is_taken_waited_for_and_given_back() {
    let server = Server::start();
    let url = restricted(&server, &["resetkeys", "~k"]);
    let holder = LockManager::connect(&url).await.unwrap();
    let waiter = LockManager::connect(&url).await.unwrap();
    assert_handed_on_within_a_second(&holder, &waiter).await;
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_may_not_publish_frees_the_lock_all_the_same() {
    let server = Server::start();
    let holder = LockManager::connect(restricted(&server, &["resetchannels"]));
    let holder = holder.await.unwrap();
    let waiter = LockManager::connect(server.url()).await.unwrap();
    let held = holder.lock("k", SHORT).acquire().await.unwrap();
    let waiting = tokio::spawn(waiter.lock("k", SHORT).wait(PATIENCE).acquire());
    eventually(PATIENCE, || standing(&server) == 1).await;
    let start = Instant::now();
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(start.elapsed() < SHORT, "{:?}", start.elapsed());
}

/// Goes through this many critical sections.
async fn contend(manager: LockManager, witness: Witness, sections: usize, pause: Duration) {
    for _ in 0..sections {
        let guard = manager
            .lock("k", TTL)
            .wait(PATIENCE)
            .acquire()
            .await
            .unwrap();
        let section = witness.enter("k");
        sleep(Duration::from_millis(2)).await;
        section.leave();
        guard.release().await.unwrap();
        sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_waiters_that_are_told_and_one_that_polls_none_is_starved() {
    let server = Server::start();
    let poller = LockManager::connect(restricted(&server, &["-subscribe"]));
    let poller = poller.await.unwrap();
    let witness = Witness::new();
    let mut told = JoinSet::new();
    for _ in 0..2 {
        let manager = LockManager::connect(server.url()).await.unwrap();
        // The line is never empty while these go on.
        told.spawn(contend(
            manager,
            witness.clone(),
            usize::MAX,
            Duration::ZERO,
        ));
    }
    let polling = contend(poller, witness.clone(), 5, Duration::ZERO);
    timeout(PATIENCE, polling)
        .await
        .expect("the poller was starved");
    told.shutdown().await;
    // The others went on meanwhile.
    witness.assert_exclusive(10);
}

/// A client that polls goes through five critical sections, as other libraries
/// do.
fn poll_as_others_do(server: &Server, witness: &Witness) {
    for n in 0..FOREIGN {
        let value = format!("another-library-{n}");
        eventually_blocking(PATIENCE, || server.set_nx_px("k", &value, TTL));
        let section = witness.enter("k");
        std::thread::sleep(Duration::from_millis(5));
        section.leave();
        assert_eq!(server.get("k"), Some(value));
        server.del("k");
    }
}

const FOREIGN: usize = 5;

/// Ours, who go through so many sections each, once a client of another library
/// has gone through all of its own beside them.
async fn beside_another_library(
    server: &Arc<Server>,
    witness: &Witness,
    sections: usize,
    pause: Duration,
) -> JoinSet<()> {
    let mut ours = JoinSet::new();
    for _ in 0..2 {
        let manager = LockManager::connect(server.url()).await.unwrap();
        ours.spawn(contend(manager, witness.clone(), sections, pause));
    }
    let (server, witness) = (Arc::clone(server), witness.clone());
    let foreign = tokio::task::spawn_blocking(move || poll_as_others_do(&server, &witness));
    foreign.await.unwrap();
    ours
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_another_library_and_ours_exclude_each_other_and_none_is_starved() {
    let (server, witness) = (Arc::new(Server::start()), Witness::new());
    let pause = Duration::from_millis(10);
    let mut ours = beside_another_library(&server, &witness, 4 * FOREIGN, pause).await;
    while let Some(done) = ours.join_next().await {
        done.unwrap();
    }
    witness.assert_exclusive(9 * FOREIGN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_another_library_is_not_starved_where_one_of_ours_always_waits() {
    let (server, witness) = (Arc::new(Server::start()), Witness::new());
    let mut ours = beside_another_library(&server, &witness, usize::MAX, Duration::ZERO).await;
    ours.shutdown().await;
    witness.assert_exclusive(FOREIGN);
    // Without openings, about 10,000.
    let all = witness.sections().len();
    assert!(all < 5_000, "{all} sections for {FOREIGN} of the other's");
}

over_1_3_5_nodes!(no_wake_is_lost_where_waiters_come_give_up_and_go(servers) {
    const PROCESSES: usize = 6;
    const SECTIONS: usize = 25;
    let witness = Witness::new();
    let idle_since = Arc::new(Mutex::new(Instant::now()));
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let mut workers = JoinSet::new();
    for manager in managers::<PROCESSES>(servers).await {
        let (witness, idle_since) = (witness.clone(), Arc::clone(&idle_since));
        let longest = Arc::clone(&longest);
        workers.spawn(async move {
            for n in 0..SECTIONS {
                // Some leave while they wait, or are passed to, or claim.
                let patience = Duration::from_micros(rand::random_range(0..5000));
                let given_up = manager.lock("k", TTL).wait(PATIENCE).run(async |_| ());
                let _ = timeout(patience, given_up).await;
                let request = manager.lock("k", TTL).wait(PATIENCE);
                let guard = request.acquire().await.unwrap();
                let idle = idle_since.lock().elapsed();
                let section = witness.enter("k");
                {
                    let mut longest = longest.lock();
                    *longest = idle.max(*longest);
                }
                if n % 4 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                section.leave();
                *idle_since.lock() = Instant::now();
                guard.release().await.unwrap();
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    witness.assert_exclusive(PROCESSES * SECTIONS);
    // Before any timer of a waiter: that is after a third of its ttl.
    let longest = *longest.lock();
    assert!(longest < Duration::from_secs(2), "idle for {longest:?}");
    assert_nothing_left(servers).await;
});

/// The release that hands on must not be told that its lease was lost.
#[tokio::test]
async fn a_successor_without_a_quorum_does_not_make_the_owner_before_a_loser() {
    let servers = Servers::start(3);
    let [second, third] = [1, 2].map(|nth| Proxy::start(servers[nth].port()));
    let (second, third) = (second.await, third.await);
    let builder = LockManager::builder().nodes([servers[0].url(), second.url(), third.url()]);
    let manager = builder.build().await.unwrap();
    // Held by the first two.
    third.set(Flow::Swallow);
    let held = manager.lock("k", TTL).acquire().await.unwrap();
    let next = tokio::spawn(manager.lock("k", TTL).acquire());
    sleep(Duration::from_millis(50)).await;
    third.reset().await;
    third.set(Flow::Pass);
    eventually_reachable(&manager, 3).await;
    second.set(Flow::Swallow);
    // Known to be bad: it refuses at once, and the release has time to end.
    eventually_reachable(&manager, 2).await;
    let released = held.release().await;
    assert!(
        !released
            .as_ref()
            .is_err_and(lockguard::ReleaseError::is_lost),
        "{released:?}"
    );
    second.set(Flow::Pass);
    second.reset().await;
    next.await.unwrap().unwrap().release().await.unwrap();
}

/// Two of three have answered, and no vote of the third makes the successor's
/// quorum in time.
#[tokio::test]
async fn a_release_that_is_handed_on_while_a_server_hangs_says_what_a_quorum_said() {
    let servers = Servers::start(3);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let held = manager.lock("k", TTL).acquire().await.unwrap();
    let next = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    eventually(SHORT, || {
        servers.iter().all(|server| server.get("k").is_some())
    })
    .await;
    let _: u8 = servers[1].cli(&["DEL", "k"]);
    servers[2].stop();
    let released = held.release().await;
    servers[2].cont();
    assert!(released.is_ok(), "{released:?}");
    next.await.unwrap().unwrap().release().await.unwrap();
}

/// As whoever comes does, also where the lock was its own to hand on.
#[tokio::test]
async fn who_waits_for_servers_that_are_full_hears_that_and_leaves_nothing() {
    let servers = Servers::start(3);
    let [manager, other] = managers(&servers).await;
    // Behind others of its own process it stands in no line of the servers.
    for (waits_at, stand) in [(&manager, 0), (&other, 1)] {
        let held = manager.lock("k", TTL).acquire().await.unwrap();
        let waiting = tokio::spawn(waits_at.lock("k", TTL).acquire());
        tokio::task::yield_now().await;
        let all_stand = || servers.iter().all(|server| standing(server) == stand);
        eventually(SHORT, all_stand).await;
        for server in &servers {
            server.cli::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
        }
        held.release().await.unwrap();
        let error = waiting.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("out of memory"), "{error}");
        assert_nothing_left(&servers).await;
        for server in &servers {
            server.cli::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
        }
    }
}

/// Waits until so many nodes answer.
async fn eventually_reachable(manager: &LockManager, count: usize) {
    let end = Instant::now() + PATIENCE;
    loop {
        let nodes = manager.nodes().await;
        if nodes.iter().filter(|node| node.is_reachable()).count() == count {
            return;
        }
        assert!(Instant::now() < end, "{nodes:?}");
    }
}

/// Else that node would keep the key for a ttl, and refuse everybody.
#[tokio::test]
async fn a_node_that_missed_the_successor_is_rid_of_the_owner_before() {
    hand_on_while_a_node_is_away(|request| request).await;
}

#[tokio::test]
async fn a_node_that_missed_a_fenced_successor_is_rid_of_the_owner_before() {
    let token = FencingToken::new(1).unwrap();
    hand_on_while_a_node_is_away(|request| request.fenced(token, TTL)).await;
}

async fn hand_on_while_a_node_is_away(asked: impl Fn(AcquireRequest) -> AcquireRequest) {
    let servers = Servers::start(3);
    let proxy = Proxy::start(servers[2].port()).await;
    let mut nodes = Vec::new();
    for url in [servers[0].url(), servers[1].url(), proxy.url()] {
        nodes.push(RedisNode::connect(&url).await.unwrap());
    }
    let redlock = redlock_over(nodes);
    let key = LockKey::new("k").unwrap();
    let [first, next] = ["first", "next"].map(OwnerToken::with_label);
    let request = |token: &OwnerToken| asked(AcquireRequest::new(key.clone(), token.clone(), TTL));
    let granted = redlock.acquire(request(&first)).await;
    assert!(is_granted(&granted.unwrap()));
    eventually(SHORT, || servers[2].get("k").is_some()).await;
    proxy.refuse().await;
    proxy.reset().await;
    let granted = redlock.acquire(request(&next).replacing(first)).await;
    assert!(is_granted(&granted.unwrap()));
    proxy.resume().await;
    eventually(SHORT, || servers[2].get("k").is_none()).await;
    assert_eq!(servers[0].get("k").as_deref(), Some(next.expose()));
}

fn is_granted(reply: &AcquireReply) -> bool {
    matches!(reply, AcquireReply::Granted | AcquireReply::GrantedWith(_))
}
