//! A record as bytes.

use std::time::Duration;

use super::{
    Call, Interface, Look, Operation, Outcome, Record, RuntimeDrop, Stall, Start, Usage, Who,
};
use crate::torture::clock::{Nanos as _, Stamp};

/// How many bytes a record has.
pub(super) const LENGTH: usize = 64;

/// The fields that records have in common: four bytes, two short numbers and
/// seven long ones.
#[derive(Default)]
struct Fields {
    kind: u8,
    interface: u8,
    outcome: u8,
    flag: u8,
    client: u16,
    key: u16,
    numbers: [u64; 7],
}

impl Fields {
    fn of(kind: u8, who: Who) -> Self {
        let mut fields = Self {
            kind,
            interface: index_of(&Interface::ALL, &who.interface),
            client: who.client,
            key: who.key,
            ..Self::default()
        };
        fields.numbers[0] = who.id;
        fields
    }

    fn who(&self) -> Who {
        Who {
            client: self.client,
            interface: Interface::ALL[usize::from(self.interface)],
            key: self.key,
            id: self.numbers[0],
        }
    }

    fn stamp(&self, nth: usize) -> Stamp {
        Stamp::from_nanos(self.numbers[nth])
    }

    fn duration(&self, nth: usize) -> Duration {
        Duration::from_nanos(self.numbers[nth])
    }
}

fn index_of<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let nth = all.iter().position(|other| other == one);
    u8::try_from(nth.expect("one of all")).expect("a few of them")
}

pub(super) fn encode(record: &Record) -> [u8; LENGTH] {
    let fields = match record {
        Record::Call(call) => {
            let mut fields = Fields::of(0, call.who);
            fields.outcome = index_of(&Outcome::ALL, &call.outcome);
            let operation = index_of(&Operation::ALL, &call.operation);
            fields.flag = operation | (u8::from(call.is_fenced) << 7);
            fields.numbers[1..].copy_from_slice(&[
                call.begin.nanos(),
                call.end.nanos(),
                call.ttl.as_nanos_u64(),
                call.wait.as_nanos_u64(),
                call.work.as_nanos_u64(),
                call.limit.as_nanos_u64(),
            ]);
            fields
        }
        Record::Start(start) => {
            let mut fields = Fields::of(1, start.who);
            fields.numbers[1..].copy_from_slice(&[
                start.begin.nanos(),
                start.start.nanos(),
                start.deadline.nanos(),
                start.token,
                start.ttl.as_nanos_u64(),
                start.wait.as_nanos_u64(),
            ]);
            fields
        }
        Record::Look(look) => {
            let mut fields = Fields::of(2, look.who);
            fields.flag = u8::from(look.is_end);
            fields.numbers[1] = look.at.nanos();
            fields.numbers[2] = look.deadline.nanos();
            fields
        }
        Record::Usage(usage) => Fields {
            kind: 3,
            flag: u8::from(usage.is_last),
            client: usage.client,
            numbers: [usage.memory, usage.files, usage.tasks, 0, 0, 0, 0],
            ..Fields::default()
        },
        Record::Stall(stall) => Fields {
            kind: 4,
            client: stall.client,
            numbers: [stall.begin.nanos(), stall.end.nanos(), 0, 0, 0, 0, 0],
            ..Fields::default()
        },
        Record::RuntimeDrop(dropped) => Fields {
            kind: 5,
            client: dropped.client,
            numbers: [dropped.begin.nanos(), dropped.end.nanos(), 0, 0, 0, 0, 0],
            ..Fields::default()
        },
    };
    let mut bytes = [0; LENGTH];
    bytes[..4].copy_from_slice(&[fields.kind, fields.interface, fields.outcome, fields.flag]);
    bytes[4..6].copy_from_slice(&fields.client.to_le_bytes());
    bytes[6..8].copy_from_slice(&fields.key.to_le_bytes());
    for (number, bytes) in fields.numbers.iter().zip(bytes[8..].chunks_exact_mut(8)) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

pub(super) fn decode(bytes: &[u8; LENGTH]) -> Record {
    let (numbers, _) = bytes[8..].as_chunks::<8>();
    let mut fields = Fields {
        kind: bytes[0],
        interface: bytes[1],
        outcome: bytes[2],
        flag: bytes[3],
        client: u16::from_le_bytes([bytes[4], bytes[5]]),
        key: u16::from_le_bytes([bytes[6], bytes[7]]),
        numbers: [0; 7],
    };
    for (field, bytes) in fields.numbers.iter_mut().zip(numbers) {
        *field = u64::from_le_bytes(*bytes);
    }
    match fields.kind {
        0 => Record::Call(Call {
            who: fields.who(),
            operation: Operation::ALL[usize::from(fields.flag & 0x7f)],
            is_fenced: fields.flag >> 7 == 1,
            outcome: Outcome::ALL[usize::from(fields.outcome)],
            begin: fields.stamp(1),
            end: fields.stamp(2),
            ttl: fields.duration(3),
            wait: fields.duration(4),
            work: fields.duration(5),
            limit: fields.duration(6),
        }),
        1 => Record::Start(Start {
            who: fields.who(),
            begin: fields.stamp(1),
            start: fields.stamp(2),
            deadline: fields.stamp(3),
            token: fields.numbers[4],
            ttl: fields.duration(5),
            wait: fields.duration(6),
        }),
        2 => Record::Look(Look {
            who: fields.who(),
            at: fields.stamp(1),
            deadline: fields.stamp(2),
            is_end: fields.flag == 1,
        }),
        3 => Record::Usage(Usage {
            client: fields.client,
            is_last: fields.flag == 1,
            memory: fields.numbers[0],
            files: fields.numbers[1],
            tasks: fields.numbers[2],
        }),
        4 => Record::Stall(Stall {
            client: fields.client,
            begin: fields.stamp(0),
            end: fields.stamp(1),
        }),
        5 => Record::RuntimeDrop(RuntimeDrop {
            client: fields.client,
            begin: fields.stamp(0),
            end: fields.stamp(1),
        }),
        kind => panic!("no kind of record: {kind}"),
    }
}
