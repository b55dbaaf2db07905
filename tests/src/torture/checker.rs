//! Judges what happened in a cell.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use super::{
    clock::{Nanos as _, Stamp},
    evidence::{Evidence, Span, Standstill, Window},
    fault::{Fault, bounds},
    journal::{Call, Interface, Operation, Outcome, Record, RuntimeDrop, Stall, Start, Usage, Who},
    verdict::{Counts, Flaw, Verdict, Violation},
    work::PRIVATE,
};

/// One body, as the journal tells it.
#[derive(Debug, Clone, Copy)]
struct Section {
    start: Start,
    deadline: Stamp,
    /// `None`: its process was killed, or it went on to the end.
    end: Option<Stamp>,
}

impl Section {
    /// Until when it was inside, as far as its lease could be trusted.
    fn valid_until(&self) -> Stamp {
        self.end.map_or(self.deadline, |end| end.min(self.deadline))
    }

    /// Whether its lease could be trusted when it began.
    fn is_valid(&self) -> bool {
        self.start.start < self.deadline
    }

    fn meets(&self, other: &Self) -> bool {
        self.start.start < other.valid_until() && other.start.start < self.valid_until()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Start {
            who,
            begin,
            start,
            token,
            ttl,
            ..
        } = self.start;
        write!(
            f,
            "client {} call {} (asked {begin}, in {start}, ",
            who.client, who.id
        )?;
        match self.end {
            Some(end) => write!(f, "out {end}, ")?,
            None => write!(f, "never out, ")?,
        }
        write!(f, "deadline {}, ttl {ttl:?}", self.deadline)?;
        if token > 0 {
            write!(f, ", token {token}")?;
        }
        write!(f, ")")
    }
}

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
        verdict.violations.push(Violation {
            flaw: Flaw::KeyLeft,
            interface,
            text: key.clone(),
        });
    }
    for text in &evidence.connections {
        verdict.violations.push(Violation {
            flaw: Flaw::Growth,
            interface: None,
            text: text.clone(),
        });
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

    /// No two bodies inside their validity at once.
    fn exclusion(&self, verdict: &mut Verdict) {
        for ((interface, key), sections) in self.sections_by_key() {
            let mut longest: Option<Section> = None;
            for section in sections.into_iter().filter(Section::is_valid) {
                if let Some(first) = longest
                    && first.meets(&section)
                {
                    let flaw = self.why_overlapping(&first, &section);
                    verdict.violations.push(Violation {
                        flaw,
                        interface: Some(interface),
                        text: format!("{}:{key}: {first} and {section}", interface.name()),
                    });
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
    fn tokens(&self, verdict: &mut Verdict) {
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
                verdict.violations.push(Violation {
                    flaw: Flaw::TokenNotGreater,
                    interface: Some(interface),
                    text: format!("{}:{key}: {before}, and then {section}", interface.name()),
                });
            }
        }
    }

    /// Every error is of the right kind.
    fn errors(&self, verdict: &mut Verdict) {
        for calls in self.calls.values() {
            for (nth, call) in calls.iter().enumerate() {
                let before = &calls[..nth];
                if let Some(why) = self.why_wrong(call, before) {
                    verdict.violations.push(Violation {
                        flaw: Flaw::WrongError,
                        interface: Some(call.who.interface),
                        text: describe(call, &why),
                    });
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
    fn asked(&self, call: &Call) -> Stamp {
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

    /// No call takes longer than its bound, the machine's stalls not counted.
    fn bounds(&self, verdict: &mut Verdict) {
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
        verdict.violations.push(Violation {
            flaw: Flaw::SlowCall,
            interface: Some(call.who.interface),
            text: describe(call, &format!("{took:?} are more than {most:?}")),
        });
    }

    /// Nobody uses more at the end than at the beginning.
    fn growth(&self, verdict: &mut Verdict) {
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
                verdict.violations.push(Violation {
                    flaw: Flaw::Growth,
                    interface: None,
                    text: format!(
                        "client {}: {} tasks, {} files and {} KiB, after {}, {} and {}",
                        usage.client,
                        usage.tasks,
                        usage.files,
                        usage.memory >> 10,
                        before.tasks,
                        before.files,
                        before.memory >> 10,
                    ),
                });
            }
        }
    }

    /// Calls failed while no quorum was there: else nothing was tested.
    fn effect(&self, verdict: &mut Verdict) {
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
                verdict.violations.push(Violation {
                    flaw: Flaw::NotFelt,
                    interface: None,
                    text: format!("no call failed from {} on", window.span.begin),
                });
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
