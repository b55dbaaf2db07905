//! What is measured, and that the page on it names what there is.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    collections::BTreeSet, fs, future::pending, path::Path, sync::mpsc, thread, time::Duration,
};

use lockguard::{
    LockError, LockManager, OnLost, RetryPolicy, distributed_lock,
    metrics::{
        ACQUIRE_SECONDS, BODY_GAP_SECONDS, BODY_POLL_SECONDS, FINISHED_LATE_TOTAL, HOLD_SECONDS,
        LOST_TOTAL, NODE_UP, RELEASES_OWED, RELEASES_PENDING, VALIDITY_USED_RATIO,
    },
};
use lockguard_tests::{Measured, Scripted, Server, Servers, Step, eventually};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};

const TTL: Duration = Duration::from_secs(2);

/// The ttl less the drift margin: 1 % of it and 2 ms.
const LIFETIME: Duration = Duration::from_millis(1978);

const MILLISECOND: f64 = 0.001;

/// Longer than this takes only a machine that cannot be helped.
const PATIENCE: Duration = Duration::from_secs(10);

fn is_about(value: f64, expected: Duration) -> bool {
    (value - expected.as_secs_f64()).abs() <= 2.0 * MILLISECOND
}

#[tokio::test(start_paused = true)]
async fn an_acquire_is_timed_by_point_and_outcome() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let wait = Duration::from_millis(300);
    let request = manager.lock("k", TTL).named("p").wait(wait);
    let held = request.clone().acquire().await.unwrap();
    assert!(request.acquire().await.unwrap_err().is_busy());
    let acquired = [("point", "p"), ("outcome", "acquired")];
    assert!(is_about(
        measured.value(ACQUIRE_SECONDS, acquired),
        Duration::ZERO
    ));
    let busy = [("point", "p"), ("outcome", "busy")];
    assert!(is_about(measured.value(ACQUIRE_SECONDS, busy), wait));
    held.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_acquire_without_answers_is_unavailable_and_not_busy() {
    let measured = Measured::default();
    let _recording = measured.record();
    let node = Scripted::new();
    node.on_every_acquire(Step::fail());
    let manager = LockManager::new(node);
    manager
        .lock("k", TTL)
        .named("p")
        .acquire()
        .await
        .unwrap_err();
    let unavailable = [("point", "p"), ("outcome", "unavailable")];
    assert_eq!(measured.values(ACQUIRE_SECONDS, unavailable).len(), 1);
    let busy = [("point", "p"), ("outcome", "busy")];
    assert_eq!(measured.values(ACQUIRE_SECONDS, busy).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_acquire_whose_caller_leaves_is_cancelled() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let _held = manager.lock("k", TTL).acquire().await.unwrap();
    let patience = Duration::from_millis(200);
    let left = timeout(patience, manager.lock("k", TTL).named("p").acquire()).await;
    assert!(left.is_err());
    let cancelled = [("point", "p"), ("outcome", "cancelled")];
    assert!(is_about(
        measured.value(ACQUIRE_SECONDS, cancelled),
        patience
    ));
}

#[distributed_lock(key = "own", ttl = "2s", name = "outer")]
async fn outer() -> Result<(), LockError> {
    inner().await
}

#[distributed_lock(key = "own", ttl = "2s", name = "inner")]
async fn inner() -> Result<(), LockError> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reentrant_acquire_is_counted_at_its_own_point() {
    let measured = Measured::default();
    let _recording = measured.record();
    let reentered = lockguard::scope(LockManager::memory(), outer()).await;
    assert!(matches!(reentered, Err(LockError::Reentrant { .. })));
    let reentrant = [("point", "inner"), ("outcome", "reentrant")];
    assert_eq!(measured.values(ACQUIRE_SECONDS, reentrant).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_counted_as_invalid() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    manager
        .lock("no key", TTL)
        .named("p")
        .acquire()
        .await
        .unwrap_err();
    let short = Duration::from_millis(1);
    manager
        .lock("k", short)
        .named("p")
        .acquire()
        .await
        .unwrap_err();
    let invalid = [("point", "p"), ("outcome", "invalid")];
    assert_eq!(measured.values(ACQUIRE_SECONDS, invalid).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_acquire_by_key_and_token_is_timed_too() {
    let measured = Measured::default();
    let _recording = measured.record();
    let retry = RetryPolicy::tries(1);
    let manager = LockManager::builder().memory().retry(retry);
    let manager = manager.build().await.unwrap();
    manager.acquire("k", TTL).await.unwrap();
    manager.acquire("k", TTL).await.unwrap_err();
    manager.acquire("no key", TTL).await.unwrap_err();
    for outcome in ["acquired", "busy", "invalid"] {
        let labels = [("point", "LockManager::acquire"), ("outcome", outcome)];
        assert_eq!(
            measured.values(ACQUIRE_SECONDS, labels).len(),
            1,
            "{outcome}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_in_the_source_is_a_point_by_its_file_and_line() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let mut points = Vec::new();
    for _ in 0..2 {
        points.push(format!("{}:{}", file!(), line!() + 1));
        manager.lock("k", TTL).run(async |_| {}).await.unwrap();
    }
    assert_eq!(
        measured.values(HOLD_SECONDS, [("point", &points[0])]).len(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_tells_how_long_it_was_held_and_how_much_of_it_was_used() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("p");
    request
        .run(async |_| sleep(LIFETIME / 2).await)
        .await
        .unwrap();
    assert!(is_about(
        measured.value(HOLD_SECONDS, [("point", "p")]),
        LIFETIME / 2
    ));
    let used = measured.value(VALIDITY_USED_RATIO, [("point", "p")]);
    assert!((used - 0.5).abs() < MILLISECOND, "{used}");
}

#[tokio::test(start_paused = true)]
async fn an_extension_begins_a_new_validity() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).named("p").acquire().await.unwrap();
    sleep(LIFETIME / 2).await;
    guard.extend(TTL).await.unwrap();
    sleep(LIFETIME / 4).await;
    guard.release().await.unwrap();
    let used = measured.value(VALIDITY_USED_RATIO, [("point", "p")]);
    assert!((used - 0.25).abs() < 2.0 * MILLISECOND, "{used}");
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_has_used_its_share_of_max_hold() {
    let measured = Measured::default();
    let _recording = measured.record();
    // Renewed by the manager's task, as on servers.
    let manager = LockManager::new(Scripted::new());
    let request = manager.lock("k", TTL).named("p").max_hold(10 * TTL);
    request.run(async |_| sleep(9 * TTL).await).await.unwrap();
    let used = measured.value(VALIDITY_USED_RATIO, [("point", "p")]);
    assert!((used - 0.9).abs() < MILLISECOND, "{used}");

    // Renewed in advance.
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("q").max_hold(10 * TTL);
    request.run(async |_| sleep(9 * TTL).await).await.unwrap();
    let used = measured.value(VALIDITY_USED_RATIO, [("point", "q")]);
    assert!((used - 0.9).abs() < MILLISECOND, "{used}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_counted_once_by_its_cause() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("p");
    let lost = request.clone().run(async |_| pending::<()>().await).await;
    assert!(lost.unwrap_err().is_lost());
    let expired = [("point", "p"), ("cause", "expired")];
    assert!((measured.value(LOST_TOTAL, expired) - 1.0).abs() < f64::EPSILON);
    let used = measured.value(VALIDITY_USED_RATIO, [("point", "p")]);
    assert!(used >= 1.0, "{used}");

    let held_too_long = request
        .max_hold(2 * TTL)
        .run(async |_| pending::<()>().await);
    assert!(held_too_long.await.unwrap_err().is_lost());
    let max_hold = [("point", "p"), ("cause", "max_hold")];
    assert!((measured.value(LOST_TOTAL, max_hold) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_a_body_outlives_is_counted_when_it_comes() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("p").on_lost(OnLost::Finish);
    let body = request.run(async |_| {
        sleep(TTL).await;
        measured.value(LOST_TOTAL, [("point", "p"), ("cause", "expired")])
    });
    let counted = body.await.unwrap();
    assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_dropped_after_its_deadline_is_a_loss() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).named("p").acquire().await.unwrap();
    sleep(TTL).await;
    drop(guard);
    let expired = [("point", "p"), ("cause", "expired")];
    assert!((measured.value(LOST_TOTAL, expired) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_a_drain_gives_back_after_its_deadline_is_a_loss() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).named("p").acquire().await.unwrap();
    sleep(TTL).await;
    manager.drain(TTL).await;
    drop(guard);
    let expired = [("point", "p"), ("cause", "expired")];
    assert!((measured.value(LOST_TOTAL, expired) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_the_release_finds_gone_before_its_time_is_a_loss() {
    let measured = Measured::default();
    let _recording = measured.record();
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).named("p").acquire().await.unwrap();
    node.lose_data();
    guard.release().await.unwrap_err();
    let taken = [("point", "p"), ("cause", "taken")];
    assert!((measured.value(LOST_TOTAL, taken) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn leases_that_the_restart_of_the_only_server_ends_are_losses() {
    let measured = Measured::default();
    let _recording = measured.record();
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let request = |key| manager.lock(key, 100 * TTL).named("p").acquire();
    let looked_at = request("one").await.unwrap();
    let released = request("two").await.unwrap();
    server.restart();
    timeout(PATIENCE, looked_at.lost()).await.unwrap();
    assert!(!looked_at.is_held());
    for guard in [looked_at, released] {
        assert!(guard.release().await.unwrap_err().is_lost());
    }
    let taken = [("point", "p"), ("cause", "taken")];
    assert!((measured.value(LOST_TOTAL, taken) - 2.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_in_time_is_no_loss() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    manager
        .lock("k", TTL)
        .named("p")
        .run(async |_| {})
        .await
        .unwrap();
    drop(manager.lock("k", TTL).named("p").acquire().await.unwrap());
    for cause in ["expired", "taken", "max_hold", "drained"] {
        let labels = [("point", "p"), ("cause", cause)];
        assert_eq!(measured.values(LOST_TOTAL, labels).len(), 0, "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_counts_a_loss_may_look_at_the_lease() {
    let measured = Measured::default();
    let manager = LockManager::memory();
    let guard = manager.lock("k", TTL).named("p").acquire().await.unwrap();
    let (lease, (seen, looks)) = (guard.lease().clone(), mpsc::channel());
    measured.whenever(move || {
        let _ = seen.send(lease.is_held());
    });
    let _recording = measured.record();
    assert_eq!(manager.drain(TTL).await.released(), 1);
    let lost = [("point", "p"), ("cause", "drained")];
    assert_eq!(measured.values(LOST_TOTAL, lost).len(), 1);
    let looks: Vec<bool> = looks.try_iter().collect();
    assert!(!looks.is_empty() && !looks.contains(&true), "{looks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_finishes_late_is_counted() {
    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("p").on_lost(OnLost::Finish);
    request.run(async |_| sleep(2 * TTL).await).await.unwrap();
    let late = measured.value(FINISHED_LATE_TOTAL, [("point", "p")]);
    assert!((late - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn the_longest_poll_of_a_body_is_what_it_blocked() {
    const BLOCKED: Duration = Duration::from_millis(60);

    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let body = async |_| {
        yield_now().await;
        thread::sleep(BLOCKED);
        yield_now().await;
    };
    let request = manager.lock("k", 10 * TTL).named("p");
    request.run(body).await.unwrap();
    let poll = measured.value(BODY_POLL_SECONDS, [("point", "p")]);
    assert!(poll >= BLOCKED.as_secs_f64(), "{poll}");
    let gap = measured.value(BODY_GAP_SECONDS, [("point", "p")]);
    assert!(gap >= poll, "{gap}");
}

#[tokio::test(start_paused = true)]
async fn the_longest_gap_of_a_body_is_what_it_waited_for_and_no_poll() {
    const IDLE: Duration = Duration::from_millis(200);

    let measured = Measured::default();
    let _recording = measured.record();
    let manager = LockManager::memory();
    let body = async |_| {
        sleep(IDLE / 2).await;
        sleep(IDLE).await;
        sleep(IDLE / 4).await;
    };
    let request = manager.lock("k", 10 * TTL).named("p");
    request.run(body).await.unwrap();
    assert!(is_about(
        measured.value(BODY_GAP_SECONDS, [("point", "p")]),
        IDLE
    ));
    let poll = measured.value(BODY_POLL_SECONDS, [("point", "p")]);
    assert!(is_about(poll, Duration::ZERO), "{poll}");
}

#[tokio::test(start_paused = true)]
async fn releases_are_pending_until_they_are_answered() {
    let measured = Measured::default();
    let _recording = measured.record();
    let node = Scripted::new();
    let delay = Duration::from_millis(100);
    node.on_every_release(Step::pass().after(delay));
    let manager = LockManager::new(node);
    drop(manager.lock("k", TTL).acquire().await.unwrap());
    assert!((measured.value(RELEASES_PENDING, []) - 1.0).abs() < f64::EPSILON);
    sleep(2 * delay).await;
    assert!(measured.value(RELEASES_PENDING, []).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_node_is_up_while_it_answers_and_is_owed_releases_while_it_does_not() {
    let measured = Measured::default();
    let _recording = measured.record();
    let servers = Servers::start(3);
    let builder = LockManager::builder().nodes(servers.iter().map(Server::url));
    let builder = builder.response_timeout(Duration::from_millis(300));
    let manager = builder.build().await.unwrap();
    let address = servers[0].address();
    let node = [("node", &*address)];
    let is = |metric, value: f64| {
        let last = measured.values(metric, node).last().copied();
        last.is_some_and(|last| (last - value).abs() < f64::EPSILON)
    };
    eventually(PATIENCE, || is(NODE_UP, 1.0)).await;

    let held = manager.lock("k", 10 * TTL).acquire().await.unwrap();
    servers[0].stop();
    // What is not answered shows it.
    let shown = manager.lock("shows", 10 * TTL).acquire().await.unwrap();
    eventually(PATIENCE, || is(NODE_UP, 0.0)).await;
    held.release().await.unwrap();
    eventually(PATIENCE, || is(RELEASES_OWED, 1.0)).await;

    servers[0].cont();
    eventually(PATIENCE, || is(NODE_UP, 1.0) && is(RELEASES_OWED, 0.0)).await;
    eventually(PATIENCE, || servers[0].get("k").is_none()).await;
    shown.release().await.unwrap();
}

#[tokio::test]
async fn no_label_holds_a_key() {
    let measured = Measured::default();
    let _recording = measured.record();
    let server = Server::start();
    let manager = LockManager::connect(server.url()).await.unwrap();
    let secret = manager.lock("secret:17", TTL).named("p");
    secret
        .clone()
        .run(async |_| sleep(TTL / 20).await)
        .await
        .unwrap();
    let _held = secret.clone().acquire().await.unwrap();
    secret.try_acquire().await.unwrap_err();
    let all = format!("{measured:?}");
    assert!(all.contains("lockguard_hold_seconds"), "{all}");
    assert!(!all.contains("secret"), "{all}");
}

/// The page that lists the metrics, and its rules.
fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("lockguard/src/metrics.md")).unwrap()
}

#[test]
fn the_page_lists_every_metric_with_its_type() {
    let measured = Measured::default();
    let _recording = measured.record();
    lockguard::metrics::describe();
    let listed: BTreeSet<_> = page()
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| `lockguard_")?.split_once("` | ")?;
            let (kind, _) = rest.split_once(" |")?;
            Some((format!("lockguard_{name}"), kind.to_owned()))
        })
        .collect();
    let described = measured.descriptions().into_iter();
    let described = described.map(|(name, description)| (name, description.kind.to_owned()));
    assert_eq!(listed, described.collect());
}

#[test]
fn the_alerts_name_metrics_that_there_are() {
    let measured = Measured::default();
    let _recording = measured.record();
    lockguard::metrics::describe();
    let descriptions = measured.descriptions();
    let page = page();
    let rules = page.split("```").nth(1).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut named = 0;
    for word in words.filter(|word| word.starts_with("lockguard_")) {
        named += 1;
        let of_histogram = ["_bucket", "_count", "_sum"];
        let name = of_histogram
            .iter()
            .find_map(|suffix| word.strip_suffix(suffix));
        let is_there = match name {
            Some(name) => descriptions
                .get(name)
                .is_some_and(|it| it.kind == "histogram"),
            None => descriptions
                .get(word)
                .is_some_and(|it| it.kind != "histogram"),
        };
        assert!(is_there, "a rule names {word}");
    }
    assert!(named >= 5, "{named} metrics are named");
}
