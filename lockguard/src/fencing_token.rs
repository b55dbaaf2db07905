//! What a protected resource compares.

use std::{fmt, num::NonZeroU64};

/// A number that grows with every fenced lease of a key.
///
/// Hand it to the protected resource with every write: a resource that keeps
/// the greatest one it has seen, and refuses smaller ones, is safe from owners
/// whose lease has ended without their knowledge.
/// Tokens are greater than zero and below 2⁵³, so that they fit a SQL `BIGINT`
/// and a JSON number; they look like microseconds since 1970, and are to be
/// compared, never interpreted.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use lockguard::{FencingToken, LockManager};
/// /// The row that the lock protects.
/// #[derive(Default)]
/// struct Account {
///     balance: i64,
///     fence: Option<FencingToken>,
/// }
///
/// impl Account {
///     /// `UPDATE … SET fence = $1 WHERE fence IS NULL OR fence <= $1`
///     fn set(&mut self, balance: i64, token: FencingToken) -> bool {
///         let is_current = self.fence <= Some(token);
///         if is_current {
///             (self.balance, self.fence) = (balance, Some(token));
///         }
///         is_current
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let manager = LockManager::memory();
/// # let ttl = Duration::from_secs(2);
/// let mut account = Account::default();
/// let guard = manager.lock("account:7", ttl).fenced().acquire().await?;
/// let early = guard.fencing_token().expect("a fenced lease has one");
/// guard.release().await?;
///
/// let guard = manager.lock("account:7", ttl).fenced().acquire().await?;
/// let late = guard.fencing_token().expect("a fenced lease has one");
/// assert!(late > early);
/// assert!(account.set(100, late));
/// assert!(!account.set(50, early)); // the former owner comes too late
/// # guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(NonZeroU64);

impl FencingToken {
    /// The greatest number that is a token.
    pub const MAX: u64 = (1 << 53) - 1;

    /// A token with this number, for mocks and lock stores; `None` for zero
    /// and from 2⁵³ on.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The number: greater than zero, and below 2⁵³.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl From<FencingToken> for u64 {
    fn from(token: FencingToken) -> Self {
        token.get()
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FencingToken({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_above_zero_and_below_two_to_the_53rd() {
        assert_eq!(FencingToken::new(0), None);
        assert_eq!(FencingToken::new(1 << 53), None);
        for number in [1, FencingToken::MAX] {
            assert_eq!(FencingToken::new(number).unwrap().get(), number);
        }
    }

    #[test]
    fn an_absent_token_takes_no_room() {
        assert_eq!(size_of::<Option<FencingToken>>(), size_of::<u64>());
    }
}
