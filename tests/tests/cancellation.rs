//! The cancellation matrix: every operation, dropped while each of its steps
//! succeeds, fails, is slow, or never answers.
//!
//! On the paused clock, over one scripted node and over three.

use std::time::Duration;

use lockguard::{
    LockKey, LockManager, OwnerToken,
    backend::{AcquireReply, Backend as _, ExtendRequest, ReleaseReply},
};
use lockguard_tests::{Scripted, Step, redlock_over};
use tokio::time::{sleep, timeout};

const TTL: Duration = Duration::from_secs(600);

/// Longer than any bound of the library, and much shorter than the ttl.
const SETTLED: Duration = Duration::from_secs(60);

const SLOW: Duration = Duration::from_millis(40);

/// Where the operation is dropped: at once, during a slow step, after it, and
/// after the longest bound.
const INSTANTS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(130),
    Duration::from_secs(5),
];

fn manager_over(nodes: &[Scripted]) -> LockManager {
    match nodes {
        [only] => LockManager::new(only.clone()),
        several => LockManager::new(redlock_over(several.to_vec())),
    }
}

/// The ways a step goes wrong or right; each takes effect or does not.
fn steps<R: Clone>() -> Vec<(&'static str, Step<R>)> {
    vec![
        ("ok", Step::pass()),
        ("slow", Step::pass().after(SLOW)),
        ("slow reply", Step::pass().answering_after(SLOW)),
        ("error", Step::fail()),
        ("error after it took effect", Step::fail().applied()),
        ("never", Step::never()),
        ("never, after it took effect", Step::never().applied()),
    ]
}

/// After everything has settled the key is free on every node.
async fn nothing_is_left(nodes: &[Scripted], what: &str) {
    sleep(SETTLED).await;
    for (nth, node) in nodes.iter().enumerate() {
        let direct = LockManager::new(node.memory());
        let free = direct.lock("k", TTL).try_acquire().await;
        assert!(free.is_ok(), "{what}: left on node {nth}: {free:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_acquire_dropped_at_any_step_leaves_nothing() {
    for count in [1, 3] {
        for (name, step) in steps::<AcquireReply>() {
            for first_only in [true, false] {
                for instant in INSTANTS {
                    let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
                    for node in nodes.iter().take(if first_only { 1 } else { count }) {
                        node.on_acquire([step.clone()]);
                    }
                    let manager = manager_over(&nodes);
                    let acquire = manager.lock("k", TTL).acquire();
                    let result = timeout(instant, acquire).await;
                    let what =
                        format!("{name} on {count} nodes, dropped at {instant:?}: {result:?}");
                    drop(result);
                    nothing_is_left(&nodes, &what).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_while_its_lock_is_taken_or_held_leaves_nothing() {
    for count in [1, 3] {
        for (name, step) in steps::<AcquireReply>() {
            for instant in INSTANTS {
                let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
                nodes[0].on_acquire([step.clone()]);
                let manager = manager_over(&nodes);
                let run = manager.lock("k", TTL).run(async |_| sleep(TTL).await);
                assert!(timeout(instant, run).await.is_err() || count == 1);
                let what = format!("{name} on {count} nodes, dropped at {instant:?}");
                nothing_is_left(&nodes, &what).await;
            }
        }
    }
}

/// A release that a node never carries out leaves the key to its ttl, on that
/// node only.
#[tokio::test(start_paused = true)]
async fn a_release_dropped_at_any_step_goes_on() {
    for count in [1, 3] {
        for (name, step) in steps::<ReleaseReply>() {
            if ["error", "never"].contains(&name) {
                continue;
            }
            for instant in INSTANTS {
                let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
                for node in &nodes {
                    node.on_release([step.clone()]);
                }
                let manager = manager_over(&nodes);
                let guard = manager.lock("k", TTL).acquire().await.unwrap();
                let _ = timeout(instant, guard.release()).await;
                let what = format!("{name} on {count} nodes, dropped at {instant:?}");
                nothing_is_left(&nodes, &what).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_ends_within_its_bound() {
    for count in [1, 3] {
        let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
        for node in &nodes {
            node.on_every_acquire(Step::never());
        }
        let ttl = Duration::from_secs(2);
        let manager = manager_over(&nodes);
        let acquire = manager.lock("k", ttl).wait(TTL).acquire();
        let error = timeout(ttl, acquire).await.unwrap().unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
}

/// A later answer would come after the end of the shorter lease.
#[tokio::test(start_paused = true)]
async fn extends_that_are_never_answered_end_within_the_bound_of_the_shortest() {
    let nodes = [(); 3].map(|()| Scripted::new());
    for node in &nodes {
        node.on_every_extend(Step::never());
    }
    let ttl = Duration::from_secs(2);
    let extend = |name: &str, ttl| {
        let key = LockKey::new(name).unwrap();
        ExtendRequest::new(key, OwnerToken::with_label(""), ttl)
    };
    let requests = vec![extend("a", TTL), extend("b", ttl)];
    let replies = redlock_over(nodes).extend(requests);
    let replies = timeout(ttl / 4 + Duration::from_millis(1), replies).await;
    assert!(replies.unwrap().iter().all(Result::is_err));
}

/// By token, where nobody knows the ttl.
#[tokio::test(start_paused = true)]
async fn a_release_by_token_that_is_never_answered_ends_within_a_second() {
    for count in [1, 3] {
        let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
        let manager = manager_over(&nodes);
        let token = manager.acquire("k", TTL).await.unwrap();
        for node in &nodes {
            node.on_every_release(Step::never());
        }
        let release = manager.release("k", &token);
        let released = timeout(Duration::from_millis(1001), release).await;
        assert!(released.unwrap().unwrap_err().is_unavailable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_never_answered_delays_the_value_by_one_budget() {
    for count in [1, 3] {
        let nodes: Vec<_> = (0..count).map(|_| Scripted::new()).collect();
        for node in &nodes {
            node.on_every_release(Step::never());
        }
        let ttl = Duration::from_secs(2);
        let run = manager_over(&nodes).lock("k", ttl).run(async |_| 7);
        let budget = ttl / 4;
        let value = timeout(budget + Duration::from_millis(1), run).await;
        assert_eq!(value.unwrap().unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_an_owner_token_of_its_own() {
    let node = Scripted::new();
    node.on_acquire([
        Step::reply(AcquireReply::Split),
        Step::reply(AcquireReply::Split),
        Step::pass(),
    ]);
    let manager = LockManager::new(node.clone());
    let guard = manager.lock("k", TTL).try_acquire().await.unwrap();
    let tokens: std::collections::HashSet<_> = node
        .calls()
        .into_iter()
        .map(|call| call.token.expose().to_owned())
        .collect();
    assert_eq!(tokens.len(), 3);
    guard.release().await.unwrap();
}
