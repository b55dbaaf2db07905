//! Servers that restart, and what they may have forgotten.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockguard::{
    BoxFuture, LockError, LockGuard, LockManager, LostCause, NodeStatus,
    backend::{AcquireReply, AcquireRequest, Backend, BackendError, Epochs, Memory},
};
use lockguard_tests::{Proxy, Server, Servers, eventually, eventually_locks, forward};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(600);

const PATIENCE: Duration = Duration::from_secs(20);

/// A manager over these, which keeps restarted nodes out for so long.
async fn connect(urls: String, delay: Duration) -> LockManager {
    let builder = LockManager::builder().node(urls).restart_delay(delay);
    builder.build().await.unwrap()
}

/// The lock of `k` on the first two of three nodes alone.
async fn hold_on_the_first_two(manager: &LockManager, servers: &Servers) -> LockGuard {
    assert!(servers[2].set_nx_px("k", "somebody", LONG));
    let guard = manager.lock("k", LONG).try_acquire().await.unwrap();
    assert!(servers[2].del("k"));
    assert!(servers[0].get("k").is_some() && servers[1].get("k").is_some());
    guard
}

/// Restarts the nodes, empty, and waits until somebody is connected to them.
async fn restart<'a>(servers: impl IntoIterator<Item = &'a Server>) {
    for server in servers {
        server.restart();
        eventually(PATIENCE, || server.client_count() > 0).await;
    }
}

/// Waits until every node answers: one may still be being found, or be given up.
async fn all_answer(manager: &LockManager) {
    let answer = async { while !manager.nodes().await.iter().all(NodeStatus::is_reachable) {} };
    timeout(PATIENCE, answer).await.unwrap();
}

