//! What the values in a key template become: values in, a key out.
//!
//! Values that are shown differently never make the same key: whatever separates
//! values in a template, or could forge a key or a cluster hash tag, is
//! percent-escaped inside a value.

use std::fmt::{self, Write as _};

use crate::lock_error::LockError;

/// A value that may stand in a key template.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a lock key",
    label = "this placeholder's value does not implement `Display`",
    note = "implement `std::fmt::Display` for `{Self}`, or name a field or a method that does, \
            such as `{{order.id}}`"
)]
pub trait KeyPart {
    /// The value's text.
    fn display(&self) -> &dyn fmt::Display;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> KeyPart for T {
    fn display(&self) -> &dyn fmt::Display {
        self
    }
}

/// Appends the texts of a template and the values between them.
///
/// # Errors
///
/// [`LockError::InvalidKey`] when a value is empty: a missing tenant would be
/// one lock for everybody.
pub(crate) fn render(
    key: &mut String,
    texts: &[&str],
    values: &[&dyn KeyPart],
) -> Result<(), LockError> {
    let mut values = values.iter();
    for text in texts {
        key.push_str(text);
        let Some(value) = values.next() else { continue };
        let before = key.len();
        // Writing to a `String` fails only if the value's `Display` does.
        if write!(Escaped(key), "{}", value.display()).is_err() {
            return Err(LockError::invalid_key(
                key.as_str(),
                "the value that follows failed to display itself",
            ));
        }
        if key.len() == before {
            return Err(LockError::invalid_key(
                key.as_str(),
                "the value that follows is empty, and the key would be one lock for everybody",
            ));
        }
    }
    Ok(())
}

/// Percent-escapes what it is given.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.0.push_str(text);
            return Ok(());
        }
        for char in text.chars() {
            if is_plain(char) {
                self.0.push(char);
            } else {
                for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                    write!(self.0, "%{byte:02X}")?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(char: char) -> bool {
    !matches!(char, '%' | ':' | '/' | '|' | '#' | '{' | '}')
        && !char.is_whitespace()
        && !char.is_control()
}

/// An unsigned integer, the only kind of value that may be padded.
#[diagnostic::on_unimplemented(
    message = "a zero-padded width is for unsigned integers, and `{Self}` is none",
    label = "`{Self}` cannot be padded without making different values equal",
    note = "leave the format out: `{{id}}` instead of `{{id:>04}}`"
)]
pub trait UnsignedInteger: fmt::Display + Copy {}

macro_rules! unsigned_integers {
    ($($integer:ty)*) => { $(impl UnsignedInteger for $integer {})* };
}
unsigned_integers!(u8 u16 u32 u64 u128 usize);

impl<T: UnsignedInteger> UnsignedInteger for &T {}

/// An unsigned integer with leading zeros.
pub struct Padded<T> {
    pub(crate) value: T,
    pub(crate) width: usize,
}

impl<T: UnsignedInteger> fmt::Display for Padded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, width } = self;
        write!(f, "{value:0width$}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(texts: &[&str], values: &[&dyn KeyPart]) -> Result<String, LockError> {
        let mut key = String::new();
        super::render(&mut key, texts, values).map(|()| key)
    }

    #[test]
    fn plain_values_stay_readable() {
        let key = render(&["seat:", "/", ""], &[&17, &"A-7.é"]).unwrap();
        assert_eq!(key, "seat:17/A-7.é");
    }

    #[test]
    fn a_value_cannot_forge_a_separator_or_a_hash_tag() {
        let key = render(&["t:", ""], &[&"a:b/{c} d%"]).unwrap();
        assert_eq!(key, "t:a%3Ab%2F%7Bc%7D%20d%25");
    }

    #[test]
    fn an_empty_value_is_refused() {
        let error = render(&["tenant:", ":job"], &[&""]).unwrap_err();
        assert!(error.to_string().contains("empty"), "{error}");
    }

    #[test]
    fn padding_keeps_numbers_in_order_of_text() {
        let padded = |value: u64| render(&["n:", ""], &[&Padded { value, width: 4 }]).unwrap();
        assert_eq!(padded(7), "n:0007");
        assert_eq!(padded(12_345), "n:12345");
    }

    proptest! {
        #[test]
        fn different_values_never_make_one_key(
            a in "\\PC{1,6}", b in "\\PC{1,6}", c in "\\PC{1,6}", d in "\\PC{1,6}",
        ) {
            let one = render(&["x:", ":", ""], &[&a, &b]).unwrap();
            let two = render(&["x:", ":", ""], &[&c, &d]).unwrap();
            prop_assert_eq!(one == two, (a, b) == (c, d));
        }

        #[test]
        fn a_rendered_value_is_always_a_valid_key(value in ".{1,40}") {
            let key = render(&["x:", ""], &[&value]).unwrap();
            prop_assert!(crate::LockKey::new(key).is_ok());
        }
    }
}
