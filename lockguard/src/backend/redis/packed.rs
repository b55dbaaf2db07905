//! A command in the servers' protocol (RESP).

/// A command in the servers' protocol: an array of its arguments.
///
/// What the redis crate's `Cmd` packs, byte for byte, made at once: that keeps
/// its arguments first, and packs them afterwards.
#[derive(Default)]
pub(super) struct Packed {
    count: usize,
    /// Each with its length before it.
    args: Vec<u8>,
}

const END: &[u8] = b"\r\n";

/// What is kept of the room from one command to the next: most take a few hundred
/// bytes, and one for many keys may take megabytes.
const ROOM_KEPT: usize = 64 << 10;

impl Packed {
    /// Makes it empty, and keeps its room.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.args.clear();
        self.args.shrink_to(ROOM_KEPT);
    }

    #[inline]
    pub(super) fn arg(&mut self, text: &str) -> &mut Self {
        self.joined(&[text])
    }

    /// One argument, of these parts.
    #[inline]
    pub(super) fn joined(&mut self, parts: &[&str]) -> &mut Self {
        self.count += 1;
        push_length(
            &mut self.args,
            b'$',
            parts.iter().map(|part| part.len()).sum(),
        );
        for part in parts {
            self.args.extend_from_slice(part.as_bytes());
        }
        self.args.extend_from_slice(END);
        self
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) -> &mut Self {
        self.arg(itoa::Buffer::new().format(number))
    }

    /// Appends the command to what is to be sent.
    pub(super) fn append_to(&self, outgoing: &mut Vec<u8>) {
        push_length(outgoing, b'*', self.count);
        outgoing.extend_from_slice(&self.args);
    }
}

/// Says how long what follows is; most is short.
#[inline]
fn push_length(bytes: &mut Vec<u8>, kind: u8, length: usize) {
    #[expect(clippy::cast_possible_truncation, reason = "one digit")]
    let digit = |number: usize| b'0' + (number % 10) as u8;
    match length {
        0..=9 => bytes.extend_from_slice(&[kind, digit(length), b'\r', b'\n']),
        10..=99 => {
            let (tens, ones) = (digit(length / 10), digit(length));
            bytes.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => {
            bytes.push(kind);
            bytes.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            bytes.extend_from_slice(END);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_command_is_packed_as_the_redis_crate_packs_it(
            texts in prop::collection::vec(".{0,200}", 1..20),
            number: u64,
        ) {
            let (mut packed, mut cmd) = (Packed::default(), redis::Cmd::new());
            for text in &texts {
                packed.arg(text);
                cmd.arg(text);
            }
            packed.number(number).joined(&["{", &texts[0], "} line"]);
            cmd.arg(number).arg(format!("{{{}}} line", texts[0]));
            let mut outgoing = b"before".to_vec();
            packed.append_to(&mut outgoing);
            prop_assert_eq!(outgoing, [b"before", &cmd.get_packed_command()[..]].concat());
        }
    }
}
