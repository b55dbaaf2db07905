//! Where a key's fence and its line are.

use crate::key::LockKey;

/// The name of the fence beside a lock.
///
/// - It shares the lock's hash tag: `{seat:17} fence` beside `seat:17`, and
///   `{shop}:seat tagged fence` beside `{shop}:seat`.
/// - No lock can have this name, since no [`LockKey`] contains a space, and
///   `k` and `{k}` do not share one.
///
/// A key with a `}` that closes no tag cannot be made a tag, and its fence need
/// not be in its slot.
pub(super) fn fence_key(key: &LockKey) -> Parts<'_> {
    beside(key, "fence")
}

/// The name of the line of waiters beside a lock, made like that of its fence.
pub(super) fn line_key(key: &LockKey) -> Parts<'_> {
    beside(key, "line")
}

/// A name in parts, which most callers need not put together.
pub(super) type Parts<'a> = [&'a str; 4];

fn beside<'a>(key: &'a LockKey, what: &'a str) -> Parts<'a> {
    let key = key.as_str();
    if key.contains('}') {
        [key, " tagged ", what, ""]
    } else {
        ["{", key, "} ", what]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What of a key decides its slot (Redis cluster specification).
    fn tag(key: &str) -> &str {
        let tagged = key
            .split_once('{')
            .and_then(|(_, rest)| Some(rest.split_once('}')?.0));
        tagged.filter(|tag| !tag.is_empty()).unwrap_or(key)
    }

    fn of(key: &str) -> String {
        fence_key(&LockKey::new(key).unwrap()).concat()
    }

    #[test]
    fn the_fence_stands_beside_its_lock() {
        assert_eq!(of("seat:17"), "{seat:17} fence");
        assert_eq!(of("{shop}:seat"), "{shop}:seat tagged fence");
    }

    #[test]
    fn the_line_stands_beside_its_lock() {
        let of = |key| line_key(&LockKey::new(key).unwrap()).concat();
        assert_eq!(of("seat:17"), "{seat:17} line");
        assert_eq!(of("{shop}:seat"), "{shop}:seat tagged line");
    }

    proptest! {
        #[test]
        fn the_fence_shares_the_locks_slot(
            key in "[a{:]{1,6}|[a:]{0,2}\\{[a{:]{1,3}\\}[a{}:]{0,3}"
        ) {
            let fence = of(&key);
            prop_assert_eq!(tag(&fence), tag(&key));
        }

        #[test]
        fn no_two_locks_share_a_fence(a in "[a{}]{1,5}", b in "[a{}]{1,5}") {
            prop_assert_eq!(of(&a) == of(&b), a == b);
        }
    }
}
