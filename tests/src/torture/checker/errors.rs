//! Errors say what is true.

use std::time::Duration;

use super::{Checker, describe, span_of};
use crate::torture::{
    clock::Stamp,
    evidence::Span,
    fault::{Fault, bounds},
    journal::{Call, Interface, Operation, Outcome, RuntimeDrop},
    plan::PRIVATE,
    verdict::{Flaw, Verdict},
};

impl Checker<'_> {
    /// Every error is of the right kind.
    pub(super) fn errors(&self, verdict: &mut Verdict) {
        for calls in self.calls.values() {
            for (nth, call) in calls.iter().enumerate() {
                let before = &calls[..nth];
                if let Some(why) = self.why_wrong(call, before) {
                    verdict.violated(
                        Flaw::WrongError,
                        Some(call.who.interface),
                        describe(call, &why),
                    );
                }
            }
        }
    }

    fn why_wrong(&self, call: &Call, before: &[Call]) -> Option<String> {
        let span = span_of(call);
        let fault = self.evidence.fault;
        match call.outcome {
            Outcome::Done | Outcome::Cancelled => None,
            Outcome::Busy => self.why_not_busy(call, before),
            // A release has no other word for a runtime that is gone.
            Outcome::Unavailable
                if fault == Fault::RuntimeDropped && call.operation == Operation::Release =>
            {
                None
            }
            Outcome::Unavailable => {
                let is_right = self.is_without_quorum(call)
                    || self.is_older_than_the_fault(call)
                    || self.is_excused(call);
                (!is_right).then(|| {
                    let asked = self.asked(call);
                    let around: Vec<_> = self.windows_around(span, bounds::RECOVERY).collect();
                    format!("a quorum of servers was there; asked at {asked}, faults {around:?}")
                })
            }
            Outcome::Expired | Outcome::MaxHold => self.why_not_lost(call),
            Outcome::Taken => {
                // Servers that have restarted do not know of the lease.
                let since = Span {
                    begin: self.asked(call),
                    end: call.end,
                };
                let is_right =
                    !self.is_promised() || (fault.restarts() && self.is_in_window(since));
                (!is_right).then(|| "nobody had taken it".to_owned())
            }
            Outcome::NotHeld | Outcome::NotOwner => {
                // What was executed before the connection broke is asked again.
                let is_right = call.end >= self.asked(call) + call.ttl
                    || !self.is_promised()
                    || self.is_in_window(span)
                    || self.is_excused(call);
                (!is_right).then(|| "its ttl had not passed".to_owned())
            }
            Outcome::RuntimeGone => (fault != Fault::RuntimeDropped)
                .then(|| "nobody had dropped the runtime".to_owned()),
            Outcome::Other => Some("no such error was to be expected".to_owned()),
        }
    }

    /// Whether the machine itself took a good part of a node's budget, which
    /// is a quarter of the ttl.
    fn is_excused(&self, call: &Call) -> bool {
        let stalled = self.stalled(call.who.client, span_of(call));
        stalled >= (call.ttl / 4).min(Duration::from_secs(1)) / 3
    }

    /// When the lock of this call was asked for.
    pub(super) fn asked(&self, call: &Call) -> Stamp {
        let section = self.section_of(call.who);
        section.map_or(call.begin, |section| section.start.begin)
    }

    fn why_not_busy(&self, call: &Call, before: &[Call]) -> Option<String> {
        if call.end - call.begin + Duration::from_millis(1) < call.wait {
            return Some("its wait had not passed".to_owned());
        }
        if call.who.key < PRIVATE {
            return None;
        }
        let acquires = before.iter().rev();
        let last = acquires
            .clone()
            .find(|call| call.operation == Operation::Acquire)?;
        let mut of_last = acquires.filter(|other| other.who.id == last.who.id);
        let is_clean = last.outcome == Outcome::Done
            && of_last.clone().all(|call| call.outcome == Outcome::Done);
        let has_heard = of_last.any(|call| call.operation == Operation::Release);
        let until = last.end + last.ttl + self.evidence.set_back + bounds::SLACK;
        let may_be_left = !is_clean || !has_heard && self.may_have_lost_its_release(last, call);
        let is_right = may_be_left && call.begin <= until
            // A release that nobody waited for, or that found no quorum; when
            // runtimes were dropped is in the journal.
            || self.evidence.fault != Fault::RuntimeDropped && self.is_in_window(span_of(last))
            || self.is_excused(last);
        (!is_right).then(|| "nobody else wants this key".to_owned())
    }

    /// Whether a call that ended well, and was not told what became of its
    /// release, may have lost that with its manager's runtime before the next.
    ///
    /// It may have been a call of the next manager, made while the runtime was
    /// still going down: that is not in the journal, and counts for the library.
    fn may_have_lost_its_release(&self, call: &Call, next: &Call) -> bool {
        let released = match call.who.interface {
            // It has waited for the release, whose failure is only a warning.
            Interface::Attribute => call.end,
            // Nobody has waited for that of a dropped guard, which no later
            // command of the same manager overtakes.
            Interface::Guard | Interface::Token => next.begin,
        };
        let lease = Span {
            begin: call.begin,
            end: released,
        };
        self.runtime_drops.iter().any(|dropped| {
            let RuntimeDrop { client, begin, end } = *dropped;
            client == call.who.client && lease.meets(Span { begin, end })
        })
    }

    fn why_not_lost(&self, call: &Call) -> Option<String> {
        let lasted = match self.section_of(call.who) {
            Some(section) => section.deadline,
            // The lease ended before its body began.
            None => call.begin + call.ttl / 2,
        };
        if call.outcome == Outcome::MaxHold && call.end < self.asked(call) + call.limit {
            return Some("its max_hold had not passed".to_owned());
        }
        (call.end < lasted).then(|| format!("its deadline was {lasted}"))
    }
}
