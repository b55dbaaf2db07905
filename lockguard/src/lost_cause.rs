//! What ends a lease too soon.

use std::fmt;

/// What ended a lease before its owner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LostCause {
    /// The deadline passed.
    Expired,
    /// A quorum of servers says that the key is not ours, or the only server
    /// has restarted and may have forgotten it.
    Taken,
    /// The lease was renewed for as long as `max_hold` allows.
    MaxHold,
    /// The manager was drained.
    Drained,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its lease has ended",
            Self::Taken => "the servers say it is not ours any more",
            Self::MaxHold => "it was held for as long as `max_hold` allows",
            Self::Drained => "the lock manager was drained",
        })
    }
}
