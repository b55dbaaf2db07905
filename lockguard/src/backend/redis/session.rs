//! What is on its way on a connection, and when more is sent.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc, task::Context, time::Duration};

use tokio::time::Instant;

use super::{command::Command, connection::Identity, packed::Packed, wire::Wire};
use crate::node_error::NodeError;

/// The most commands that are on their way.
///
/// Enough to keep a server busy over a round trip; few, so that little is at
/// stake when a connection breaks.
pub(super) const MOST_UNDER_WAY: usize = 2048;

/// The most releases that go out in one call: enough that the call itself costs the
/// server little of what they do, few enough that it is not kept from others.
const MOST_TOGETHER: usize = 16;

/// So many commands are worth a system call, where few others are on their way.
const ENOUGH: usize = 14;

/// How many replies a poll of the link takes in at least and at most: a
/// sixteenth of what is on its way.
///
/// Those whose answers came have something to do, which is still in the cache,
/// and send more meanwhile; while a poll goes on they cannot, and the server has
/// less and less to do.
const REPLIES_AT_ONCE: RangeInclusive<usize> = 14..=64;

/// The same where other nodes are asked at the same time, and none has to be kept
/// at work while the others are.
const REPLIES_BESIDE_OTHERS: RangeInclusive<usize> = 32..=64;

/// What those whose answers came need of a turn of the runtime, each, where they
/// do nothing but lock: a turn that takes longer has other tasks in it.
const CALLERS_NEED: Duration = Duration::from_micros(3);

/// A connection and what is on its way on it.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) identity: Option<Identity>,
    /// Where waiters are told; `None` where they cannot be.
    channel: Option<Arc<str>>,
    /// How many of the queue are on their way.
    pub(super) under_way: usize,
    gathering: Gathering,
    /// When the task last let others run, and after how many replies.
    turn: Option<(Instant, u32)>,
    has_others: bool,
    /// Whether several releases may go out in one call.
    pub(super) joins_releases: bool,
    /// Kept for its room.
    packed: Packed,
}

/// Whether commands wait for those of other tasks, to be sent with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gathering {
    No,
    /// The task has woken itself, to be polled behind the tasks that are ready.
    Woken,
    /// It is that poll now.
    Over,
}

impl Session {
    /// Nothing is on its way yet.
    pub(super) fn new(
        wire: Wire,
        identity: Option<Identity>,
        channel: Option<Arc<str>>,
        has_others: bool,
    ) -> Self {
        Self {
            wire,
            identity,
            channel,
            under_way: 0,
            gathering: Gathering::No,
            turn: None,
            has_others,
            joins_releases: true,
            packed: Packed::default(),
        }
    }

    /// Whether waiters can be told.
    pub(super) fn has_channel(&self) -> bool {
        self.channel.is_some()
    }

    /// The task is polled: how many replies it takes in.
    ///
    /// All that have come, where the turn before was long: with a few a turn, a
    /// runtime that has much else to do would hold up everybody who locks.
    pub(super) fn begin_poll(&mut self) -> usize {
        self.gathering = match self.gathering {
            Gathering::Woken => Gathering::Over,
            Gathering::No | Gathering::Over => Gathering::No,
        };
        let is_long = |(since, replies): (Instant, u32)| since.elapsed() > CALLERS_NEED * replies;
        if self.turn.take().is_some_and(is_long) {
            return MOST_UNDER_WAY;
        }
        let (least, most) = self.replies_at_once().into_inner();
        (self.under_way / 16).clamp(least, most)
    }

    fn replies_at_once(&self) -> RangeInclusive<usize> {
        if self.has_others {
            REPLIES_BESIDE_OTHERS
        } else {
            REPLIES_AT_ONCE
        }
    }

    /// The poll took in so many replies: where that is worth a poll, there is
    /// another behind those whose answers came, and all that are ready.
    pub(super) fn end_poll(&mut self, replies: usize, cx: &Context<'_>) {
        if replies >= *self.replies_at_once().start() {
            let replies = u32::try_from(replies).unwrap_or(u32::MAX);
            self.turn = Some((Instant::now(), replies));
            cx.waker().wake_by_ref();
        }
    }

