//! What an acquire of several keys owes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lockguard::{
    LockKey,
    backend::{AcquireReply, Holder, ReleaseReply},
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, timeout},
};

use super::{
    acquire::odd_keys,
    fixture::{
        Fixture, LONG, SHORT, SOON, back_off, expired, fresh_key, fresh_token, is_held_by, key,
    },
};

/// A ttl that is told from [`LONG`] by what is left of it.
const SHORTER: Duration = Duration::from_secs(10);

pub async fn several_keys_are_all_taken(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    let reply = on.acquire_all(&keys, &token, LONG).await;
    assert_eq!(reply, AcquireReply::Granted);
    for key in &keys {
        on.assert_held(key, &token).await;
    }
}

pub async fn one_held_key_refuses_all_of_them(on: Fixture) {
    for held in 0..3 {
        let keys = fresh_keys();
        let token = on.take(&keys[held], LONG).await;
        let reply = on.acquire_all(&keys, &fresh_token(), LONG).await;
        assert!(matches!(reply, AcquireReply::Busy(_)), "{reply:?}");
        for (nth, key) in keys.iter().enumerate() {
            if nth == held {
                on.assert_held(key, &token).await;
            } else {
                on.assert_free(key).await;
            }
        }
    }
}

pub async fn busy_names_which_of_several_keys_is_held(on: Fixture) {
    for held in 0..3 {
        let keys = fresh_keys();
        let token = on.take(&keys[held], LONG).await;
        let holder = refused(on.acquire_all(&keys, &fresh_token(), LONG).await);
        assert_eq!(holder.key(), Some(&keys[held]));
        assert!(is_held_by(&holder, &token), "{holder:?}");
        assert!(holder.expires_in().is_some_and(|left| left <= LONG));
    }
}

pub async fn several_keys_repeated_by_the_holder_are_granted_for_no_longer(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    for ttl in [SHORTER, LONG, LONG] {
        let reply = on.acquire_all(&keys, &token, ttl).await;
        assert_eq!(reply, AcquireReply::Granted);
    }
    for key in &keys {
        assert!(on.left_of(key, &token).await <= SHORTER);
    }
}

pub async fn each_of_several_keys_is_extended_by_itself(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    on.acquire_all(&keys, &token, SHORTER).await;
    on.extend(&keys[1], &token, LONG).await;
    assert!(on.left_of(&keys[0], &token).await <= SHORTER);
    assert!(on.left_of(&keys[1], &token).await > SHORTER);
    assert!(on.left_of(&keys[2], &token).await <= SHORTER);
}

pub async fn each_of_several_keys_is_released_by_itself(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    on.acquire_all(&keys, &token, LONG).await;
    assert_eq!(on.release(&keys[1], &token).await, ReleaseReply::Freed);
    on.assert_held(&keys[0], &token).await;
    on.assert_free(&keys[1]).await;
    on.assert_held(&keys[2], &token).await;
    for left in [&keys[0], &keys[2]] {
        assert_eq!(on.release(left, &token).await, ReleaseReply::Freed);
        on.assert_free(left).await;
    }
}

pub async fn several_keys_are_free_after_their_ttl(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    on.acquire_all(&keys, &token, SHORT).await;
    expired(Instant::now(), SHORT).await;
    for key in &keys {
        on.assert_free(key).await;
    }
}

pub async fn several_odd_keys_are_kept_to_the_letter(on: Fixture) {
    let keys: Vec<_> = odd_keys().iter().map(key).collect();
    let token = fresh_token();
    let reply = on.acquire_all(&keys, &token, LONG).await;
    assert_eq!(reply, AcquireReply::Granted);
    for key in &keys {
        on.assert_held(key, &token).await;
        assert_eq!(on.release(key, &token).await, ReleaseReply::Freed, "{key}");
    }
}

pub async fn crossing_owners_of_several_keys_never_overlap(on: Fixture) {
    const SECTIONS: usize = 10;
    let (on, keys) = (Arc::new(on), fresh_keys());
    let is_taken: Arc<[AtomicBool; 3]> = Arc::default();
    let mut owners = JoinSet::new();
    for wanted in [[0, 1], [1, 2], [2, 0], [1, 0]] {
        let (on, keys, is_taken) = (Arc::clone(&on), keys.clone(), Arc::clone(&is_taken));
        owners.spawn(async move {
            let mine = wanted.map(|nth| keys[nth].clone());
            for _ in 0..SECTIONS {
                let token = loop {
                    let token = fresh_token();
                    if on.acquire_all(&mine, &token, LONG).await == AcquireReply::Granted {
                        break token;
                    }
                    back_off(20).await;
                };
                for nth in wanted {
                    assert!(!is_taken[nth].swap(true, Ordering::SeqCst), "two inside");
                }
                yield_now().await;
                for nth in wanted {
                    is_taken[nth].store(false, Ordering::SeqCst);
                }
                for key in &mine {
                    assert_eq!(on.release(key, &token).await, ReleaseReply::Freed);
                }
                // The others had no chance otherwise.
                back_off(4).await;
            }
        });
    }
    owners.join_all().await;
}

pub async fn of_contenders_for_several_keys_none_keeps_some(on: Fixture) {
    let (on, keys) = (Arc::new(on), fresh_keys());
    let mut contenders = JoinSet::new();
    for _ in 0..8 {
        let (on, keys) = (Arc::clone(&on), keys.clone());
        contenders.spawn(async move {
            let token = fresh_token();
            let reply = on.acquire_all(&keys, &token, LONG).await;
            (reply == AcquireReply::Granted).then_some(token)
        });
    }
    let winners: Vec<_> = contenders.join_all().await.into_iter().flatten().collect();
    assert!(winners.len() <= 1, "{} contenders won", winners.len());
    for key in &keys {
        match winners.first() {
            Some(winner) => on.assert_held(key, winner).await,
            // What the votes were split over is given back in the background.
            None => drop(on.take_soon(key).await),
        }
    }
}

pub async fn release_after_a_dropped_acquire_of_several_keys_leaves_nothing(on: Fixture) {
    for moment in (0..30).map(|nth| Duration::from_micros(nth * 40)) {
        let (keys, token) = (fresh_keys(), fresh_token());
        let acquiring = on.acquiring_all(&keys, &token, LONG);
        drop(timeout(moment, acquiring).await);
        for key in &keys {
            let reply = on.release(key, &token).await;
            assert_ne!(reply, ReleaseReply::NotOwner, "dropped after {moment:?}");
            on.assert_free(key).await;
        }
    }
}

pub async fn the_release_of_one_of_several_keys_wakes_its_waiter(on: Fixture) {
    let (keys, token) = (fresh_keys(), fresh_token());
    on.acquire_all(&keys, &token, LONG).await;
    for key in &keys {
        let Some(mut freed) = on.backend.freed(key) else {
            return;
        };
        let _ = timeout(Duration::ZERO, freed.as_mut()).await;
        assert_eq!(on.release(key, &token).await, ReleaseReply::Freed);
        timeout(SOON, freed).await.expect("a wake");
    }
}

/// Three keys that no other test uses, sorted.
fn fresh_keys() -> [LockKey; 3] {
    let mut keys = [fresh_key(), fresh_key(), fresh_key()];
    keys.sort();
    keys
}

fn refused(reply: AcquireReply) -> Holder {
    match reply {
        AcquireReply::Busy(holder) => holder,
        other => panic!("not busy: {other:?}"),
    }
}
