//! What a cell is judged to be.

use std::{fmt, time::Duration};

use super::journal::Interface;

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Two bodies at once: the key was granted while it was held.
    GrantedTwice,
    /// Two bodies at once: the key had been freed by somebody else's release.
    FreedByAnother,
    /// Two bodies at once: the first trusted its lease beyond its ttl.
    TrustedTooLong,
    /// A fencing token that is not greater than every one before it.
    TokenNotGreater,
    /// A key on a server whose owner had been gone for a ttl.
    KeyLeft,
    /// An error that is not true.
    WrongError,
    /// A call that took longer than its bound.
    SlowCall,
    /// More memory, files, tasks or connections than before.
    Growth,
    /// Nothing failed where everything should have.
    NotFelt,
}

impl Flaw {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::GrantedTwice => "granted twice",
            Self::FreedByAnother => "freed by another's release",
            Self::TrustedTooLong => "trusted beyond its ttl",
            Self::TokenNotGreater => "token not greater",
            Self::KeyLeft => "key left",
            Self::WrongError => "wrong error",
            Self::SlowCall => "slow call",
            Self::Growth => "growth",
            Self::NotFelt => "fault not felt",
        }
    }

    /// Whether two bodies were inside at once.
    pub fn is_overlap(self) -> bool {
        matches!(
            self,
            Self::GrantedTwice | Self::FreedByAnother | Self::TrustedTooLong
        )
    }
}

/// A flaw that was found.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What it is.
    pub flaw: Flaw,
    /// Whose it is, where it is one interface's.
    pub interface: Option<Interface>,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flaw.name(), self.text)
    }
}

/// What came of the calls by one interface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Locks that were acquired, and whose bodies began.
    pub acquired: u64,
    /// Calls that met another holder for the whole wait.
    pub busy: u64,
    /// Calls to which too few nodes answered.
    pub unavailable: u64,
    /// Of these, those while a quorum was there: the machine's doing, or wrong.
    pub excused: u64,
    /// Bodies whose lease was lost.
    pub lost: u64,
    /// Calls that were cancelled.
    pub cancelled: u64,
    /// Calls whose manager's runtime was gone.
    pub runtime_gone: u64,
    /// Overlaps of two fenced bodies, and of these, how many a resource that
    /// compares tokens would have refused.
    pub fenced_overlaps: u64,
    /// See [`fenced_overlaps`](Self::fenced_overlaps).
    pub refused: u64,
    /// The longest acquire, beyond what it was to wait.
    pub longest: Duration,
    /// The longest that a body went on after its deadline, the machine's
    /// stalls not counted.
    pub latest: Duration,
}

/// The judgement.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// By interface, in the order of [`Interface::ALL`].
    pub counts: [Counts; 3],
    /// What must not have been.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Notes what must not have been.
    pub(super) fn violated(&mut self, flaw: Flaw, interface: Option<Interface>, text: String) {
        self.violations.push(Violation {
            flaw,
            interface,
            text,
        });
    }

    /// How many violations are of such a kind, by this interface or by none.
    pub fn count(&self, interface: Interface, is_counted: impl Fn(Flaw) -> bool) -> usize {
        self.violations
            .iter()
            .filter(|violation| {
                violation.interface.is_none_or(|other| other == interface)
                    && is_counted(violation.flaw)
            })
            .count()
    }

    /// How many violations are this one.
    pub fn count_of(&self, flaw: Flaw) -> usize {
        let violations = self.violations.iter();
        violations
            .filter(|violation| violation.flaw == flaw)
            .count()
    }
}
