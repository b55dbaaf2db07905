//! What is renewed when, and with what.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use crate::validity::node_budget;

/// When leases are due, as long as they are there.
pub(super) struct Schedule<T> {
    /// By when they are due, and with whom they may go.
    due: BTreeMap<(Instant, Class), Vec<Weak<T>>>,
    /// How many are due, those that are gone included.
    entries: usize,
    /// How many leases are to be renewed and have not been given back.
    pub(super) live: usize,
    /// Whether there is a task that looks at it.
    pub(super) is_running: bool,
}

/// Leases that may wait equally long for an answer go in one batch.
type Class = u32;

/// The most leases that are renewed in one call.
const MOST_IN_BATCH: usize = 256;

/// How many entries of leases that are gone the schedule holds at least
/// before they are looked for.
const MOST_GONE: usize = 64;

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            entries: 0,
            live: 0,
            is_running: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// When the first is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Enters a lease; whether it is now the first that is due.
    pub(super) fn push(&mut self, at: Instant, ttl: Duration, lease: &Arc<T>) -> bool {
        if self.entries > MOST_GONE.saturating_add(self.live.saturating_mul(2)) {
            self.forget_those_gone();
        }
        let is_first = self.first().is_none_or(|first| at < first);
        let due = self.due.entry((at, class_of(ttl))).or_default();
        due.push(Arc::downgrade(lease));
        self.entries = self.entries.saturating_add(1);
        is_first
    }

    /// Takes out what is due now and may go in one batch.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arc<T>> {
        let mut batch = Vec::new();
        let first = self.due.keys().next().map(|(_, class)| *class);
        let due = self.due.iter_mut().take_while(|((at, _), _)| *at <= now);
        for (_, due) in due.filter(|((_, class), _)| Some(*class) == first) {
            let room = MOST_IN_BATCH.saturating_sub(batch.len());
            let taken = due.split_off(due.len().saturating_sub(room));
            self.entries = self.entries.saturating_sub(taken.len());
            batch.extend(taken.iter().filter_map(Weak::upgrade));
            if batch.len() == MOST_IN_BATCH {
                break;
            }
        }
        self.due.retain(|_, due| !due.is_empty());
        batch
    }

    fn forget_those_gone(&mut self) {
        self.due.retain(|_, due| {
            due.retain(|lease| lease.strong_count() > 0);
            !due.is_empty()
        });
        self.entries = self.due.values().map(Vec::len).sum();
    }

    pub(super) fn clear(&mut self) {
        self.due.clear();
        self.entries = 0;
    }
}

fn class_of(ttl: Duration) -> Class {
    node_budget(ttl).as_millis().checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60 * 60);

    /// Else a short lease would be lost while an answer is waited for that a long
    /// one has the time for.
    #[test]
    fn leases_with_unlike_times_for_an_answer_are_not_renewed_together() {
        let at = Instant::now();
        let mut schedule = Schedule::new();
        let (short, long) = (Arc::new("short"), Arc::new("long"));
        schedule.push(at, TTL, &long);
        schedule.push(at, Duration::from_millis(100), &short);
        for lease in [short, long] {
            assert_eq!(schedule.take_due(at), [lease]);
        }
    }

    #[test]
    fn a_batch_takes_so_many_and_leaves_the_rest() {
        const MOMENT: Duration = Duration::from_millis(1);
        let at = Instant::now();
        let mut schedule = Schedule::new();
        let held: Vec<_> = (0..MOST_IN_BATCH + 10).map(Arc::new).collect();
        let (early, late) = held.split_at(MOST_IN_BATCH / 2);
        for (due, held) in [(at, early), (at + MOMENT, late)] {
            for lease in held {
                schedule.push(due, TTL, lease);
            }
        }
        assert_eq!(schedule.take_due(at + MOMENT).len(), MOST_IN_BATCH);
        assert_eq!(schedule.take_due(at + MOMENT).len(), 10);
        assert_eq!(schedule.entries, 0);
    }

    /// Of a ttl of a day they would be kept for hours.
    #[test]
    fn few_leases_are_kept_in_mind_that_are_gone_and_all_that_are_not() {
        let at = Instant::now();
        let mut schedule = Schedule::new();
        schedule.live = 10;
        let held: Vec<_> = (0..schedule.live).map(Arc::new).collect();
        for lease in &held {
            schedule.push(at, TTL, lease);
        }
        for gone in 0..10 * MOST_GONE {
            schedule.push(at, TTL, &Arc::new(gone));
        }
        let entries = schedule.due.values().map(Vec::len).sum::<usize>();
        assert_eq!(schedule.entries, entries);
        assert!(entries <= 2 * MOST_GONE, "{entries}");
        assert_eq!(schedule.take_due(at).len(), held.len());
    }
}
