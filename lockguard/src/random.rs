//! Random numbers that no other process draws.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{Rng as _, TryRngCore as _, rngs::OsRng};

/// What every number of this process is combined with.
///
/// A process that is forked has a copy of the generator of the thread that
/// forked it, and draws from it what its siblings draw: two owners with one
/// token, who would both have the lock.
static PROCESS: AtomicU64 = AtomicU64::new(0);

/// Makes sure that what is drawn from now on differs from what is drawn in
/// processes that this one, or a parent of it, has been forked from or forks.
///
/// Whatever takes locks begins with it, before it draws anything: what was made
/// before a fork serves one process at most.
pub(crate) fn begin() {
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
