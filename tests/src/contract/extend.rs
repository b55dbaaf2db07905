//! What an extend owes.

use std::time::Duration;

use lockguard::backend::{AcquireReply, ExtendReply, ExtendRequest, ReleaseReply};
use tokio::time::Instant;

use super::fixture::{Fixture, LONG, PRECISION, SHORT, expired, fresh_key, fresh_token};

/// A ttl that is told from [`LONG`] by what is left of it.
const SHORTER: Duration = Duration::from_secs(10);

pub async fn extend_lengthens_a_lease(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORTER).await;
    let start = Instant::now();
    assert_eq!(on.extend(&key, &token, LONG).await, ExtendReply::Extended);
    let left = on.left_of(&key, &token).await;
    let least = LONG.saturating_sub(start.elapsed() + PRECISION);
    assert!((least..=LONG).contains(&left), "{left:?} of {LONG:?}");
}

pub async fn extend_never_shortens_a_ttl(on: Fixture) {
    let key = fresh_key();
    let start = Instant::now();
    let token = on.take(&key, LONG).await;
    let reply = on.extend(&key, &token, SHORTER).await;
    assert_eq!(reply, ExtendReply::Extended);
    let left = on.left_of(&key, &token).await;
    let least = LONG.saturating_sub(start.elapsed() + PRECISION);
    assert!(left >= least, "{left:?} of {LONG:?}");
}

pub async fn extend_never_creates_a_key(on: Fixture) {
    let (key, token) = (fresh_key(), fresh_token());
    assert_eq!(on.extend(&key, &token, LONG).await, ExtendReply::NotHeld);
    on.assert_free(&key).await;
}

pub async fn extend_after_expiry_revives_nothing(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORT).await;
    expired(Instant::now(), SHORT).await;
    assert_eq!(on.extend(&key, &token, LONG).await, ExtendReply::NotHeld);
    on.assert_free(&key).await;
}

pub async fn extend_with_anothers_token_changes_nothing(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, SHORTER).await;
    let reply = on.extend(&key, &fresh_token(), LONG).await;
    assert_eq!(reply, ExtendReply::NotOwner);
    assert!(on.left_of(&key, &token).await <= SHORTER);
}

pub async fn extend_to_another_token_hands_the_key_over(on: Fixture) {
    let key = fresh_key();
    let former = on.take(&key, SHORTER).await;
    let successor = fresh_token();
    let start = Instant::now();
    let reply = on.hand_on(&key, &former, &successor, LONG).await;
    assert_eq!(reply, ExtendReply::Extended);
    let left = on.left_of(&key, &successor).await;
    let least = LONG.saturating_sub(start.elapsed() + PRECISION);
    assert!((least..=LONG).contains(&left), "{left:?} of {LONG:?}");
    assert_eq!(on.extend(&key, &former, LONG).await, ExtendReply::NotOwner);
    assert_eq!(on.release(&key, &former).await, ReleaseReply::NotOwner);
    assert_eq!(on.release(&key, &successor).await, ReleaseReply::Freed);
}

pub async fn extend_to_another_token_is_extended_again_when_repeated(on: Fixture) {
    let key = fresh_key();
    let former = on.take(&key, LONG).await;
    let (successor, rival) = (fresh_token(), fresh_token());
    for _ in 0..2 {
        let reply = on.hand_on(&key, &former, &successor, SHORTER).await;
        assert_eq!(reply, ExtendReply::Extended);
    }
    assert!(on.left_of(&key, &successor).await > SHORTER);
    let reply = on.hand_on(&key, &former, &rival, LONG).await;
    assert_eq!(reply, ExtendReply::NotOwner);
    assert_eq!(on.release(&key, &successor).await, ReleaseReply::Freed);
    let reply = on.hand_on(&key, &successor, &rival, LONG).await;
    assert_eq!(reply, ExtendReply::NotHeld);
}

pub async fn extend_answers_each_request_in_order(on: Fixture) {
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for nth in 0..60 {
        let (key, token) = (fresh_key(), fresh_token());
        expected.push(match nth % 3 {
            0 => {
                let reply = on.acquire(&key, &token, SHORTER).await;
                assert_eq!(reply, AcquireReply::Granted);
                ExtendReply::Extended
            }
            1 => ExtendReply::NotHeld,
            _ => {
                on.take(&key, SHORTER).await;
                ExtendReply::NotOwner
            }
        });
        requests.push(ExtendRequest::new(key, token, LONG));
    }
    let replies = on.backend.extend(requests).await;
    let replies: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.expect("an answer to an extend"))
        .collect();
    assert_eq!(replies, expected);
}

pub async fn extend_of_nothing_answers_nothing(on: Fixture) {
    assert!(on.backend.extend(Vec::new()).await.is_empty());
}
