//! What clients did, in a file that outlives them.
//!
//! A record is 64 bytes, and one write at the end of a file that all clients
//! of a cell have open: what is killed leaves what it wrote, whole.

mod bytes;

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::Path,
    time::Duration,
};

use self::bytes::{LENGTH, decode, encode};
use super::clock::Stamp;

/// The interface by which a lock was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interface {
    /// `#[distributed_lock]`.
    Attribute,
    /// `LockRequest::acquire` and a `LockGuard`.
    Guard,
    /// `LockManager::acquire` and `release`, by key and owner token.
    Token,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Attribute, Self::Guard, Self::Token];

    /// What it is called in the matrix, and in keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute => "attribute",
            Self::Guard => "guard",
            Self::Token => "token",
        }
    }
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It did what it was asked.
    Done,
    /// Another owner held the key.
    Busy,
    /// Too few nodes answered.
    Unavailable,
    /// The lease was lost: its deadline had passed.
    Expired,
    /// The lease was lost: its key was not its own any more.
    Taken,
    /// The lease was lost: `max_hold` had passed.
    MaxHold,
    /// A release by token found that nobody held the key.
    NotHeld,
    /// A release found another owner.
    NotOwner,
    /// The runtime of the manager had ended.
    RuntimeGone,
    /// The caller was cancelled.
    Cancelled,
    /// Any other error.
    Other,
}

impl Outcome {
    const ALL: [Self; 11] = [
        Self::Done,
        Self::Busy,
        Self::Unavailable,
        Self::Expired,
        Self::Taken,
        Self::MaxHold,
        Self::NotHeld,
        Self::NotOwner,
        Self::RuntimeGone,
        Self::Cancelled,
        Self::Other,
    ];

    /// Whether it says that the lease was lost.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Expired | Self::Taken | Self::MaxHold)
    }
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// To take a lock, and with the attribute to run its body.
    Acquire,
    /// To give it back.
    Release,
    /// To extend it.
    Extend,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Acquire, Self::Release, Self::Extend];
}

/// Who asked for which lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Who {
    /// The client process.
    pub client: u16,
    /// By which interface.
    pub interface: Interface,
    /// Which of the interface's keys.
    pub key: u16,
    /// Which of the client's acquisitions.
    pub id: u64,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Who called.
    pub who: Who,
    /// What was asked.
    pub operation: Operation,
    /// What it came to.
    pub outcome: Outcome,
    /// Whether a fencing token was asked for.
    pub is_fenced: bool,
    /// When it was called.
    pub begin: Stamp,
    /// When it had returned.
    pub end: Stamp,
    /// The ttl of the lock.
    pub ttl: Duration,
    /// How long it was to wait for another holder.
    pub wait: Duration,
    /// How long the body was to take.
    pub work: Duration,
    /// When its lease was to end at the latest, where `max_hold` limits it.
    pub limit: Duration,
}

/// A body was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Whose body.
    pub who: Who,
    /// When the lock was asked for.
    pub begin: Stamp,
    /// Before the body's first action.
    pub start: Stamp,
    /// Until when the lease may be trusted.
    pub deadline: Stamp,
    /// Its fencing token, or 0.
    pub token: u64,
    /// The ttl of the lock.
    pub ttl: Duration,
    /// How long it was to wait for another holder.
    pub wait: Duration,
}

/// A body goes on or has ended, and its deadline may have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whose body.
    pub who: Who,
    /// After the body's last action, where it has ended.
    pub at: Stamp,
    /// Until when the lease may be trusted.
    pub deadline: Stamp,
    /// Whether the body has ended.
    pub is_end: bool,
}

/// What a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Which client.
    pub client: u16,
    /// Whether it has done its work, or is about to begin.
    pub is_last: bool,
    /// Bytes in memory.
    pub memory: u64,
    /// Open files, connections among them.
    pub files: u64,
    /// Tasks that are alive.
    pub tasks: u64,
}

/// A client was not scheduled, or its runtime was blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Which client.
    pub client: u16,
    /// Since when.
    pub begin: Stamp,
    /// Until when.
    pub end: Stamp,
}

/// A client dropped the runtime of its manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeDrop {
    /// Which client.
    pub client: u16,
    /// Before its next calls got another manager.
    pub begin: Stamp,
    /// When nothing ran on the runtime any more, or it was waited for no longer.
    pub end: Stamp,
}

/// One entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// See [`Call`].
    Call(Call),
    /// See [`Start`].
    Start(Start),
    /// See [`Look`].
    Look(Look),
    /// See [`Usage`].
    Usage(Usage),
    /// See [`Stall`].
    Stall(Stall),
    /// See [`RuntimeDrop`].
    RuntimeDrop(RuntimeDrop),
}

/// An open journal.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Opens the journal, to add to it.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().append(true).create(true).open(path);
        Self(file.expect("open the journal"))
    }

    /// Adds a record.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, record: &Record) {
        (&self.0)
            .write_all(&encode(record))
            .expect("write to the journal");
    }

    /// Every record, in the order in which they were written.
    ///
    /// # Panics
    ///
    /// When the file is no journal.
    pub fn read(path: &Path) -> Vec<Record> {
        let bytes = fs::read(path).expect("read the journal");
        let (records, rest) = bytes.as_chunks::<LENGTH>();
        assert!(rest.is_empty(), "a journal of whole records");
        records.iter().map(decode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let who = Who {
            client: 3,
            interface: Interface::Token,
            key: 1027,
            id: 1 << 40,
        };
        let (begin, end) = (Stamp::from_nanos(5), Stamp::from_nanos(u64::MAX));
        let second = Duration::from_secs(1);
        let records = [
            Record::Call(Call {
                who,
                operation: Operation::Extend,
                outcome: Outcome::Other,
                is_fenced: true,
                begin,
                end,
                ttl: second,
                wait: 2 * second,
                work: 3 * second,
                limit: 4 * second,
            }),
            Record::Start(Start {
                who,
                begin,
                start: begin,
                deadline: end,
                token: 7,
                ttl: second,
                wait: 2 * second,
            }),
            Record::Look(Look {
                who,
                at: begin,
                deadline: end,
                is_end: true,
            }),
            Record::Usage(Usage {
                client: 3,
                is_last: true,
                memory: 1,
                files: 2,
                tasks: 3,
            }),
            Record::Stall(Stall {
                client: 3,
                begin,
                end,
            }),
            Record::RuntimeDrop(RuntimeDrop {
                client: 3,
                begin,
                end,
            }),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        let journal = Journal::open(file.path());
        for record in &records {
            journal.write(record);
        }
        assert_eq!(Journal::read(file.path()), records);
    }
}
