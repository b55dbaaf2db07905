//! A lock on its way from one holder to another.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
    time::Duration,
};

use crate::{
    fencing_token::FencingToken, holding::Holding, key::LockKey, keys::LockKeys, token::OwnerToken,
    validity::TTL_RANGE,
};

/// A lock that its holder has given away, and nobody has taken over yet.
///
/// Made by [`LockGuard::into_handover`](crate::LockGuard::into_handover), taken
/// over by [`LockManager::adopt`](crate::LockManager::adopt), in another task or
/// another process: [`expose`](Self::expose) is it as text, and
/// [`FromStr`] reads that; with the feature `serde` it is serialized as that
/// text.
/// The lock stays taken for its ttl meanwhile, and is free afterwards.
///
/// Clones, and copies of the text, are one handover: the first that is adopted
/// gets the lock.
/// Where several are adopted at the same moment, over several servers, it may
/// be that none gets it: the lock is free, or, where one of them heard that it is
/// [unavailable](crate::LockError::Unavailable), is the handover's again.
///
/// # Examples
///
/// A web server takes an order, and a worker fulfils it:
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::LockManager;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let manager = LockManager::memory();
/// let guard = manager.lock("order:17", Duration::from_secs(30)).acquire().await?;
/// let message = guard.into_handover().expose();
///
/// // In the worker:
/// let guard = manager.adopt(message.parse()?).await?;
/// assert_eq!(guard.keys()[0].as_str(), "order:17");
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    keys: LockKeys,
    token: OwnerToken,
    /// Whole milliseconds, within what is accepted.
    ttl: Duration,
    fencing_token: Option<FencingToken>,
}

impl Handover {
    pub(crate) fn new(holding: &Holding) -> Self {
        // As servers count it, and as the text has it.
        let millis = u64::try_from(holding.ttl.as_millis());
        Self {
            keys: holding.lease.all_keys().clone(),
            token: holding.token.clone(),
            ttl: millis.map_or(*TTL_RANGE.end(), Duration::from_millis),
            fencing_token: holding.lease.fencing_token(),
        }
    }

    pub(crate) fn all_keys(&self) -> &LockKeys {
        &self.keys
    }

    /// The keys, sorted and as the servers store them, prefix included.
    pub fn keys(&self) -> &[LockKey] {
        self.keys.as_slice()
    }

    /// What the servers store under the keys until the lock is adopted.
    pub fn token(&self) -> &OwnerToken {
        &self.token
    }

    /// How long whoever adopts the lock holds it, unless it is extended.
    ///
    /// Until it is adopted it stays taken for what is left of the lease that
    /// was given away, which may be less.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The lease's fencing token, if it had one; whoever adopts the lock goes
    /// on with it.
    pub fn fencing_token(&self) -> Option<FencingToken> {
        self.fencing_token
    }

    /// As [`fencing_token`](Self::fencing_token), by the name that the attribute
    /// has for it.
    pub fn fence(&self) -> Option<FencingToken> {
        self.fencing_token
    }

    /// It as text, without white space: a secret, since whoever knows it can
    /// take the lock.
    ///
    /// `lgh1;<ttl in ms>;<fencing token or ->;<owner token>;<key>[;<key>…]`,
    /// percent-encoded.
    pub fn expose(&self) -> String {
        let mut text = format!("{MARK}{SEPARATOR}{}{SEPARATOR}", self.ttl.as_millis());
        match self.fencing_token {
            Some(token) => text.push_str(&token.to_string()),
            None => text.push_str(NO_FENCE),
        }
        let keys = self.keys.iter().map(LockKey::as_str);
        for field in [self.token.expose()].into_iter().chain(keys) {
            text.push(SEPARATOR);
            escape(field, &mut text);
        }
        text
    }
}

impl FromStr for Handover {
    type Err = ParseHandoverError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let handover = parse(text).map_err(ParseHandoverError)?;
        // One text for each handover: what is written in any other way has
        // been changed on its way.
        if handover.expose() == text {
            Ok(handover)
        } else {
            Err(ParseHandoverError("it is not written as lockguard does"))
        }
    }
}

/// Says that a text is no [`Handover`], and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseHandoverError(&'static str);

impl fmt::Display for ParseHandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text itself: it may be all but a secret.
        write!(f, "parse a handover: {}", self.0)
    }
}

impl std::error::Error for ParseHandoverError {}

/// The version of the text.
const MARK: &str = "lgh1";

const SEPARATOR: char = ';';

const NO_FENCE: &str = "-";

fn parse(text: &str) -> Result<Handover, &'static str> {
    let mut fields = text.split(SEPARATOR);
    if fields.next() != Some(MARK) {
        return Err("it does not begin with `lgh1;`");
    }
    let mut next = || fields.next().ok_or("it is cut off");
    let ttl = next()?.parse().map(Duration::from_millis);
    let ttl = ttl.map_err(|_| "its ttl is no number")?;
    if !TTL_RANGE.contains(&ttl) {
        return Err("its ttl is not within 10ms and 24h");
    }
    let fencing_token = match next()? {
        NO_FENCE => None,
        number => {
            let number = number.parse().ok().and_then(FencingToken::new);
            Some(number.ok_or("its fencing token is none")?)
        }
    };
    let token = unescape(next()?).and_then(|token| token.parse().ok());
    let token = token.ok_or("its owner token is none")?;
    let key = |key| unescape(key).and_then(|key| LockKey::new(key).ok());
    let keys: Option<Vec<_>> = fields.map(key).collect();
    let keys = keys.ok_or("one of its keys is none")?;
    Ok(Handover {
        keys: LockKeys::new(keys).ok_or("it names no key")?,
        token,
        ttl,
        fencing_token,
    })
}

