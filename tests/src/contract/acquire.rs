//! What an acquire owes.

use std::time::Duration;

use lockguard::{
    LockKey, OwnerToken,
    backend::{AcquireReply, ReleaseReply},
};
use tokio::time::Instant;

use super::fixture::{Fixture, LONG, PRECISION, fresh_key, fresh_token, is_held_by, key};

/// A ttl that is told from [`LONG`] by what is left of it.
const SHORTER: Duration = Duration::from_secs(10);

pub async fn acquire_grants_a_free_key(on: Fixture) {
    let (key, token) = (fresh_key(), fresh_token());
    assert_eq!(on.acquire(&key, &token, LONG).await, AcquireReply::Granted);
    on.assert_held(&key, &token).await;
}

pub async fn acquire_refuses_a_held_key(on: Fixture) {
    let key = fresh_key();
    on.take(&key, LONG).await;
    let reply = on.acquire(&key, &fresh_token(), LONG).await;
    assert!(matches!(reply, AcquireReply::Busy(_)), "{reply:?}");
}

pub async fn a_refused_acquire_leaves_the_holder_and_its_ttl_alone(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORTER).await;
    for _ in 0..3 {
        on.acquire(&key, &fresh_token(), LONG).await;
    }
    assert!(on.left_of(&key, &token).await <= SHORTER);
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
}

pub async fn acquire_repeated_by_the_holder_grants_again(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    for _ in 0..3 {
        assert_eq!(on.acquire(&key, &token, LONG).await, AcquireReply::Granted);
    }
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    on.assert_free(&key).await;
}

pub async fn acquire_repeated_by_the_holder_gives_no_longer_ttl(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORTER).await;
    assert_eq!(on.acquire(&key, &token, LONG).await, AcquireReply::Granted);
    assert!(on.left_of(&key, &token).await <= SHORTER);
}

pub async fn a_refused_token_holds_nothing(on: Fixture) {
    let (key, refused) = (fresh_key(), fresh_token());
    let token = on.take(&key, LONG).await;
    on.acquire(&key, &refused, LONG).await;
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    assert_eq!(on.release(&key, &refused).await, ReleaseReply::NotHeld);
    on.assert_free(&key).await;
}

pub async fn busy_names_the_holder(on: Fixture) {
    let (key, token) = (fresh_key(), OwnerToken::with_label("billing@host-1:42"));
    on.acquire(&key, &token, LONG).await;
    let holder = on.holder(&key).await.expect("a holder");
    assert!(is_held_by(&holder, &token), "{holder:?}");
    assert_eq!(holder.label(), Some("billing@host-1:42"));
}

pub async fn busy_tells_what_is_left_of_the_ttl(on: Fixture) {
    for ttl in [1_234, 29_999, 60_001].map(Duration::from_millis) {
        let key = fresh_key();
        let start = Instant::now();
        let token = on.take(&key, ttl).await;
        let left = on.left_of(&key, &token).await;
        let least = ttl.saturating_sub(start.elapsed() + PRECISION);
        assert!((least..=ttl).contains(&left), "{left:?} of {ttl:?}");
    }
}

pub async fn every_valid_key_is_a_lock_of_its_own(on: Fixture) {
    let keys: Vec<LockKey> = odd_keys().iter().map(key).collect();
    let mut tokens = Vec::new();
    for key in &keys {
        tokens.push(on.take(key, LONG).await);
    }
    for (key, token) in keys.iter().zip(&tokens) {
        on.assert_held(key, token).await;
        assert_eq!(on.release(key, token).await, ReleaseReply::Freed, "{key}");
        on.assert_free(key).await;
    }
}

pub async fn every_label_is_told_to_the_letter(on: Fixture) {
    let labels = ["", "a:b", "lg1:", "%s {0} $1", "Grüße", "日本", "a b\r\n"];
    for label in labels {
        let (key, token) = (fresh_key(), OwnerToken::with_label(label));
        on.acquire(&key, &token, LONG).await;
        let holder = on.holder(&key).await.expect("a holder");
        assert_eq!(holder.label(), Some(label));
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    }
}

/// Keys that a careless backend would change, split, or take for one another.
pub(crate) fn odd_keys() -> Vec<String> {
    let marks = "k K k: :k k:k {k} {k}:x k{ }k {} % %25 %s %% k* k? [k] \\ \\n ' \" $0 # | / ../k";
    let letters = "é e\u{301} ß 日本 🔒 k\u{200b}";
    let mut keys: Vec<_> = marks
        .split(' ')
        .chain(letters.split(' '))
        .map(str::to_owned)
        .collect();
    keys.push("x".repeat(LockKey::MAX_BYTES));
    keys.push("x".repeat(LockKey::MAX_BYTES - 1));
    keys.push("é".repeat(LockKey::MAX_BYTES / 2));
    keys
}
