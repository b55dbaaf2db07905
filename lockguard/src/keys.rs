//! One key, or several that are taken together.

use std::{fmt, slice, sync::Arc};

use crate::key::LockKey;

/// The keys of one lease: at least one, sorted, and none twice.
///
/// Everybody asks for keys in the same order, whatever order they were given
/// in.
/// A single key costs no allocation.
///
/// # Examples
///
/// ```
/// use lockguard::{LockKey, LockKeys};
///
/// let (a, b) = (LockKey::new("account:a")?, LockKey::new("account:b")?);
/// let keys = LockKeys::new([b.clone(), a.clone(), b.clone()]).expect("some keys");
/// assert_eq!(keys.as_slice(), [a.clone(), b]);
/// assert_eq!(keys.first(), &a);
/// assert!(LockKeys::new([]).is_none());
/// # Ok::<_, lockguard::LockError>(())
/// ```
#[derive(Clone)]
pub struct LockKeys(Inner);

#[derive(Clone)]
enum Inner {
    One(LockKey),
    /// Never empty.
    Several(Arc<[LockKey]>),
}

impl LockKeys {
    /// Sorts the keys and leaves out repetitions; `None` without a key.
    pub fn new(keys: impl IntoIterator<Item = LockKey>) -> Option<Self> {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        match keys.len() {
            0 => None,
            1 => keys.pop().map(Self::from),
            _ => Some(Self(Inner::Several(keys.into()))),
        }
    }

    /// The keys, sorted.
    pub fn as_slice(&self) -> &[LockKey] {
        match &self.0 {
            Inner::One(key) => slice::from_ref(key),
            Inner::Several(keys) => keys,
        }
    }

    /// The key, if it is a single one.
    pub(crate) fn into_single(self) -> Result<LockKey, Self> {
        match self.0 {
            Inner::One(key) => Ok(key),
            Inner::Several(_) => Err(self),
        }
    }

    /// Whether there is more than one.
    pub(crate) fn are_several(&self) -> bool {
        self.as_slice().len() > 1
    }

    /// The first key: what an error names that is about none in particular.
    pub fn first(&self) -> &LockKey {
        match &self.0 {
            Inner::One(key) => key,
            #[expect(clippy::indexing_slicing, reason = "it is never empty")]
            Inner::Several(keys) => &keys[0],
        }
    }

    /// The nth key, which an answer is about; the first where there are fewer.
    pub(crate) fn nth(&self, nth: usize) -> &LockKey {
        self.as_slice().get(nth).unwrap_or(self.first())
    }

    /// The keys, one after another.
    pub fn iter(&self) -> slice::Iter<'_, LockKey> {
        self.as_slice().iter()
    }
}

impl From<LockKey> for LockKeys {
    fn from(key: LockKey) -> Self {
        Self(Inner::One(key))
    }
}

impl<'a> IntoIterator for &'a LockKeys {
    type Item = &'a LockKey;
    type IntoIter = slice::Iter<'a, LockKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for LockKeys {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for LockKeys {}

impl fmt::Debug for LockKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_order_and_repetition_makes_the_same_keys(
            (given, shuffled) in prop::collection::vec("[a-d]{1,2}", 1..8)
                .prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle()))
        ) {
            let parse = |keys: Vec<String>| {
                LockKeys::new(keys.iter().map(|key| LockKey::new(key).unwrap())).unwrap()
            };
            let twice = [given.clone(), given.clone()].concat();
            let keys = parse(given);
            prop_assert_eq!(&keys, &parse(shuffled));
            prop_assert_eq!(&keys, &parse(twice));
            prop_assert!(keys.as_slice().is_sorted());
        }
    }
}
