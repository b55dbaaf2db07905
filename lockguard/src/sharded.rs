//! What is kept by key, so that two callers seldom wait for each other.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use crate::key::LockKey;

/// A map by key.
///
/// Its hasher is cheaper than the standard one, and seeded, so that keys from
/// outside that were chosen beforehand collide no more than others; whoever can
/// try and measure is not kept out by it.
pub(crate) type KeyMap<T> = std::collections::HashMap<LockKey, T, RandomState>;

/// Enough that two cores seldom meet on one mutex.
pub(crate) const SHARDS: usize = 16;

/// Shards by key, each with a mutex that is held for a few instructions.
#[derive(Default)]
pub(crate) struct Sharded<T> {
    hasher: RandomState,
    shards: [T; SHARDS],
}

impl<T> Sharded<T> {
    /// The shard of this key.
    pub(crate) fn of(&self, key: &LockKey) -> &T {
        #[expect(clippy::indexing_slicing, reason = "see `index`")]
        &self.shards[self.index(key)]
    }

    /// Which shard is this key's: below the number of shards.
    pub(crate) fn index(&self, key: &LockKey) -> usize {
        let hash = self.hasher.hash_one(key);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the remainder is below the number of shards"
        )]
        {
            hash as usize % SHARDS
        }
    }

    /// All shards, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter()
    }
}
