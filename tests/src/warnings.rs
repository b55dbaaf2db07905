//! What the library warns of.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::{
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::DefaultGuard,
};

use crate::heed::hear;

/// Collects the warnings of this thread while it lives.
///
/// For tests on a runtime of one thread.
#[must_use = "warnings are collected until it is dropped"]
pub struct Warnings {
    lines: Arc<Mutex<Vec<String>>>,
    _heard: DefaultGuard,
}

impl Warnings {
    /// Begins to collect.
    pub fn collect() -> Self {
        let lines: Arc<Mutex<Vec<_>>> = Arc::default();
        let collected = Arc::clone(&lines);
        let heard = hear(LevelFilter::WARN, move |event| {
            let mut line = Line(String::new());
            event.record(&mut line);
            collected.lock().push(line.0);
        });
        Self {
            lines,
            _heard: heard,
        }
    }

    /// The warnings so far whose text or fields contain this.
    pub fn containing(&self, text: &str) -> Vec<String> {
        let mut lines = self.lines.lock().clone();
        lines.retain(|line| line.contains(text));
        lines
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines.lock().iter()).finish()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}
