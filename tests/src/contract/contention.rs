//! Several owners at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lockguard::{
    LockKey, OwnerToken,
    backend::{AcquireReply, ReleaseReply},
};
use tokio::task::{JoinSet, yield_now};

use super::fixture::{Fixture, LONG, back_off, fresh_key, fresh_token};

const CONTENDERS: usize = 16;

pub async fn of_contenders_at_once_exactly_one_is_granted(on: Fixture) {
    let on = Arc::new(on);
    for _ in 0..10 {
        let key = fresh_key();
        let mut contenders = JoinSet::new();
        for _ in 0..CONTENDERS {
            contenders.spawn(settle(Arc::clone(&on), key.clone()));
        }
        let winners: Vec<_> = contenders.join_all().await.into_iter().flatten().collect();
        let [winner] = &winners[..] else {
            panic!("{} contenders hold `{key}`", winners.len());
        };
        on.assert_held(&key, winner).await;
    }
}

pub async fn owners_in_parallel_never_overlap(on: Fixture) {
    const OWNERS: usize = 4;
    const SECTIONS: usize = 20;
    let (on, key) = (Arc::new(on), fresh_key());
    let inside = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let mut owners = JoinSet::new();
    for _ in 0..OWNERS {
        let (on, key) = (Arc::clone(&on), key.clone());
        let (inside, done) = (Arc::clone(&inside), Arc::clone(&done));
        owners.spawn(async move {
            for _ in 0..SECTIONS {
                let token = on.take_soon(&key).await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                assert_eq!(on.release(&key, &token).await, ReleaseReply::Freed);
                // The others had no chance otherwise.
                back_off(4).await;
            }
        });
    }
    owners.join_all().await;
    assert_eq!(done.load(Ordering::SeqCst), OWNERS * SECTIONS);
}

pub async fn contenders_that_were_refused_leave_nothing_behind(on: Fixture) {
    let (on, key) = (Arc::new(on), fresh_key());
    let mut contenders = JoinSet::new();
    for _ in 0..CONTENDERS {
        let (on, key) = (Arc::clone(&on), key.clone());
        contenders.spawn(async move {
            let token = fresh_token();
            let reply = on.acquire(&key, &token, LONG).await;
            (reply == AcquireReply::Granted).then_some(token)
        });
    }
    let winners: Vec<_> = contenders.join_all().await.into_iter().flatten().collect();
    assert!(
        winners.len() <= 1,
        "{} contenders hold `{key}`",
        winners.len()
    );
    for winner in &winners {
        assert_eq!(on.release(&key, winner).await, ReleaseReply::Freed);
    }
    on.take_soon(&key).await;
}

/// Asks until the answer is a grant or a holder, with a new token each time.
async fn settle(on: Arc<Fixture>, key: LockKey) -> Option<OwnerToken> {
    for tries in 1.. {
        let token = fresh_token();
        match on.acquire(&key, &token, LONG).await {
            AcquireReply::Granted => return Some(token),
            AcquireReply::Busy(_) => return None,
            _ => back_off(tries * 5).await,
        }
    }
    None
}
