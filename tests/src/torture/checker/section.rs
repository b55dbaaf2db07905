//! One body, as the journal tells it.

use std::fmt;

use crate::torture::{clock::Stamp, journal::Start};

/// One body, as the journal tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) start: Start,
    pub(super) deadline: Stamp,
    /// `None`: its process was killed, or it went on to the end.
    pub(super) end: Option<Stamp>,
}

impl Section {
    /// Until when it was inside, as far as its lease could be trusted.
    pub(super) fn valid_until(&self) -> Stamp {
        self.end.map_or(self.deadline, |end| end.min(self.deadline))
    }

    /// Whether its lease could be trusted when it began.
    pub(super) fn is_valid(&self) -> bool {
        self.start.start < self.deadline
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.start.start < other.valid_until() && other.start.start < self.valid_until()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Start {
            who,
            begin,
            start,
            token,
            ttl,
            ..
        } = self.start;
        write!(
            f,
            "client {} call {} (asked {begin}, in {start}, ",
            who.client, who.id
        )?;
        match self.end {
            Some(end) => write!(f, "out {end}, ")?,
            None => write!(f, "never out, ")?,
        }
        write!(f, "deadline {}, ttl {ttl:?}", self.deadline)?;
        if token > 0 {
            write!(f, ", token {token}")?;
        }
        write!(f, ")")
    }
}
