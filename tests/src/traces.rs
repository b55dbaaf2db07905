//! What the library traces.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::{DefaultGuard, set_default},
};

use crate::heed::heed;

/// Collects the spans and events of this thread while it lives.
///
/// For tests on a runtime of one thread.
#[must_use = "traces are collected until it is dropped"]
pub struct Traces {
    collected: Arc<Mutex<Collected>>,
    _default: DefaultGuard,
}

/// A span or an event; an event's message is its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What it is called.
    pub name: String,
    /// How much it matters.
    pub level: Level,
    /// What it says, each value as its `Debug` or `Display` has it.
    pub fields: BTreeMap<&'static str, String>,
    /// The names of the spans that it is in, outermost first.
    pub within: Vec<String>,
}

impl Trace {
    /// The value of a field; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Collected {
    /// By their ids, which count from 1.
    spans: Vec<Trace>,
    events: Vec<Trace>,
    entered: Vec<span::Id>,
}

impl Traces {
    /// Begins to collect what is at least of this level.
    pub fn collect(level: Level) -> Self {
        heed();
        let collected = Arc::default();
        let collector = Collector {
            collected: Arc::clone(&collected),
            level,
        };
        Self {
            collected,
            _default: set_default(collector),
        }
    }

    /// The spans of this name so far.
    pub fn spans(&self, name: &str) -> Vec<Trace> {
        let mut spans = self.collected.lock().spans.clone();
        spans.retain(|span| span.name == name);
        spans
    }

    /// The events with this message so far.
    pub fn events(&self, message: &str) -> Vec<Trace> {
        let mut events = self.collected.lock().events.clone();
        events.retain(|event| event.name == message);
        events
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collected = self.collected.lock();
        f.debug_struct("Traces")
            .field("spans", &collected.spans)
            .field("events", &collected.events)
            .finish_non_exhaustive()
    }
}

impl Collected {
    fn trace(&self, metadata: &Metadata<'_>, fields: Fields) -> Trace {
        let within = self
            .entered
            .iter()
            .map(|id| self.spans[index(id)].name.clone());
        Trace {
            name: metadata.name().to_owned(),
            level: *metadata.level(),
            fields: fields.0,
            within: within.collect(),
        }
    }
}

fn index(id: &span::Id) -> usize {
    usize::try_from(id.into_u64()).expect("as many spans as fit") - 1
}

struct Collector {
    collected: Arc<Mutex<Collected>>,
    level: Level,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let mut collected = self.collected.lock();
        let trace = collected.trace(span.metadata(), fields);
        collected.spans.push(trace);
        span::Id::from_u64(collected.spans.len() as u64)
    }

    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.collected.lock().spans[index(span)]
            .fields
            .extend(fields.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut collected = self.collected.lock();
        let mut trace = collected.trace(event.metadata(), fields);
        trace.name = trace.fields.remove("message").unwrap_or_default();
        collected.events.push(trace);
    }

    fn enter(&self, span: &span::Id) {
        self.collected.lock().entered.push(span.clone());
    }

    fn exit(&self, _: &span::Id) {
        self.collected.lock().entered.pop();
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