    /// Writes what waits, as far as there is room; what the node is not to be
    /// asked now is answered instead.
    pub(super) fn send(
        &mut self,
        queue: &mut VecDeque<Command>,
        is_kept_out: impl Fn(&Command) -> Option<NodeError>,
    ) {
        let now = Instant::now();
        while self.under_way < MOST_UNDER_WAY
            && let Some(command) = queue.get(self.under_way)
        {
            if let Some(reason) = is_kept_out(command) {
                let command = queue.remove(self.under_way);
                if let Some(departure) = command.and_then(|command| command.fail(&reason)) {
                    queue.insert(self.under_way, Command::owed(departure));
                }
                continue;
            }
            let together = self.write_next(command, queue);
            // Also where the caller has gone: a quorum that has decided
            // still wants its lock on every node.
            for (nth, command) in queue.range_mut(self.under_way..).take(together).enumerate() {
                command.sent = Some(now);
                command.followers = together - nth - 1;
            }
            self.under_way += together;
        }
    }

    /// Writes the command that is next, or in one call the releases that are, which
    /// are never kept out; how many they are.
    fn write_next(&mut self, command: &Command, queue: &VecDeque<Command>) -> usize {
        let room = MOST_UNDER_WAY.saturating_sub(self.under_way);
        let most = if self.joins_releases {
            MOST_TOGETHER.min(room)
        } else {
            1
        };
        let next = queue.range(self.under_way..).take(most);
        let releases = next.map_while(Command::as_plain_release);
        let together = releases.clone().count().max(1);
        self.packed.clear();
        if together > 1 {
            Command::releases_to_wire(releases, &mut self.packed);
        } else {
            command.to_wire(&mut self.packed, self.channel.as_deref());
        }
        self.wire.write(&self.packed);
        together
    }

    /// Whether so many are worth a system call.
    ///
    /// Beside other nodes, where there is enough else to do meanwhile, any where
    /// none is on its way.
    pub(super) fn is_worth_sending(&self, unsent: usize) -> bool {
        if self.has_others {
            self.under_way == 0
        } else {
            is_enough(unsent, self.under_way)
        }
    }

    /// Whether what is not sent yet, of so many commands, is to be sent now.
    ///
    /// Where others are on their way, those of tasks that are ready to run are
    /// waited for: one system call for many costs hardly more than one for
    /// one, here and at the server.
    pub(super) fn is_time_to_send(&mut self, commands: usize, cx: &mut Context<'_>) -> bool {
        let unsent = commands.saturating_sub(self.under_way);
        if unsent == 0 || self.under_way >= MOST_UNDER_WAY {
            return false;
        }
        if self.is_worth_sending(unsent) || self.gathering == Gathering::Over {
            self.gathering = Gathering::No;
            return true;
        }
        if self.gathering == Gathering::No {
            self.gathering = Gathering::Woken;
            cx.waker().wake_by_ref();
        }
        false
    }
}

/// Whether so many commands are worth a system call: a fifth of those that are
/// on their way, or [`ENOUGH`], and a third in any case.
///
/// More would be cheaper for each of them, and leave the server without work
/// while they are made, and then us while it does it: each sleeps in turn, and
/// to be woken costs more than a system call.
fn is_enough(unsent: usize, under_way: usize) -> bool {
    unsent >= ENOUGH.max(under_way / 5).min(under_way / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_third_of_a_few_fourteen_of_some_and_a_fifth_of_many() {
        for (enough, under_way) in [
            (0, 2),
            (2, 6),
            (6, 20),
            (13, 41),
            (14, 42),
            (14, 74),
            (15, 75),
            (200, 1000),
        ] {
            assert!(is_enough(enough, under_way), "{enough} of {under_way}");
            if let Some(fewer) = enough.checked_sub(1) {
                assert!(!is_enough(fewer, under_way), "{fewer} of {under_way}");
            }
        }
    }
}
