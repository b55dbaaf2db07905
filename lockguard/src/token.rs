//! What proves ownership of a lease.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{random, scratch::with_text};

/// Opens every owner token of ours, so that a holder can be told from a
/// client of another library.
const MARK: &str = "lg1:";

/// Hex digits of the random part: 128 bits.
const RANDOM_DIGITS: usize = 32;

/// Proves ownership of a lease: a readable label and 128 random bits.
///
/// A new random part is drawn for every attempt from a thread-local
/// cryptographically secure generator, and differs between processes that were
/// forked from one, so that a late release of one attempt
/// can never delete the lock of the next, and two owners with the same label
/// still exclude each other.
///
/// `Debug` and `Display` show the label alone.
/// [`OwnerToken::expose`] gives the whole text, `lg1:<label>:<32 hex digits>`,
/// which is exactly what the servers store under the key; whoever knows it can
/// release the lock.
///
/// # Examples
///
/// ```
/// use lockguard::OwnerToken;
///
/// let token = OwnerToken::with_label("billing@host-1");
/// assert_eq!(token.label(), "billing@host-1");
/// assert_eq!(token.to_string(), "lg1:billing@host-1:…");
/// assert_eq!(token.expose().parse::<OwnerToken>()?, token);
/// # Ok::<_, lockguard::ParseOwnerTokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnerToken(Arc<str>);

impl OwnerToken {
    /// Makes a fresh token that carries this label.
    pub fn with_label(label: impl AsRef<str>) -> Self {
        let label = label.as_ref();
        let bits = random::secret();
        with_text(|text| {
            text.push_str(MARK);
            text.push_str(label);
            text.push(':');
            push_hex(text, bits);
            Self(Arc::from(&**text))
        })
    }

    /// The readable part: who the owner says it is.
    pub fn label(&self) -> &str {
        label_of(&self.0).unwrap_or_default()
    }

    /// What a server stores while a key is reserved for this token: a release by
    /// it gives a reservation on, and leaves alone what was granted.
    #[cfg(feature = "redis")]
    pub(crate) fn reserved(&self) -> Self {
        Self(format!("{} reserved", self.0).into())
    }

    /// Uniform in 0…1, and always the same.
    pub(crate) fn draw(&self) -> f64 {
        let highest = u32::try_from(self.random() >> (u128::BITS - u32::BITS));
        f64::from(highest.unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// The random part.
    pub(crate) fn random(&self) -> u128 {
        let digits = self.0.get(self.0.len().saturating_sub(RANDOM_DIGITS)..);
        let random = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        random.unwrap_or_default()
    }

    /// The whole token, random part included: a secret while the lease lasts.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnerToken {
    type Err = ParseOwnerTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match label_of(text) {
            Some(_) => Ok(Self(Arc::from(text))),
            None => Err(ParseOwnerTokenError(())),
        }
    }
}

impl fmt::Display for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is whatever its maker has written.
        write!(f, "{MARK}{}:…", self.label().escape_debug())
    }
}

impl fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerToken({self})")
    }
}

/// Says that a text is no owner token of lockguard's.
#[derive(Clone, PartialEq, Eq)]
pub struct ParseOwnerTokenError(());

impl fmt::Display for ParseOwnerTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parse an owner token: expected `lg1:<label>:<32 hex digits>`")
    }
}

/// As its text, which says what to do: it is what a `main` that returns it prints.
impl fmt::Debug for ParseOwnerTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParseOwnerTokenError({self})")
    }
}

impl std::error::Error for ParseOwnerTokenError {}

/// The label inside a stored value, or `None` for another library's.
pub(crate) fn label_of(value: &str) -> Option<&str> {
    let (label, random) = value.strip_prefix(MARK)?.rsplit_once(':')?;
    let is_hex = random
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (random.len() == RANDOM_DIGITS && is_hex).then_some(label)
}

/// Appends 32 hex digits without the machinery of `format!`, which costs
/// twenty times as much.
fn push_hex(text: &mut String, bits: u128) {
    // Without a branch, so that the compiler does many at once.
    let digit = |nibble| b'0' + nibble + u8::from(nibble > 9) * (b'a' - b'9' - 1);
    let two_of = |byte: u8| [byte >> 4, byte & 0xf].map(digit);
    let digits = bits.to_be_bytes().map(two_of);
    // Digits are ASCII, so that this is never the default.
    text.push_str(str::from_utf8(digits.as_flattened()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_tokens_with_one_label_differ() {
        assert_ne!(OwnerToken::with_label("a"), OwnerToken::with_label("a"));
    }

    #[test]
    fn neither_debug_nor_display_shows_the_random_part() {
        let token = OwnerToken::with_label("host-1");
        let random = token.expose().rsplit(':').next().unwrap();
        for shown in [format!("{token}"), format!("{token:?}")] {
            assert!(!shown.contains(random), "{shown}");
            assert!(shown.contains("host-1"), "{shown}");
        }
    }

    #[test]
    fn what_is_shown_of_a_label_is_one_line() {
        let token = OwnerToken::with_label("a\nb\u{1b}[31m");
        assert_eq!(token.to_string(), r"lg1:a\nb\u{1b}[31m:…");
        assert_eq!(token.label(), "a\nb\u{1b}[31m");
    }

    #[test]
    fn another_librarys_value_is_not_parsed() {
        for foreign in [
            "",
            "lg1:",
            "lg1:a",
            "lg1:a:12",
            "b64+value==",
            "lg2:a:00000000000000000000000000000000",
        ] {
            assert!(foreign.parse::<OwnerToken>().is_err(), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_label_survives_the_round_trip(label in ".{0,40}") {
            let token = OwnerToken::with_label(&label);
            prop_assert_eq!(token.label(), &label);
            prop_assert_eq!(token.expose().parse::<OwnerToken>().unwrap(), token);
        }
    }

    #[test]
    fn the_random_part_is_what_stands_behind_the_label() {
        let token: OwnerToken = "lg1:a:b:0000000000000001000000000000002a".parse().unwrap();
        assert_eq!(token.random(), (1 << 64) + 42);
    }

    proptest! {
        #[test]
        fn hex_agrees_with_the_standard_formatter(bits: u128) {
            let mut text = String::new();
            push_hex(&mut text, bits);
            prop_assert_eq!(text, format!("{bits:032x}"));
        }
    }
}
