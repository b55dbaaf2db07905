//! Bodies exclude each other, and tokens rise.

use std::collections::BTreeMap;

use super::{Checker, Section, key_of};
use crate::torture::{
    evidence::Span,
    journal::{Outcome, Start},
    verdict::{Flaw, Verdict},
};

impl Checker<'_> {
    /// No two bodies inside their validity at once.
    pub(super) fn exclusion(&self, verdict: &mut Verdict) {
        for ((interface, key), sections) in self.sections_by_key() {
            let mut longest: Option<Section> = None;
            for section in sections.into_iter().filter(Section::is_valid) {
                if let Some(first) = longest
                    && first.meets(&section)
                {
                    let flaw = self.why_overlapping(&first, &section);
                    verdict.violated(
                        flaw,
                        Some(interface),
                        format!("{}:{key}: {first} and {section}", interface.name()),
                    );
                    let tokens = (first.start.token, section.start.token);
                    if tokens.0 > 0 && tokens.1 > 0 {
                        let counts = &mut verdict.counts[interface as usize];
                        counts.fenced_overlaps += 1;
                        counts.refused += u64::from(tokens.0 != tokens.1);
                    }
                }
                if longest.is_none_or(|first| first.valid_until() < section.valid_until()) {
                    longest = Some(section);
                }
            }
        }
    }

    /// How the second body could get in.
    fn why_overlapping(&self, first: &Section, second: &Section) -> Flaw {
        let Start {
            who,
            begin,
            start,
            deadline,
            ttl,
            wait,
            ..
        } = first.start;
        let was_not_renewed = deadline == first.deadline;
        if was_not_renewed && wait.is_zero() && begin + ttl <= second.start.start {
            return Flaw::TrustedTooLong;
        }
        let before = Span {
            begin: start,
            end: second.start.start,
        };
        let calls = self.calls.get(&key_of(who)).into_iter().flatten();
        let mut gave_up = calls.filter(|call| {
            let ended = Span {
                begin: call.end,
                end: call.end,
            };
            call.who != who
                && call.who != second.start.who
                && ended.meets(before)
                && !matches!(call.outcome, Outcome::Busy | Outcome::Done)
                && self
                    .section_of(call.who)
                    .is_none_or(|section| !section.meets(first))
        });
        if gave_up.next().is_some() {
            Flaw::FreedByAnother
        } else {
            Flaw::GrantedTwice
        }
    }

    /// Tokens rise: over each lock that had been acquired before this one was
    /// asked for, and from body to body.
    pub(super) fn tokens(&self, verdict: &mut Verdict) {
        for ((interface, key), mut sections) in self.sections_by_key() {
            sections.retain(|section| section.start.token > 0);
            let by_start = sections.clone();
            sections.sort_by_key(|section| section.start.begin);
            let mut acquired = by_start.iter().peekable();
            let mut greatest: Option<Section> = None;
            let mut reversed: BTreeMap<u64, (Section, Section)> = BTreeMap::new();
            for section in &sections {
                while let Some(before) =
                    acquired.next_if(|before| before.start.start <= section.start.begin)
                {
                    greatest = Some(greater(greatest, *before));
                }
                note_reversal(&mut reversed, greatest, section);
            }
            let mut greatest = None;
            for section in by_start.iter().filter(|section| section.is_valid()) {
                note_reversal(&mut reversed, greatest, section);
                greatest = Some(greater(greatest, *section));
            }
            for (before, section) in reversed.into_values() {
                verdict.violated(
                    Flaw::TokenNotGreater,
                    Some(interface),
                    format!("{}:{key}: {before}, and then {section}", interface.name()),
                );
            }
        }
    }
}

/// The one with the greater token, the first of equals.
fn greater(one: Option<Section>, other: Section) -> Section {
    match one {
        Some(one) if one.start.token >= other.start.token => one,
        _ => other,
    }
}

/// One for each section at most.
fn note_reversal(
    reversed: &mut BTreeMap<u64, (Section, Section)>,
    greatest: Option<Section>,
    section: &Section,
) {
    if let Some(greatest) = greatest
        && greatest.start.token >= section.start.token
        && greatest.start.who != section.start.who
    {
        let at = section.start.start.nanos();
        reversed.entry(at).or_insert((greatest, *section));
    }
}
