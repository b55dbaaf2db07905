//! Judges what happened in a cell.

mod errors;
mod exclusion;
mod limits;
mod section;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use self::section::Section;
use super::{
    clock::Nanos as _,
    evidence::{Evidence, Span, Standstill, Window},
    fault::bounds,
    journal::{Call, Interface, Operation, Outcome, Record, RuntimeDrop, Stall, Who},
    verdict::{Counts, Flaw, Verdict},
};

/// Judges a cell.
pub fn check(evidence: &Evidence) -> Verdict {
    let checker = Checker::new(evidence);
    let mut verdict = Verdict {
        counts: checker.counts(),
        violations: Vec::new(),
    };
    checker.exclusion(&mut verdict);
    checker.tokens(&mut verdict);
    checker.errors(&mut verdict);
    checker.bounds(&mut verdict);
    checker.growth(&mut verdict);
    checker.effect(&mut verdict);
    for key in &evidence.keys_left {
        let interface = Interface::ALL
            .into_iter()
            .find(|interface| key.contains(interface.name()));
        verdict.violated(Flaw::KeyLeft, interface, key.clone());
    }
    for text in &evidence.connections {
        verdict.violated(Flaw::Growth, None, text.clone());
    }
    verdict
}

type KeyOf = (Interface, u16);

struct Checker<'a> {
    evidence: &'a Evidence,
    sections: HashMap<(u16, u64), Section>,
    /// Every call for a key, in order of their beginnings.
    calls: BTreeMap<KeyOf, Vec<Call>>,
    standstills: Vec<Standstill>,
    runtime_drops: Vec<RuntimeDrop>,
}

fn key_of(who: Who) -> KeyOf {
    (who.interface, who.key)
}

impl<'a> Checker<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut checker = Self {
            evidence,
            sections: HashMap::new(),
            calls: BTreeMap::new(),
            standstills: evidence.standstills.clone(),
            runtime_drops: Vec::new(),
        };
        for record in &evidence.records {
            checker.take_in(record);
        }
        for calls in checker.calls.values_mut() {
            calls.sort_by_key(|call| call.begin);
        }
        let by_beginning = |standstill: &Standstill| standstill.span.begin;
        checker.standstills.sort_by_key(by_beginning);
        checker
    }

    fn take_in(&mut self, record: &Record) {
        match *record {
            Record::Call(call) => {
                self.calls.entry(key_of(call.who)).or_default().push(call);
            }
            Record::Start(start) => {
                let section = Section {
                    start,
                    deadline: start.deadline,
                    end: None,
                };
                self.sections
                    .insert((start.who.client, start.who.id), section);
            }
            Record::Look(look) => {
                if let Some(section) = self.sections.get_mut(&(look.who.client, look.who.id)) {
                    section.deadline = section.deadline.max(look.deadline);
                    section.end = look.is_end.then_some(look.at);
                }
            }
            Record::Stall(Stall { client, begin, end }) => self.standstills.push(Standstill {
                client: Some(client),
                span: Span { begin, end },
                lost: end - begin,
            }),
            Record::RuntimeDrop(dropped) => self.runtime_drops.push(dropped),
            Record::Usage(_) => {}
        }
    }

    fn section_of(&self, who: Who) -> Option<&Section> {
        self.sections.get(&(who.client, who.id))
    }

    /// The sections of each key, in order of their starts.
    fn sections_by_key(&self) -> BTreeMap<KeyOf, Vec<Section>> {
        let mut by_key: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for section in self.sections.values() {
            let of_key = by_key.entry(key_of(section.start.who)).or_default();
            of_key.push(*section);
        }
        for sections in by_key.values_mut() {
            sections.sort_by_key(|section| section.start.start);
        }
        by_key
    }

    /// The time that this client, servers and proxies have lost meanwhile.
    fn stalled(&self, client: u16, span: Span) -> Duration {
        // None is longer.
        const LONGEST: Duration = Duration::from_secs(10);
        let earliest = span.begin - LONGEST.as_nanos_u64();
        let first = self
            .standstills
            .partition_point(|standstill| standstill.span.begin < earliest);
        self.standstills[first..]
            .iter()
            .take_while(|standstill| standstill.span.begin <= span.end)
            .filter(|standstill| {
                standstill.client.is_none_or(|other| other == client) && standstill.span.meets(span)
            })
            .map(|standstill| standstill.lost)
            .sum()
    }

    /// The windows whose effects this may have met.
    fn windows_around(&self, span: Span, recovery: Duration) -> impl Iterator<Item = &Window> {
        self.evidence.windows.iter().filter(move |window| {
            let effects = Span {
                begin: window.span.begin,
                end: window.span.end + recovery,
            };
            effects.meets(span)
        })
    }

    fn is_in_window(&self, span: Span) -> bool {
        let mut around = self.windows_around(span, bounds::RECOVERY);
        around.next().is_some()
    }

    /// Whether so many servers were away, or had no vote, that no quorum was
    /// left.
    fn is_without_quorum(&self, call: &Call) -> bool {
        let around = self.windows_around(span_of(call), self.recovery(call));
        let victims: HashSet<_> = around.flat_map(|window| &window.victims).collect();
        victims.len() > self.spare()
    }

    /// Whether a call about a lease meets a fault that has begun since the lease
    /// was asked for.
    ///
    /// A contender may have had a minority of the servers when a quorum granted
    /// it; with one of that quorum away, those that answer are divided, and
    /// nobody can tell whether the lease is held.
    /// One that was asked for during the fault has a quorum without it.
    fn is_older_than_the_fault(&self, call: &Call) -> bool {
        let asked = self.asked(call);
        let mut around = self.windows_around(span_of(call), bounds::RECOVERY);
        call.operation != Operation::Acquire
            && around.any(|window| asked < window.span.begin && !window.victims.is_empty())
    }

    fn is_promised(&self) -> bool {
        self.evidence.fault.is_promised(self.evidence.nodes)
    }

    /// How many servers a quorum can do without.
    fn spare(&self) -> usize {
        (self.evidence.nodes - 1) / 2
    }

    /// How long after a fault this call may still feel it.
    fn recovery(&self, call: &Call) -> Duration {
        let Evidence { fault, nodes, .. } = *self.evidence;
        let is_kept_out = fault.forgets()
            && !fault.has_no_delay()
            && nodes >= 3
            && call.operation == Operation::Acquire;
        match (is_kept_out, call.is_fenced) {
            (false, _) => bounds::RECOVERY,
            (true, false) => bounds::RECOVERY + self.evidence.longest_ttl,
            (true, true) => bounds::RECOVERY + self.evidence.longest_ttl + bounds::FENCED_RESTART,
        }
    }
}

