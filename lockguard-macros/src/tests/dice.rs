//! Randomness that is the same on every machine.

use std::{env, str::FromStr};

/// `SplitMix64`.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("lengths are small");
        usize::try_from(self.roll() % bound).expect("less than a usize")
    }

    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Fewer than `most` of the words, each followed by `after`.
    pub(super) fn soup(&mut self, words: &[&str], most: usize, after: &str) -> String {
        let length = self.below(most);
        let mut soup = String::new();
        for _ in 0..length {
            soup.push_str(self.pick(words));
            soup.push_str(after);
        }
        soup
    }
}

/// A number that `cargo xtask` sets for a longer run.
pub(super) fn asked<T: FromStr>(variable: &str) -> Option<T> {
    env::var(variable).ok()?.parse().ok()
}
