//! What a release owes.

use std::time::Duration;

use lockguard::backend::ReleaseReply;
use tokio::time::Instant;

use super::fixture::{Fixture, LONG, PRECISION, SHORT, expired, fresh_key, fresh_token};

pub async fn release_frees_the_key(on: Fixture) {
    let key = fresh_key();
    for _ in 0..10 {
        let token = on.take(&key, LONG).await;
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    }
    on.assert_free(&key).await;
}

pub async fn release_with_anothers_token_leaves_the_lock(on: Fixture) {
    let key = fresh_key();
    let start = Instant::now();
    let token = on.take(&key, LONG).await;
    let reply = on.release(&key, &fresh_token()).await;
    assert_eq!(reply, ReleaseReply::NotOwner);
    let left = on.left_of(&key, &token).await;
    let least = LONG.saturating_sub(start.elapsed() + PRECISION);
    assert!((least..=LONG).contains(&left), "{left:?} of {LONG:?}");
}

pub async fn release_of_a_free_key_is_not_held(on: Fixture) {
    let reply = on.release(&fresh_key(), &fresh_token()).await;
    assert_eq!(reply, ReleaseReply::NotHeld);
}

pub async fn a_second_release_is_not_held(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    assert_eq!(on.release(&key, &token).await, ReleaseReply::NotHeld);
}

pub async fn release_after_expiry_is_not_held(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORT).await;
    expired(Instant::now(), SHORT).await;
    assert_eq!(on.release(&key, &token).await, ReleaseReply::NotHeld);
}

pub async fn release_after_expiry_leaves_the_next_owner(on: Fixture) {
    let key = fresh_key();
    let late = on.take(&key, SHORT).await;
    expired(Instant::now(), SHORT).await;
    let next = on.take(&key, LONG).await;
    assert_eq!(on.release(&key, &late).await, ReleaseReply::NotOwner);
    assert!(on.left_of(&key, &next).await > Duration::ZERO);
}

pub async fn release_keeping_a_rest_holds_the_key_for_it_and_not_longer(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    let start = Instant::now();
    let reply = on.release_keeping(&key, &token, SHORT).await;
    assert_eq!(reply, ReleaseReply::Freed);
    let answered = Instant::now();
    let holder = on.holder(&key).await;
    if start.elapsed() + PRECISION < SHORT {
        let holder = holder.expect("a key that is kept");
        let left = holder.expires_in().expect("a key with an expiry");
        assert!(left <= SHORT + PRECISION, "{left:?} of {SHORT:?}");
    }
    expired(answered, SHORT).await;
    on.assert_free(&key).await;
}

pub async fn release_keeping_a_rest_never_lengthens_a_ttl(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORT).await;
    let granted = Instant::now();
    let reply = on.release_keeping(&key, &token, LONG).await;
    assert_eq!(reply, ReleaseReply::Freed);
    expired(granted, SHORT).await;
    on.assert_free(&key).await;
}

pub async fn release_keeping_a_rest_with_anothers_token_leaves_the_lock(on: Fixture) {
    let key = fresh_key();
    let start = Instant::now();
    let token = on.take(&key, LONG).await;
    let reply = on.release_keeping(&key, &fresh_token(), SHORT).await;
    assert_eq!(reply, ReleaseReply::NotOwner);
    let left = on.left_of(&key, &token).await;
    let least = LONG.saturating_sub(start.elapsed() + PRECISION);
    assert!((least..=LONG).contains(&left), "{left:?} of {LONG:?}");
}

pub async fn release_keeping_a_rest_twice_is_the_same(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    let rest = LONG / 2;
    for _ in 0..2 {
        let reply = on.release_keeping(&key, &token, rest).await;
        assert_eq!(reply, ReleaseReply::Freed);
    }
    let left = on.left_of(&key, &token).await;
    assert!(left <= rest + PRECISION, "{left:?} of {rest:?}");
    // What is kept can still be freed by its owner, and by nobody else.
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    on.assert_free(&key).await;
}

pub async fn release_keeping_a_rest_of_a_free_key_is_not_held(on: Fixture) {
    let key = fresh_key();
    let reply = on.release_keeping(&key, &fresh_token(), SHORT).await;
    assert_eq!(reply, ReleaseReply::NotHeld);
    on.assert_free(&key).await;
}
