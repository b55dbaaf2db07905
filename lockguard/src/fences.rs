//! The greatest fencing tokens that this process has seen.

use std::{collections::HashMap, mem};

use parking_lot::Mutex;

use crate::{fencing_token::FencingToken, key::LockKey, keys::LockKeys};

/// How many keys are remembered at least, and half of the most.
const GENERATION: usize = 1024;

/// The greatest fencing token seen for each key, to propose a greater one.
///
/// Bounded: what has not been seen for long is forgotten.
/// That costs a round trip where nodes disagree and this process's clock lags
/// behind a fence; tokens are right without it.
#[derive(Default)]
pub(crate) struct Fences(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<LockKey, FencingToken>,
    old: HashMap<LockKey, FencingToken>,
}

impl Fences {
    /// The greatest seen for any of these keys.
    pub(crate) fn greatest(&self, keys: &LockKeys) -> Option<FencingToken> {
        let generations = self.0.lock();
        keys.iter().filter_map(|key| generations.of(key)).max()
    }

    /// Notes that the keys' fences have reached this token.
    pub(crate) fn saw(&self, keys: &LockKeys, token: FencingToken) {
        let mut generations = self.0.lock();
        for key in keys {
            let greatest = generations.of(key).max(Some(token)).unwrap_or(token);
            generations.young.insert(key.clone(), greatest);
            if generations.young.len() >= GENERATION {
                generations.old = mem::take(&mut generations.young);
            }
        }
    }
}

impl Generations {
    fn of(&self, key: &LockKey) -> Option<FencingToken> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name: impl AsRef<str>) -> LockKeys {
        LockKey::new(name).unwrap().into()
    }

    fn token(number: u64) -> FencingToken {
        FencingToken::new(number).unwrap()
    }

    #[test]
    fn a_smaller_token_is_not_remembered_over_a_greater_one() {
        let fences = Fences::default();
        assert_eq!(fences.greatest(&keys("k")), None);
        for number in [3, 7, 5] {
            fences.saw(&keys("k"), token(number));
        }
        assert_eq!(fences.greatest(&keys("k")), Some(token(7)));
    }

    #[test]
    fn of_several_keys_the_greatest_counts() {
        let fences = Fences::default();
        let [a, b] = ["a", "b"].map(|name| LockKey::new(name).unwrap());
        let both = LockKeys::new([a.clone(), b.clone()]).unwrap();
        for (key, number) in [(a, 7), (b, 3)] {
            fences.saw(&key.into(), token(number));
            assert_eq!(fences.greatest(&both), Some(token(7)));
        }
    }

    #[test]
    fn few_keys_are_remembered_and_the_latest_among_them() {
        let fences = Fences::default();
        for nth in 0..10 * GENERATION {
            fences.saw(&keys(format!("k:{nth}")), token(1));
        }
        let generations = fences.0.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        drop(generations);
        let latest = keys(format!("k:{}", 10 * GENERATION - 1));
        assert_eq!(fences.greatest(&latest), Some(token(1)));
    }
}
