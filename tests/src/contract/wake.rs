//! Waiters, where the backend can tell when a key is given back.

use std::{pin::Pin, time::Duration};

use lockguard::backend::ReleaseReply;
use tokio::time::timeout;

use super::fixture::{Fixture, LONG, SOON, fresh_key};

pub async fn a_release_wakes_a_waiter(on: Fixture) {
    let key = fresh_key();
    for _ in 0..10 {
        let token = on.take(&key, LONG).await;
        let Some(mut freed) = on.backend.freed(&key) else {
            return;
        };
        look(freed.as_mut()).await;
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
        timeout(SOON, freed).await.expect("a wake");
    }
}

pub async fn a_waiter_that_left_takes_no_wake_along(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    let Some((mut left, mut stayed)) = on.backend.freed(&key).zip(on.backend.freed(&key)) else {
        return;
    };
    look(left.as_mut()).await;
    look(stayed.as_mut()).await;
    drop(left);
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    timeout(SOON, stayed).await.expect("a wake");
}

/// Polls once, as a waiter that goes to sleep does.
async fn look(freed: Pin<&mut (dyn Future<Output = ()> + Send)>) {
    let _ = timeout(Duration::ZERO, freed).await;
}
