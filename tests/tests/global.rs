//! The managers that are registered once for the whole program.
//!
//! One test walks through the default manager, since a program has one.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::{sync::mpsc, thread, time::Duration};

use lockguard::{LockError, LockManager, log, manager, named, register, register_named, scope};
use lockguard_tests::{Warnings, hear};
use tracing::level_filters::LevelFilter;

const TTL: Duration = Duration::from_secs(2);

/// A manager that is told by its prefix.
async fn told_by(prefix: &str) -> LockManager {
    let builder = LockManager::builder().memory().prefix(prefix);
    builder.build().await.expect("a memory manager")
}

/// The key as the manager that is found stores it.
async fn stored_by(found: &LockManager) -> String {
    let guard = found.lock("k", TTL).acquire().await.expect("a free key");
    guard.keys().first().expect("one key").to_string()
}

#[tokio::test]
async fn the_default_manager_is_missing_then_found_registered_once_and_overridden_by_scopes() {
    let error = manager().unwrap_err().to_string();
    assert!(error.contains("lockguard::register("), "{error}");

    let warnings = Warnings::collect();
    let by_address = LockManager::builder().node("memory://").prefix("default:");
    register(by_address.build().await.unwrap()).unwrap();
    assert_eq!(warnings.containing("guards this process only").len(), 1);
    assert_eq!(stored_by(&manager().unwrap()).await, "default:k");

    let error = register(told_by("second:").await).unwrap_err();
    assert!(error.to_string().contains("registered already"), "{error}");
    assert_eq!(stored_by(&manager().unwrap()).await, "default:k");

    let inner = scope(told_by("inner:").await, async {
        stored_by(&manager().unwrap()).await
    });
    let outer = scope(told_by("outer:").await, async {
        let spawned = tokio::spawn(async { stored_by(&manager().unwrap()).await });
        let handed_on = scope(manager().unwrap(), async {
            stored_by(&manager().unwrap()).await
        });
        [
            stored_by(&manager().unwrap()).await,
            inner.await,
            spawned.await.unwrap(),
            tokio::spawn(handed_on).await.unwrap(),
        ]
    });
    assert_eq!(outer.await, ["outer:k", "inner:k", "default:k", "outer:k"]);
    assert_eq!(stored_by(&manager().unwrap()).await, "default:k");
}

#[tokio::test]
async fn a_named_manager_is_missing_with_the_line_to_write() {
    let error = named("nowhere").unwrap_err().to_string();
    assert!(error.contains("register_named(\"nowhere\""), "{error}");
}

#[tokio::test]
async fn a_name_is_registered_once_and_no_scope_overrides_it() {
    register_named("payments", told_by("payments:").await).unwrap();
    let error = register_named("payments", told_by("second:").await).unwrap_err();
    assert!(error.to_string().contains("`payments`"), "{error}");
    let found = scope(told_by("scope:").await, async {
        stored_by(&named("payments").unwrap()).await
    });
    assert_eq!(found.await, "payments:k");
}

#[tokio::test]
async fn who_hears_of_a_registration_may_look_up_a_manager() {
    // Which is a warning.
    let manager = LockManager::connect("memory://").await.unwrap();
    let (registered, is_registered) = mpsc::channel();
    thread::spawn(move || {
        let _heard = hear(LevelFilter::WARN, |_| assert!(named("nobody's").is_err()));
        registered.send(register_named("heard", manager)).unwrap();
    });
    let heard = is_registered.recv_timeout(Duration::from_secs(10));
    heard.expect("waits for itself").unwrap();
}

#[tokio::test]
async fn a_memory_address_that_is_registered_is_warned_of_once() {
    let warnings = Warnings::collect();
    let manager = LockManager::connect("memory://").await.unwrap();
    register_named("by address", manager.clone()).unwrap();
    register_named("by address again", manager).unwrap();
    assert_eq!(warnings.containing("guards this process only").len(), 1);
}

/// Whoever writes it into the program knows it.
#[tokio::test]
async fn a_memory_store_that_the_program_chose_is_not_warned_of() {
    let warnings = Warnings::collect();
    register_named("chosen", told_by("chosen:").await).unwrap();
    register_named("chosen too", LockManager::memory()).unwrap();
    assert!(warnings.containing("").is_empty(), "{warnings:?}");
}

#[test]
fn what_is_logged_of_a_busy_lock_or_a_drain_is_no_warning_and_of_any_other_it_is() {
    let warnings = Warnings::collect();
    log(LockError::busy("k", TTL));
    // Each job that begins while a replica is told to stop.
    log(LockError::draining("k"));
    assert!(warnings.containing("").is_empty(), "{warnings:?}");
    log(LockError::unavailable("k", []));
    assert_eq!(warnings.containing("too few servers answered").len(), 1);
}
