//! Futures that are dropped.

use std::{sync::Arc, time::Duration};

use lockguard::backend::{AcquireReply, ReleaseReply};
use tokio::time::timeout;

use super::fixture::{Fixture, LONG, fresh_key, fresh_token};

/// From before the request was written to after the reply was read.
fn moments() -> impl Iterator<Item = Option<Duration>> {
    let never_polled = [None, None];
    let after_a_while = (0..30).map(|nth| Some(Duration::from_micros(nth * 40)));
    never_polled.into_iter().chain(after_a_while)
}

/// Drops the future at this moment, or before its first poll.
async fn abandon(future: impl Future, moment: Option<Duration>) {
    match moment {
        None => drop(future),
        Some(after) => drop(timeout(after, future).await),
    }
}

pub async fn release_after_a_dropped_acquire_leaves_nothing(on: Fixture) {
    for moment in moments() {
        let (key, token) = (fresh_key(), fresh_token());
        abandon(on.acquiring(&key, &token, LONG), moment).await;
        let reply = on.release(&key, &token).await;
        assert_ne!(reply, ReleaseReply::NotOwner, "dropped after {moment:?}");
        on.assert_free(&key).await;
    }
}

pub async fn release_after_a_dropped_extend_leaves_nothing(on: Fixture) {
    for moment in moments() {
        let key = fresh_key();
        let token = on.take(&key, LONG).await;
        abandon(on.extending(&key, &token, LONG), moment).await;
        let reply = on.release(&key, &token).await;
        assert_eq!(reply, ReleaseReply::Freed, "dropped after {moment:?}");
        on.assert_free(&key).await;
    }
}

pub async fn a_dropped_release_can_be_repeated(on: Fixture) {
    for moment in moments() {
        let key = fresh_key();
        let token = on.take(&key, LONG).await;
        abandon(on.releasing(&key, &token), moment).await;
        let reply = on.release(&key, &token).await;
        assert_ne!(reply, ReleaseReply::NotOwner, "dropped after {moment:?}");
        on.assert_free(&key).await;
    }
}

pub async fn futures_own_what_they_need(on: Fixture) {
    let acquiring = on.acquiring(&fresh_key(), &fresh_token(), LONG);
    let Fixture { backend, keepalive } = on;
    assert_eq!(Arc::strong_count(&backend), 1, "another handle is left");
    drop(backend);
    let reply = acquiring.await.expect("an answer to an acquire");
    assert_eq!(reply, AcquireReply::Granted);
    drop(keepalive);
}
