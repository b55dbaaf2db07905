//! How long a key is held.

use std::time::Duration;

use lockguard::backend::{AcquireReply, ExtendReply, ReleaseReply};
use tokio::time::{Instant, sleep};

use super::fixture::{Fixture, LONG, PRECISION, SHORT, expired, fresh_key, fresh_token};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub async fn a_key_is_held_for_its_whole_ttl(on: Fixture) {
    let key = fresh_key();
    let start = Instant::now();
    on.take(&key, SHORT).await;
    while on.acquire(&key, &fresh_token(), LONG).await != AcquireReply::Granted {
        sleep(Duration::from_millis(1)).await;
    }
    let held = start.elapsed();
    assert!(held + PRECISION >= SHORT, "{held:?} of {SHORT:?}");
}

pub async fn a_key_is_free_after_its_ttl(on: Fixture) {
    let key = fresh_key();
    for _ in 0..2 {
        on.take(&key, SHORT).await;
        expired(Instant::now(), SHORT).await;
    }
    on.assert_free(&key).await;
}

pub async fn an_extended_key_outlives_its_first_ttl(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORT).await;
    let reply = on.extend(&key, &token, LONG).await;
    assert_eq!(reply, ExtendReply::Extended);
    expired(Instant::now(), SHORT).await;
    on.assert_held(&key, &token).await;
}

pub async fn a_ttl_of_a_day_is_kept(on: Fixture) {
    let key = fresh_key();
    let start = Instant::now();
    let token = on.take(&key, DAY).await;
    let left = on.left_of(&key, &token).await;
    let least = DAY.saturating_sub(start.elapsed() + PRECISION);
    assert!((least..=DAY).contains(&left), "{left:?}");
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
}
