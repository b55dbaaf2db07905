//! What a fenced acquire owes.

use std::{
    slice::from_ref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockguard::{
    FencingToken, LockKey, OwnerToken,
    backend::{AcquireReply, BackendError, ExtendReply, Holder, ReleaseReply},
};
use parking_lot::Mutex;
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, timeout},
};

use super::fixture::{Fixture, LONG, SHORT, back_off, expired, fresh_key, fresh_token};

/// How far a proposal may lead a server's clock, in µs.
const LEAD: u64 = 60 * 60 * 1_000_000;

/// Beyond this a fence is spoilt.
const LIMIT: u64 = (1 << 53) - 992;

/// A clock that stands still in 1970.
const LAGGING: u64 = 1;

pub async fn a_fenced_acquire_is_granted_with_the_proposal(on: Fixture) {
    let proposal = now();
    let (key, token) = (fresh_key(), fresh_token());
    let reply = on.acquire_fenced(from_ref(&key), &token, proposal).await;
    assert_eq!(reply, AcquireReply::GrantedWith(number(proposal)));
    on.assert_held(&key, &token).await;
}

pub async fn fencing_tokens_rise_from_owner_to_owner(on: Fixture) {
    let key = fresh_key();
    let mut last = 0;
    for proposal in [LAGGING, LAGGING, now(), LAGGING, 7, now(), LAGGING] {
        let (token, fence) = on.take_fenced(&key, proposal).await;
        assert!(fence > last, "{fence} after {last}");
        last = fence;
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    }
}

pub async fn a_fence_survives_the_expiry_of_its_lock(on: Fixture) {
    let key = fresh_key();
    let (_, before) = on.take_fenced_for(&key, LAGGING, SHORT).await;
    expired(Instant::now(), SHORT).await;
    let (_, after) = on.take_fenced(&key, LAGGING).await;
    assert_eq!(after, before + 1);
}

pub async fn a_leading_proposal_is_cut_an_hour_ahead(on: Fixture) {
    let key = fresh_key();
    let (token, cut) = on.take_fenced(&key, 1 << 52).await;
    let expected = now() - LEAD / 60..=now() + LEAD;
    assert!(expected.contains(&(cut - LEAD)), "{cut} at {}", now());
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    // Whose clock is right is not put behind.
    let (_, next) = on.take_fenced(&key, now()).await;
    // Servers that cut it at their own clocks were not alike.
    assert!(
        (cut + 1..cut + LEAD / 60).contains(&next),
        "{next} after {cut}"
    );
}

pub async fn a_fenced_acquire_repeated_by_the_holder_answers_the_same_token(on: Fixture) {
    let key = fresh_key();
    let (token, fence) = on.take_fenced(&key, now()).await;
    for proposal in [fence, LAGGING, fence - 1] {
        let reply = on.acquire_fenced(from_ref(&key), &token, proposal).await;
        assert_eq!(reply, AcquireReply::GrantedWith(number(fence)));
    }
}

pub async fn a_raise_reaches_the_proposal_and_stays(on: Fixture) {
    let key = fresh_key();
    let (token, _) = on.take_fenced(&key, now()).await;
    let reply = on.acquire_fenced(from_ref(&key), &token, 1 << 52).await;
    assert_eq!(reply, AcquireReply::GrantedWith(number(1 << 52)));
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    let (_, next) = on.take_fenced(&key, LAGGING).await;
    assert_eq!(next, (1 << 52) + 1);
}

pub async fn a_repeated_fenced_acquire_keeps_the_key_for_the_whole_ttl(on: Fixture) {
    let key = fresh_key();
    let (token, fence) = on.take_fenced_for(&key, LAGGING, LONG / 3).await;
    on.acquire_fenced(from_ref(&key), &token, fence).await;
    assert!(on.left_of(&key, &token).await > LONG / 3);
}

pub async fn a_refused_fenced_acquire_is_told_the_fence_and_leaves_it(on: Fixture) {
    let key = fresh_key();
    let (token, fence) = on.take_fenced(&key, now()).await;
    let reply = on
        .acquire_fenced(from_ref(&key), &fresh_token(), fence + 100)
        .await;
    assert_eq!(refused(reply).fence(), Some(number(fence)));
    on.assert_held(&key, &token).await;
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    let (_, next) = on.take_fenced(&key, LAGGING).await;
    assert_eq!(next, fence + 1);
}

pub async fn a_refusal_of_several_keys_tells_the_greatest_of_their_fences(on: Fixture) {
    for is_the_first_higher in [false, true] {
        let mut keys = [fresh_key(), fresh_key()];
        keys.sort();
        let [first, second] = &keys;
        let (high, low) = if is_the_first_higher {
            (first, second)
        } else {
            (second, first)
        };
        let (token, fence) = on.take_fenced(high, now()).await;
        assert_eq!(on.release(high, &token).await, ReleaseReply::Freed);
        on.take_fenced(low, LAGGING).await;
        let reply = on.acquire_fenced(&keys, &fresh_token(), LAGGING).await;
        assert_eq!(refused(reply).fence(), Some(number(fence)));
    }
}

pub async fn fenced_and_other_owners_exclude_each_other(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    let reply = on
        .acquire_fenced(from_ref(&key), &fresh_token(), now())
        .await;
    assert_eq!(refused(reply).fence(), None);
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    let (token, _) = on.take_fenced(&key, LAGGING).await;
    on.assert_held(&key, &token).await;
}

pub async fn only_fenced_acquires_change_a_fence(on: Fixture) {
    let key = fresh_key();
    let (token, fence) = on.take_fenced(&key, now()).await;
    assert_eq!(on.extend(&key, &token, LONG).await, ExtendReply::Extended);
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    for _ in 0..3 {
        let token = on.take(&key, LONG).await;
        assert_eq!(on.extend(&key, &token, LONG).await, ExtendReply::Extended);
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    }
    let (_, next) = on.take_fenced(&key, LAGGING).await;
    assert_eq!(next, fence + 1);
}