/// Leaves what is common in keys as it is.
fn escape(field: &str, text: &mut String) {
    for byte in field.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // A string takes whatever is written.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn unescape(field: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from((high << 4) | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "lg1:a:00000000000000000000000000000000";

    fn error_of(text: &str) -> String {
        text.parse::<Handover>().unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_as_it_is_documented() {
        let text = format!("lgh1;2000;17;{TOKEN};a;b%20c%3B");
        assert!(error_of(&text).contains("keys"), "a key has no space");
        let text = format!("lgh1;2000;17;{TOKEN};a;b%3B");
        let handover: Handover = text.parse().unwrap();
        assert_eq!(handover.keys()[1].as_str(), "b;");
        assert_eq!(handover.ttl(), Duration::from_secs(2));
        assert_eq!(handover.fencing_token(), FencingToken::new(17));
        assert_eq!(handover.expose(), text);
    }

    #[test]
    fn a_ttl_that_no_lock_has_is_refused() {
        for ttl in ["9", "0", "86400001", "-1", "", "2s", "18446744073709551616"] {
            assert!(
                error_of(&format!("lgh1;{ttl};-;{TOKEN};k")).contains("ttl"),
                "{ttl}"
            );
        }
    }

    #[test]
    fn a_number_that_is_no_fencing_token_is_refused() {
        for fence in ["0", "9007199254740992", "", "x"] {
            let error = error_of(&format!("lgh1;2000;{fence};{TOKEN};k"));
            assert!(error.contains("fencing token"), "{fence}: {error}");
        }
    }

    #[test]
    fn a_text_without_keys_or_with_one_that_is_none_is_refused() {
        for keys in ["", ";", ";a;", ";%ZZ", ";%0", ";%FF"] {
            let error = error_of(&format!("lgh1;2000;-;{TOKEN}{keys}"));
            assert!(error.contains("key"), "{keys}: {error}");
        }
    }

    #[test]
    fn a_text_that_was_written_by_anybody_else_is_refused() {
        for text in [
            format!("lgh1;02000;-;{TOKEN};k"),
            format!("lgh1;+2000;-;{TOKEN};k"),
            format!("lgh1;2000;-;{TOKEN};b;a"),
            format!("lgh1;2000;-;{TOKEN};a;a"),
            format!("lgh1;2000;-;{TOKEN};%61"),
            format!("lgh1;2000;-;{TOKEN};a%3b"),
        ] {
            assert!(error_of(&text).contains("not written"), "{text}");
        }
    }

    #[test]
    fn another_version_and_what_is_cut_off_are_refused() {
        let text = format!("lgh1;2000;-;{TOKEN};k");
        assert!(error_of(&text.replace("lgh1", "lgh2")).contains("lgh1"));
        for end in 0..text.len() {
            assert!(text[..end].parse::<Handover>().is_err(), "{end}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_random_part() {
        let handover: Handover = format!("lgh1;2000;-;{TOKEN};k").parse().unwrap();
        let random = "0".repeat(32);
        assert!(!format!("{handover:?}").contains(&random));
        let broken = format!("lgh1;2000;-;{TOKEN}");
        assert!(!error_of(&broken).contains(&random));
    }

    fn handovers() -> impl Strategy<Value = Handover> {
        let keys = prop::collection::vec("[^\\s\\p{Cc}]{1,20}", 1..5);
        let fence = prop::option::of(1..=FencingToken::MAX);
        (keys, ".{0,40}", 10..=86_400_000_u64, fence).prop_filter_map(
            "keys are valid",
            |(keys, label, ttl, fence)| {
                let keys: Result<Vec<_>, _> = keys.into_iter().map(LockKey::new).collect();
                Some(Handover {
                    keys: LockKeys::new(keys.ok()?)?,
                    token: OwnerToken::with_label(label),
                    ttl: Duration::from_millis(ttl),
                    fencing_token: fence.and_then(FencingToken::new),
                })
            },
        )
    }

    proptest! {
        #[test]
        fn any_handover_survives_the_round_trip(handover in handovers()) {
            let text = handover.expose();
            prop_assert!(text.is_ascii() && !text.contains(' '));
            prop_assert_eq!(text.parse::<Handover>().unwrap(), handover);
        }

        #[test]
        fn whatever_is_accepted_is_written_back_as_it_was(
            handover in handovers(),
            at: prop::sample::Index,
            byte in "[!-~]",
        ) {
            let mut text = handover.expose();
            let at = at.index(text.len());
            text.replace_range(at..=at, &byte);
            if let Ok(parsed) = text.parse::<Handover>() {
                prop_assert_eq!(parsed.expose(), text);
            }
        }
    }
}
