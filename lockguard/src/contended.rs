//! Which keys were waited for a moment ago.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    key::LockKey,
    sharded::{KeyMap, Sharded},
};

/// The keys that a lease of this manager had to wait for, and gave back a
/// moment ago.
///
/// Whoever wants such a key stands in its line at once: a try without a place
/// would most often be refused, and would have cost a round trip.
/// Where this is wrong, a lock is taken by a script that could have been taken
/// by a plain command.
#[derive(Default)]
pub(crate) struct Contended {
    keys: Sharded<Mutex<KeyMap<Instant>>>,
    /// Whether there has ever been one: most programs have none, and need not
    /// look.
    are_any: AtomicBool,
}

/// How long a moment is.
const MOMENT: Duration = Duration::from_secs(1);

/// The most keys that a shard remembers.
const MOST: usize = 64;

impl Contended {
    /// Notes that a lease of this key, which is being given back, had to wait for
    /// it; not where there are too many such keys.
    pub(crate) fn note(&self, key: &LockKey) {
        let now = Instant::now();
        let mut keys = self.keys.of(key).lock();
        if let Some(noted) = keys.get_mut(key) {
            *noted = now;
            return;
        }
        if keys.len() >= MOST {
            keys.retain(|_, noted| is_recent(*noted, now));
        }
        if keys.len() < MOST {
            keys.insert(key.clone(), now);
            self.are_any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether this is such a key.
    pub(crate) fn has(&self, key: &LockKey) -> bool {
        if !self.are_any.load(Ordering::Relaxed) {
            return false;
        }
        let noted = self.keys.of(key).lock().get(key).copied();
        noted.is_some_and(|noted| is_recent(noted, Instant::now()))
    }
}

fn is_recent(noted: Instant, now: Instant) -> bool {
    now.saturating_duration_since(noted) < MOMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> LockKey {
        LockKey::new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_remembered_for_a_moment() {
        let contended = Contended::default();
        assert!(!contended.has(&key("k")));
        contended.note(&key("k"));
        assert!(contended.has(&key("k")));
        assert!(!contended.has(&key("other")));
        tokio::time::advance(MOMENT).await;
        assert!(!contended.has(&key("k")));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_keys_are_remembered_and_old_ones_make_room() {
        let contended = Contended::default();
        let note = |round: usize| {
            for n in 0..10_000 {
                contended.note(&key(&format!("{round}:{n}")));
            }
        };
        let count = || -> usize { contended.keys.iter().map(|keys| keys.lock().len()).sum() };
        note(0);
        assert_eq!(count(), MOST * crate::sharded::SHARDS);
        // One that is noted again needs no room.
        tokio::time::advance(MOMENT / 2).await;
        contended.note(&key("0:0"));
        tokio::time::advance(MOMENT / 2).await;
        assert!(contended.has(&key("0:0")));
        tokio::time::advance(MOMENT).await;
        note(1);
        assert_eq!(count(), MOST * crate::sharded::SHARDS);
        assert!(contended.has(&key("1:0")));
    }
}