pub async fn several_keys_get_one_token_beyond_each_of_their_fences(on: Fixture) {
    let (low, high) = (fresh_key(), fresh_key());
    let (token, fence) = on.take_fenced(&high, now()).await;
    assert_eq!(on.release(&high, &token).await, ReleaseReply::Freed);
    let (token, _) = on.take_fenced(&low, LAGGING).await;
    assert_eq!(on.release(&low, &token).await, ReleaseReply::Freed);
    let (keys, token) = ([low.clone(), high.clone()], fresh_token());
    let reply = on.acquire_fenced(&keys, &token, LAGGING).await;
    assert_eq!(reply, AcquireReply::GrantedWith(number(fence + 1)));
    for key in &keys {
        assert_eq!(on.release(key, &token).await, ReleaseReply::Freed);
        let (_, next) = on.take_fenced(key, LAGGING).await;
        assert_eq!(next, fence + 2);
    }
}

pub async fn a_spoilt_fence_refuses_fenced_owners_and_no_others(on: Fixture) {
    let key = fresh_key();
    let (token, _) = on.take_fenced(&key, now()).await;
    let reply = on.acquire_fenced(from_ref(&key), &token, LIMIT).await;
    assert_eq!(reply, AcquireReply::GrantedWith(number(LIMIT)));
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    on.assert_spoilt(&key, &fresh_token(), LAGGING).await;
    let token = on.take_soon(&key).await;
    assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
}

pub async fn a_raise_that_would_spoil_a_fence_changes_nothing(on: Fixture) {
    let key = fresh_key();
    let (token, fence) = on.take_fenced(&key, now()).await;
    on.assert_spoilt(&key, &token, FencingToken::MAX).await;
    on.release(&key, &token).await;
    let (_, next) = on.take_fenced(&key, LAGGING).await;
    assert_eq!(next, fence + 1);
}

pub async fn contending_owners_get_tokens_in_their_order(on: Fixture) {
    const OWNERS: usize = 4;
    const SECTIONS: usize = 15;
    let (on, key) = (Arc::new(on), fresh_key());
    // What the protected resource has seen.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut owners = JoinSet::new();
    for owner in 0..OWNERS {
        let (on, key, seen) = (Arc::clone(&on), key.clone(), Arc::clone(&seen));
        owners.spawn(async move {
            for section in 0..SECTIONS {
                let proposal = if owner == 0 { now() } else { LAGGING };
                let token = loop {
                    let token = fresh_token();
                    let reply = on.acquire_fenced(from_ref(&key), &token, proposal).await;
                    if let AcquireReply::GrantedWith(fence) = reply {
                        seen.lock().push(fence);
                        break token;
                    }
                    back_off(10).await;
                };
                yield_now().await;
                assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
                back_off(section as u64 % 4).await;
            }
        });
    }
    owners.join_all().await;
    let seen = seen.lock();
    assert_eq!(seen.len(), OWNERS * SECTIONS);
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

pub async fn release_after_a_dropped_fenced_acquire_leaves_nothing(on: Fixture) {
    let key = fresh_key();
    let mut last = 0;
    for moment in (0..30).map(|nth| Duration::from_micros(nth * 40)) {
        let token = fresh_token();
        let acquiring = on.acquiring_fenced(from_ref(&key), &token, LAGGING, LONG);
        drop(timeout(moment, acquiring).await);
        assert_ne!(on.release(&key, &token).await, ReleaseReply::NotOwner);
        let (token, fence) = on.take_fenced(&key, LAGGING).await;
        assert!(fence > last, "{fence} after {last}");
        last = fence;
        assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
    }
}

impl Fixture {
    /// Acquires a free key with a new owner token, and the fencing token.
    async fn take_fenced(&self, key: &LockKey, proposal: u64) -> (OwnerToken, u64) {
        self.take_fenced_for(key, proposal, LONG).await
    }

    async fn take_fenced_for(
        &self,
        key: &LockKey,
        proposal: u64,
        ttl: Duration,
    ) -> (OwnerToken, u64) {
        let token = fresh_token();
        let acquiring = self.acquiring_fenced(from_ref(key), &token, proposal, ttl);
        match acquiring.await.expect("an answer to an acquire") {
            AcquireReply::GrantedWith(fence) => (token, fence.get()),
            other => panic!("`{key}` was not granted with a token: {other:?}"),
        }
    }

    async fn acquire_fenced(
        &self,
        keys: &[LockKey],
        token: &OwnerToken,
        proposal: u64,
    ) -> AcquireReply {
        let acquiring = self.acquiring_fenced(keys, token, proposal, LONG);
        acquiring.await.expect("an answer to an acquire")
    }

    async fn assert_spoilt(&self, key: &LockKey, token: &OwnerToken, proposal: u64) {
        let reply = self
            .acquiring_fenced(from_ref(key), token, proposal, LONG)
            .await;
        let Err(BackendError::InvalidKey { key: named, reason }) = reply else {
            panic!("not spoilt: {reply:?}");
        };
        assert_eq!(named.as_ref(), Some(key));
        assert!(reason.contains("fence"), "{reason}");
    }
}

fn number(token: u64) -> FencingToken {
    FencingToken::new(token).expect("a fencing token")
}

fn refused(reply: AcquireReply) -> Holder {
    match reply {
        AcquireReply::Busy(holder) => holder,
        other => panic!("not busy: {other:?}"),
    }
}

/// The wall clock in µs.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.expect("a clock after 1970").as_micros();
    u64::try_from(micros).expect("a clock before the year 500000")
}