fn span_of(call: &Call) -> Span {
    Span {
        begin: call.begin,
        end: call.end,
    }
}

impl Checker<'_> {
    fn counts(&self) -> [Counts; 3] {
        let mut all = [Counts::default(); 3];
        for section in self.sections.values() {
            let start = section.start;
            let counts = &mut all[start.who.interface as usize];
            counts.acquired += 1;
            let beyond = (start.start - start.begin).saturating_sub(start.wait);
            counts.longest = counts.longest.max(beyond);
            if let Some(end) = section.end {
                let late = end - section.deadline;
                let stalled = self.stalled(
                    start.who.client,
                    Span {
                        begin: section.deadline,
                        end,
                    },
                );
                counts.latest = counts.latest.max(late.saturating_sub(stalled));
            }
        }
        for call in self.calls.values().flatten() {
            let counts = &mut all[call.who.interface as usize];
            if call.operation != Operation::Acquire {
                continue;
            }
            match call.outcome {
                Outcome::Busy => counts.busy += 1,
                Outcome::Unavailable => {
                    counts.unavailable += 1;
                    counts.excused += u64::from(!self.is_without_quorum(call));
                }
                Outcome::Cancelled => counts.cancelled += 1,
                Outcome::RuntimeGone => counts.runtime_gone += 1,
                outcome if outcome.is_lost() => counts.lost += 1,
                _ => {}
            }
            if self.section_of(call.who).is_none() && call.outcome != Outcome::Cancelled {
                let beyond = (call.end - call.begin).saturating_sub(call.wait);
                counts.longest = counts.longest.max(beyond);
            }
        }
        all
    }
}

fn describe(call: &Call, why: &str) -> String {
    let Who {
        client,
        interface,
        key,
        id,
    } = call.who;
    format!(
        "{}:{key}: client {client} call {id} ({:?}: {:?}, {} to {}, ttl {:?}, wait {:?}): {why}",
        interface.name(),
        call.operation,
        call.outcome,
        call.begin,
        call.end,
        call.ttl,
        call.wait,
    )
}
