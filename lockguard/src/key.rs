//! The name of a protected resource.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::lock_error::LockError;

/// The name of a protected resource, exactly as the servers store it.
///
/// A key is 1 to 512 bytes of UTF-8 without white space and control
/// characters.
/// Everything that takes a key parses it into this type once, at the edge;
/// a `LockKey` in hand is a valid one.
///
/// # Examples
///
/// ```
/// use lockguard::LockKey;
///
/// let key = LockKey::new("seat:17")?;
/// assert_eq!(key.as_str(), "seat:17");
/// assert!(LockKey::new("seat 17").is_err());
/// # Ok::<_, lockguard::LockError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey(Arc<str>);

impl LockKey {
    /// The longest key, in bytes, prefix included.
    pub const MAX_BYTES: usize = 512;

    /// Checks a key.
    ///
    /// # Errors
    ///
    /// [`LockError::InvalidKey`] when the key is empty, longer than
    /// [`LockKey::MAX_BYTES`], or contains white space or a control character.
    pub fn new(key: impl AsRef<str>) -> Result<Self, LockError> {
        let key = key.as_ref();
        match problem(key) {
            None => Ok(Self(Arc::from(key))),
            Some(reason) => Err(LockError::invalid_key(shown(key), reason)),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LockKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<LockKey> for Arc<str> {
    fn from(key: LockKey) -> Self {
        key.0
    }
}

impl From<&LockKey> for Arc<str> {
    fn from(key: &LockKey) -> Self {
        Arc::clone(&key.0)
    }
}

fn problem(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        Some("it is empty, and would be one lock for everybody")
    } else if key.len() > LockKey::MAX_BYTES {
        Some(
            "it is longer than 512 bytes, prefix included; put a hash of a value that may be long \
             into the key, and not the value",
        )
    } else if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        None
    } else if key.chars().any(char::is_control) {
        Some("it contains a control character; escape it as key templates do, by `%0A`")
    } else if key.chars().any(char::is_whitespace) {
        Some("it contains white space; escape it as key templates do, by `%20`")
    } else {
        None
    }
}

/// As much of a refused key as an error and a log should have of it: it may be
/// whatever somebody has sent to a service.
fn shown(key: &str) -> Cow<'_, str> {
    if key.len() <= LockKey::MAX_BYTES {
        return Cow::Borrowed(key);
    }
    key.chars().take(80).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_of_512_bytes_is_accepted_and_one_more_is_refused() {
        assert!(LockKey::new("k".repeat(512)).is_ok());
        assert!(LockKey::new("k".repeat(513)).is_err());
    }

    #[test]
    fn a_key_that_is_too_long_is_shown_by_its_beginning() {
        let error = LockKey::new("ü".repeat(1_000_000)).unwrap_err();
        let beginning = format!("{}…", "ü".repeat(80));
        assert_eq!(error.key(), Some(&*beginning));
        assert!(error.to_string().contains("a hash"), "{error}");
        assert!(error.to_string().len() < LockKey::MAX_BYTES, "{error}");
    }

    #[test]
    fn a_refused_character_is_answered_by_its_escape() {
        for (key, escaped) in [("a b", "`%20`"), ("a\nb", "`%0A`")] {
            let error = LockKey::new(key).unwrap_err();
            assert!(error.to_string().contains(escaped), "{error}");
        }
    }

    #[test]
    fn an_empty_key_is_refused() {
        assert!(LockKey::new("").is_err());
    }

    #[test]
    fn white_space_and_control_characters_are_refused() {
        for bad in ["a b", "a\tb", "a\nb", "a\u{a0}b", "a\0b", "a\u{7f}b"] {
            assert!(LockKey::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_key_is_kept_to_the_letter(key in "[!-~]{1,64}") {
            let parsed = LockKey::new(&key).unwrap();
            prop_assert_eq!(parsed.as_str(), key);
        }
    }
}
