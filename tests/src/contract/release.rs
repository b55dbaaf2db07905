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