/// Tries until the outcome is of this kind: a node may still be being found.
async fn eventually_acquires(manager: &LockManager, is_fenced: bool) {
    eventually_locks(PATIENCE, || {
        let request = manager.lock("other", LONG).wait(Duration::ZERO);
        if is_fenced { request.fenced() } else { request }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_restarted_empty_makes_no_quorum_for_a_second_holder() {
    let servers = Servers::start(3);
    let first = connect(servers.urls(), LONG).await;
    let second = connect(servers.urls(), LONG).await;
    let guard = hold_on_the_first_two(&first, &servers).await;
    restart([&servers[1]]).await;
    let error = second.lock("k", LONG).try_acquire().await.unwrap_err();
    assert!(!error.is_lost(), "{error}");
    assert!(guard.is_held());
    assert_eq!(servers[1].get("k"), None, "it was not even asked");
}

/// From a grant to the release, or to the deadline if that came first.
struct Section {
    begun: Instant,
    ended: Instant,
}

/// Takes the lock again and again until `end`.
async fn contend(manager: LockManager, ttl: Duration, end: Instant) -> Vec<Section> {
    let mut sections = Vec::new();
    while Instant::now() < end {
        let Ok(guard) = manager.lock("k", ttl).acquire().await else {
            sleep(ttl / 20).await;
            continue;
        };
        let (begun, deadline) = (Instant::now(), guard.deadline());
        // Some go on until their deadline.
        let works = if sections.len() % 2 == 0 {
            ttl / 20
        } else {
            ttl
        };
        let _ = timeout(works, guard.lost()).await;
        let ended = Instant::now().min(deadline);
        sections.push(Section { begun, ended });
        let _ = guard.release().await;
    }
    sections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_restart_empty_one_after_another_let_no_two_in_at_once() {
    let servers = Servers::start(3);
    let ttl = Duration::from_millis(300);
    let end = Instant::now() + 20 * ttl;
    let mut contenders = JoinSet::new();
    for _ in 0..4 {
        contenders.spawn(contend(connect(servers.urls(), ttl).await, ttl, end));
    }
    for nth in (0..3).cycle() {
        if Instant::now() > end {
            break;
        }
        sleep(ttl).await;
        servers[nth].restart();
    }
    let mut sections: Vec<_> = contenders.join_all().await.into_iter().flatten().collect();
    sections.sort_by_key(|section| section.begun);
    assert!(sections.len() > 10, "only {} sections", sections.len());
    let are_apart = |pair: &[Section]| pair[0].ended <= pair[1].begun;
    assert!(sections.windows(2).all(are_apart), "two were in at once");
}

#[tokio::test]
async fn without_a_delay_a_node_that_restarted_empty_grants_a_held_key() {
    let servers = Servers::start(3);
    let first = connect(servers.urls(), LONG).await;
    let second = connect(servers.urls(), Duration::ZERO).await;
    let guard = hold_on_the_first_two(&first, &servers).await;
    restart([&servers[1]]).await;
    let two = second.lock("k", LONG).acquire().await.unwrap();
    assert!(guard.is_held() && two.is_held());
}

/// A lock that it has lost is kept by the other, without which nothing is.
#[tokio::test]
async fn of_two_nodes_one_that_restarted_votes_at_once() {
    let servers = Servers::start(2);
    let manager = connect(servers.urls(), LONG).await;
    restart([&servers[1]]).await;
    eventually_acquires(&manager, false).await;
}

#[tokio::test]
async fn with_two_of_three_restarted_acquires_are_unavailable_and_say_why() {
    let servers = Servers::start(3);
    let manager = connect(servers.urls(), LONG).await;
    restart(servers.iter().take(2)).await;
    let error = manager.lock("k", LONG).acquire().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let text = error.to_string();
    for kept_out in [&servers[0], &servers[1]] {
        assert!(text.contains(&kept_out.address()), "{text}");
    }
    assert!(!text.contains(&servers[2].address()), "{text}");
    assert!(text.contains("s ago, and kept out for another"), "{text}");
    assert_eq!(servers[0].keys(), Vec::<String>::new());
    eventually(PATIENCE, || servers[2].keys().is_empty()).await;
}

#[tokio::test]
async fn a_restarted_node_votes_again_after_the_delay() {
    let servers = Servers::start(3);
    let delay = Duration::from_millis(500);
    let manager = connect(servers.urls(), delay).await;
    let begun = Instant::now();
    restart([&servers[0], &servers[1]]).await;
    eventually_acquires(&manager, false).await;
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
}

/// The two restart after a lock was taken and, where that is asked for, extended.
async fn assert_kept_out_for_the_longest(acquired: Duration, extended: Option<Duration>) {
    let servers = Servers::start(3);
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let guard = manager.lock("k", acquired).acquire().await.unwrap();
    if let Some(ttl) = extended {
        guard.extend(ttl).await.unwrap();
    }
    guard.release().await.unwrap();
    let begun = Instant::now();
    restart([&servers[0], &servers[1]]).await;
    let end = begun + PATIENCE;
    let longest = extended.unwrap_or(acquired);
    while let Err(error) = manager.lock("k", longest / 2).try_acquire().await {
        assert!(error.is_unavailable() && Instant::now() < end, "{error}");
    }
    assert!(begun.elapsed() >= longest, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_an_option_the_delay_is_the_longest_ttl_that_was_used() {
    let ttl = Duration::from_secs(1);
    assert_kept_out_for_the_longest(ttl, None).await;
}

#[tokio::test]
async fn without_an_option_the_delay_counts_what_leases_were_extended_to() {
    let ttl = Duration::from_secs(1);
    assert_kept_out_for_the_longest(ttl, Some(2 * ttl)).await;
}

#[tokio::test]
async fn fenced_acquires_go_on_without_a_restarted_node_for_longer() {
    let servers = Servers::start(3);
    let manager = connect(servers.urls(), Duration::from_millis(1)).await;
    restart([&servers[0], &servers[1]]).await;
    eventually_acquires(&manager, false).await;
    let error = manager.lock("k", LONG).fenced().acquire().await;
    let error = error.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("fencing tokens"), "{error}");
}

#[tokio::test]
async fn a_delay_of_zero_counts_every_vote_at_once() {
    let servers = Servers::start(3);
    let manager = connect(servers.urls(), Duration::ZERO).await;
    restart([&servers[0], &servers[1]]).await;
    eventually_acquires(&manager, false).await;
    eventually_acquires(&manager, true).await;
}

#[tokio::test]
async fn a_node_that_restarted_with_its_data_is_kept_out_as_well() {
    let servers: Vec<_> = (0..3).map(|_| Server::start_persistent()).collect();
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    let manager = connect(urls.join(","), LONG).await;
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    for server in &servers[..2] {
        server.restart_with_data();
        eventually(PATIENCE, || server.client_count() > 0).await;
    }
    let error = manager.lock("other", LONG).acquire().await.unwrap_err();
    assert!(error.to_string().contains("restarted"), "{error}");
    // What is held is kept and given back there all the same.
    guard.extend(LONG).await.unwrap();
    guard.release().await.unwrap();
    eventually(PATIENCE, || servers.iter().all(|it| it.keys().is_empty())).await;
}

#[tokio::test]
async fn a_minority_that_forgot_a_lease_ends_it_not_and_a_majority_does() {
    let servers = Servers::start(3);
    let manager = connect(servers.urls(), LONG).await;
    all_answer(&manager).await;
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    eventually(PATIENCE, || servers.iter().all(|it| it.get("k").is_some())).await;
    restart([&servers[0]]).await;
    all_answer(&manager).await;
    guard.extend(LONG).await.unwrap();
    assert!(guard.is_held());
    restart([&servers[1]]).await;
    all_answer(&manager).await;
    let error = guard.extend(LONG).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
}

/// As after maintenance, or where a file of hosts is rewritten.
#[tokio::test]
async fn servers_whose_names_were_swapped_vote_again() {
    let servers = Servers::start(3);
    let (one, two) = (
        Proxy::start(servers[0].port()).await,
        Proxy::start(servers[1].port()).await,
    );
    let urls = format!("{},{},{}", one.url(), two.url(), servers[2].url());
    let manager = connect(urls, Duration::from_millis(100)).await;
    one.lead_to(servers[1].port());
    two.lead_to(servers[0].port());
    one.reset().await;
    two.reset().await;
    servers[2].kill();
    eventually_acquires(&manager, false).await;
    for server in [&servers[0], &servers[1]] {
        assert_eq!(server.client_count(), 1);
    }
}

#[tokio::test]
async fn an_address_that_leads_to_another_server_ends_every_lease_at_once() {
    let servers = Servers::start(2);
    let proxy = Proxy::start(servers[0].port()).await;
    let manager = LockManager::connect(proxy.url()).await.unwrap();
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    proxy.lead_to(servers[1].port());
    proxy.reset().await;
    let cause = timeout(PATIENCE, guard.lost()).await;
    assert_eq!(cause.unwrap(), LostCause::Taken);
    let _next = manager.lock("k", LONG).acquire().await.unwrap();
    assert!(servers[1].get("k").is_some());
}

#[tokio::test]
async fn a_server_that_was_replaced_without_a_word_is_noticed_by_the_next_renewal() {
    let servers = Servers::start(2);
    let proxy = Proxy::start(servers[0].port()).await;
    let builder = LockManager::builder().node(proxy.url());
    let builder = builder.response_timeout(Duration::from_millis(200));
    let manager = builder.build().await.unwrap();
    let request = manager.lock("k", Duration::from_secs(6)).max_hold(LONG);
    let guard = request.acquire().await.unwrap();
    // The connection stays open.
    servers[0].stop();
    proxy.lead_to(servers[1].port());
    let cause = timeout(PATIENCE, guard.lost()).await;
    assert_eq!(cause.unwrap(), LostCause::Taken);
}

#[tokio::test]
async fn a_single_server_that_restarts_ends_its_bodies_at_once() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let body = tokio::spawn({
        let request = manager.lock("k", LONG);
        async move { request.run(async |_| pending::<()>().await).await }
    });
    eventually(PATIENCE, || server.get("k").is_some()).await;
    server.restart();
    let outcome = timeout(PATIENCE, body).await.unwrap().unwrap();
    let error = outcome.unwrap_err();
    assert!(
        matches!(
            error,
            LockError::Lost {
                cause: LostCause::Taken,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_single_server_that_restarts_ends_every_lease_and_grants_new_ones() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let one = manager.lock("one", LONG).acquire().await.unwrap();
    let two = manager.lock("two", LONG).acquire().await.unwrap();
    server.restart();
    for guard in [&one, &two] {
        let cause = timeout(PATIENCE, guard.lost()).await;
        assert_eq!(cause.unwrap(), LostCause::Taken);
        assert!(!guard.is_held() && guard.remaining().is_zero());
    }
    let next = manager.lock("one", LONG).acquire().await.unwrap();
    assert!(next.is_held());
    // The old one takes nothing from the new.
    assert!(one.release().await.unwrap_err().is_lost());
    assert!(next.is_held() && server.get("one").is_some());
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_single_server_that_only_drops_its_connections_ends_no_lease() {
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    server.client_kill();
    // Connected anew, without anybody having asked for anything.
    eventually(PATIENCE, || server.client_count() > 0).await;
    assert!(guard.is_held());
    guard.release().await.unwrap();
}

#[tokio::test]
async fn without_pushes_a_restart_ends_leases_when_the_server_is_next_asked() {
    let server = Server::start_with(&["--rename-command", "HELLO", ""]);
    let manager = LockManager::connect(server.url()).await.unwrap();
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    server.restart();
    let next = manager.lock("other", LONG).acquire().await.unwrap();
    assert_eq!(guard.lost().await, LostCause::Taken);
    assert!(next.is_held());
}

/// A store in memory that has lost everything before its first grant arrives.
#[derive(Default)]
struct Forgetful {
    store: Memory,
    epochs: Epochs,
    acquires: AtomicUsize,
}

impl Backend for Forgetful {
    forward!(extend, release => |store| store.store);

    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        if self.acquires.fetch_add(1, Ordering::SeqCst) == 0 {
            self.epochs.end();
        }
        self.store.acquire(request)
    }

    fn epochs(&self) -> Option<Epochs> {
        Some(self.epochs.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_may_be_from_before_a_restart_is_given_back_and_asked_for_again() {
    let store = Arc::new(Forgetful::default());
    let manager = LockManager::new(Arc::clone(&store));
    let guard = manager.lock("k", LONG).try_acquire().await.unwrap();
    assert!(guard.is_held());
    assert_eq!(store.acquires.load(Ordering::SeqCst), 2);
    guard.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_store_that_has_lost_everything_end_at_once() {
    let store = Arc::new(Forgetful::default());
    let manager = LockManager::new(Arc::clone(&store));
    let guard = manager.lock("k", LONG).acquire().await.unwrap();
    let waiting = guard.lease().clone();
    let lost = tokio::spawn(async move { waiting.lost().await });
    tokio::task::yield_now().await;
    let before = Instant::now();
    store.epochs.end();
    assert!(!guard.is_held());
    assert_eq!(lost.await.unwrap(), LostCause::Taken);
    assert_eq!(before.elapsed(), Duration::ZERO);
}
