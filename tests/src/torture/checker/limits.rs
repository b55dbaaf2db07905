//! Calls end in time, nothing grows, and faults are felt.

use std::{collections::HashMap, time::Duration};

use super::{Checker, describe, span_of};
use crate::torture::{
    evidence::Span,
    fault::bounds,
    journal::{Call, Interface, Operation, Outcome, Record, Usage},
    verdict::{Flaw, Verdict},
};

impl Checker<'_> {
    /// No call takes longer than its bound, the machine's stalls not counted.
    pub(super) fn bounds(&self, verdict: &mut Verdict) {
        for call in self.calls.values().flatten() {
            let section = self.section_of(call.who);
            let (span, most) = match (call.operation, section) {
                (Operation::Release | Operation::Extend, _) => (span_of(call), bounds::answer()),
                (Operation::Acquire, Some(section)) => {
                    let until = section.start.start;
                    let span = Span {
                        begin: call.begin,
                        end: until,
                    };
                    (span, bounds::acquire(call.ttl, call.wait))
                }
                (Operation::Acquire, None) => (span_of(call), bounds::acquire(call.ttl, call.wait)),
            };
            self.bound(verdict, call, span, most);
            // From the body's end to the return of the attribute's call.
            if let Some(end) = section.and_then(|section| section.end)
                && call.operation == Operation::Acquire
                && call.who.interface == Interface::Attribute
            {
                let span = Span {
                    begin: end,
                    end: call.end,
                };
                self.bound(verdict, call, span, bounds::answer());
            }
        }
    }

    fn bound(&self, verdict: &mut Verdict, call: &Call, span: Span, most: Duration) {
        let took = span.length();
        if took <= most || took <= most + self.stalled(call.who.client, span) {
            return;
        }
        verdict.violated(
            Flaw::SlowCall,
            Some(call.who.interface),
            describe(call, &format!("{took:?} are more than {most:?}")),
        );
    }

    /// Nobody uses more at the end than at the beginning.
    pub(super) fn growth(&self, verdict: &mut Verdict) {
        let usages = self
            .evidence
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Usage(usage) => Some(usage),
                _ => None,
            });
        let mut first: HashMap<u16, Usage> = HashMap::new();
        for usage in usages {
            if !usage.is_last {
                first.insert(usage.client, *usage);
                continue;
            }
            let Some(before) = first.get(&usage.client) else {
                continue;
            };
            let has_grown = usage.tasks > before.tasks
                || usage.files > before.files
                || usage.memory > before.memory + bounds::MEMORY;
            if has_grown {
                verdict.violated(
                    Flaw::Growth,
                    None,
                    format!(
                        "client {}: {} tasks, {} files and {} KiB, after {}, {} and {}",
                        usage.client,
                        usage.tasks,
                        usage.files,
                        usage.memory >> 10,
                        before.tasks,
                        before.files,
                        before.memory >> 10,
                    ),
                );
            }
        }
    }

    /// Calls failed while no quorum was there: else nothing was tested.
    pub(super) fn effect(&self, verdict: &mut Verdict) {
        const LONG: Duration = Duration::from_millis(500);
        if !self.evidence.fault.must_be_felt() {
            return;
        }
        for window in &self.evidence.windows {
            if window.victims.len() <= self.spare() || window.span.length() < LONG {
                continue;
            }
            let mut failed = self.calls.values().flatten().filter(|call| {
                call.outcome == Outcome::Unavailable && span_of(call).meets(window.span)
            });
            if failed.next().is_none() {
                verdict.violated(
                    Flaw::NotFelt,
                    None,
                    format!("no call failed from {} on", window.span.begin),
                );
            }
        }
    }
}
