//! Who holds a key that was refused.

use std::{fmt, sync::Arc, time::Duration};

use crate::{fencing_token::FencingToken, key::LockKey, token::label_of};

/// The owner that a server named when it refused a key.
///
/// The stored value is compared, never shown: whoever knows it can release the
/// lock.
#[derive(Clone, PartialEq, Eq)]
pub struct Holder {
    value: Arc<[u8]>,
    expires_in: Option<Duration>,
    key: Option<LockKey>,
    fence: Option<FencingToken>,
    place: Option<u32>,
}

impl Holder {
    /// The holder whose value is stored under the key.
    ///
    /// `expires_in` is what is left of the key's ttl; `None` for a key without
    /// expiry.
    pub fn new(value: impl Into<Arc<[u8]>>, expires_in: Option<Duration>) -> Self {
        Self {
            value: value.into(),
            expires_in,
            key: None,
            fence: None,
            place: None,
        }
    }

    /// A holder of whom nothing is known.
    pub fn unknown() -> Self {
        Self::new([], None)
    }

    /// The same, for one of several keys that were asked for.
    #[must_use]
    pub fn of_key(mut self, key: LockKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Which of several keys it holds; `None` for the first or the only one.
    pub fn key(&self) -> Option<&LockKey> {
        self.key.as_ref()
    }

    /// The same, with the key's fence: the reply to a fenced request.
    #[must_use]
    pub fn with_fence(mut self, fence: Option<FencingToken>) -> Self {
        self.fence = fence;
        self
    }

    /// The greatest fencing token that the server has accepted for the keys
    /// that were asked for; `None` for none, or where nobody asked.
    pub fn fence(&self) -> Option<FencingToken> {
        self.fence
    }

    /// The same, with how many stand in the key's line before the waiter that
    /// was refused, as far as the server counts them.
    #[must_use]
    pub fn with_place(mut self, place: Option<u32>) -> Self {
        self.place = place;
        self
    }

    /// How many stand in the key's line before the waiter that was refused, as far
    /// as the server counts them: one that comes anew may only hear whether it is
    /// the first. `None` where it stands in none.
    pub fn place(&self) -> Option<u32> {
        self.place
    }

    /// The holder's label; `None` for a client of another library.
    pub fn label(&self) -> Option<&str> {
        label_of(std::str::from_utf8(&self.value).ok()?)
    }

    /// What was left of the key's ttl; `None` for a key without expiry.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Whether both are one owner, whatever is left of their ttls.
    pub fn is_same_owner(&self, other: &Self) -> bool {
        self.value == other.value
    }

    /// The same owner with another remaining time.
    pub(crate) fn with_expiry(mut self, expires_in: Option<Duration>) -> Self {
        self.expires_in = expires_in;
        self
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder")
            .field("label", &self.label())
            .field("expires_in", &self.expires_in)
            .field("key", &self.key)
            .field("fence", &self.fence)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
