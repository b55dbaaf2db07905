//! What the sections of all who wanted one lock tell.

use std::time::Duration;

use crate::numbers::{jain, quantile};

/// One stay in the lock, on the clock that all processes share.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    pub(crate) waiter: usize,
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

/// The sections of each waiter.
pub(crate) struct Sections(Vec<Vec<Section>>);

/// What the sections of everybody tell.
pub(crate) struct Passing {
    /// How long the lock lay idle between two waiters, sorted.
    gaps: Vec<Duration>,
    /// How often one began before another had ended: must not be.
    pub(crate) overlaps: usize,
}

impl Sections {
    pub(crate) fn of(waiters: usize) -> Self {
        let mut sections = Vec::new();
        sections.resize_with(waiters, Vec::new);
        Self(sections)
    }

    /// Whether there is such a waiter.
    pub(crate) fn push(&mut self, section: Section) -> bool {
        match self.0.get_mut(section.waiter) {
            Some(own) => {
                own.push(section);
                true
            }
            None => false,
        }
    }

    /// The first so many waiters alone, and the others alone.
    pub(crate) fn split(&self, first: usize) -> [Self; 2] {
        let (one, other) = self.0.split_at(first.min(self.0.len()));
        [Self(one.to_vec()), Self(other.to_vec())]
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The time that all of them spent in the lock.
    pub(crate) fn held(&self) -> Duration {
        let all = self.0.iter().flatten();
        all.map(|section| section.end.saturating_sub(section.start))
            .sum()
    }

    /// How many waiters never had the lock.
    pub(crate) fn starved(&self) -> usize {
        self.0.iter().filter(|own| own.is_empty()).count()
    }

    /// How evenly the sections are shared.
    pub(crate) fn jain(&self) -> f64 {
        let counts: Vec<f64> = self.0.iter().map(|own| own.len() as f64).collect();
        jain(&counts)
    }

    /// The longest that anybody was without the lock, from the first section of
    /// all until their own last one.
    pub(crate) fn longest_wait(&self, begun: Duration) -> Duration {
        let waits = self.0.iter().flat_map(|own| {
            let ends = std::iter::once(begun).chain(own.iter().map(|section| section.end));
            ends.zip(own)
                .map(|(end, next)| next.start.saturating_sub(end))
        });
        waits.max().unwrap_or_default()
    }

    /// When the first of all sections began.
    pub(crate) fn begun(&self) -> Duration {
        let starts = self.0.iter().flatten().map(|section| section.start);
        starts.min().unwrap_or_default()
    }

    pub(crate) fn passing(&self) -> Passing {
        let mut all: Vec<Section> = self.0.iter().flatten().copied().collect();
        all.sort_unstable_by_key(|section| section.start);
        let (mut gaps, mut overlaps) = (Vec::new(), 0);
        for pair in all.windows(2) {
            let [one, next] = pair else { continue };
            match next.start.checked_sub(one.end) {
                None => overlaps += 1,
                // Who takes it again at once has passed it to nobody.
                Some(gap) if one.waiter != next.waiter => gaps.push(gap),
                Some(_) => {}
            }
        }
        gaps.sort_unstable();
        Passing { gaps, overlaps }
    }
}

impl Passing {
    pub(crate) fn count(&self) -> usize {
        self.gaps.len()
    }

    pub(crate) fn mean(&self) -> Duration {
        let sum: Duration = self.gaps.iter().sum();
        sum.div_f64((self.gaps.len() as f64).max(1.0))
    }

    pub(crate) fn quantile(&self, share: f64) -> Duration {
        quantile(&self.gaps, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(all: &[(usize, u64, u64)]) -> Sections {
        let mut sections = Sections::of(2);
        for (waiter, start, end) in all {
            let section = Section {
                waiter: *waiter,
                start: Duration::from_millis(*start),
                end: Duration::from_millis(*end),
            };
            assert!(sections.push(section), "there is no waiter {waiter}");
        }
        sections
    }

    #[test]
    fn a_gap_lies_between_two_waiters() {
        let passing = sections(&[(0, 0, 1), (0, 2, 3), (1, 7, 8)]).passing();
        assert_eq!((passing.count(), passing.overlaps), (1, 0));
        assert_eq!(passing.mean(), Duration::from_millis(4));
    }

    #[test]
    fn who_begins_before_another_has_ended_overlaps() {
        assert_eq!(sections(&[(0, 0, 5), (1, 4, 6)]).passing().overlaps, 1);
    }

    #[test]
    fn who_never_had_it_has_starved() {
        let one = sections(&[(1, 0, 5)]);
        assert_eq!(one.starved(), 1);
        assert!((one.jain() - 0.5).abs() < 1e-9, "{}", one.jain());
    }

    #[test]
    fn the_longest_wait_counts_from_the_first_section_of_all() {
        let both = sections(&[(0, 0, 5), (1, 9, 10), (0, 11, 12)]);
        assert_eq!(both.longest_wait(both.begun()), Duration::from_millis(9));
    }
}
