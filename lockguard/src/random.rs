//! Random numbers that no other process draws.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{Rng as _, TryRngCore as _, rngs::OsRng};

/// What every number of this process is combined with.
///
/// A process that is forked has a copy of the generator of the thread that
/// forked it, and draws from it what its siblings draw: two owners with one
/// token, who would both have the lock.
static PROCESS: AtomicU64 = AtomicU64::new(0);

/// Draws the process's own number anew.
///
/// Called whenever a manager or a node is made: a process that makes its own
/// after it was forked draws other numbers than its parent and its siblings.
pub(crate) fn seed_process() {
    // A system without random numbers has none for the generator either.
    if let Ok(number) = OsRng.try_next_u64() {
        PROCESS.store(number, Ordering::Relaxed);
    }
}

/// 64 random bits.
pub(crate) fn number() -> u64 {
    rand::rng().random::<u64>() ^ PROCESS.load(Ordering::Relaxed)
}

/// 128 random bits.
pub(crate) fn secret() -> u128 {
    u128::from(number()) << 64 | u128::from(number())
}
