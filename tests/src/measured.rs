//! What the library measures.

use std::{collections::BTreeMap, fmt, sync::Arc};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard,
    Metadata, Recorder, SharedString, Unit, set_default_local_recorder,
};
use parking_lot::Mutex;

/// Records what is measured in this thread.
///
/// For tests on a runtime of one thread.
#[derive(Default)]
pub struct Measured {
    series: Mutex<BTreeMap<String, Arc<Series>>>,
    descriptions: Mutex<BTreeMap<String, Description>>,
    /// What the recorder does of its own each time.
    habit: Mutex<Option<Box<dyn Fn() + Send>>>,
}

/// What is said of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it counts.
    pub unit: Option<Unit>,
    /// What it is.
    pub text: String,
}

/// The values that one metric with one set of labels was given: of a histogram
/// each, of a counter and a gauge the last.
#[derive(Default)]
struct Series(Mutex<Vec<f64>>);

impl Measured {
    /// Does this, too, whenever something is measured.
    pub fn whenever(&self, habit: impl Fn() + Send + 'static) {
        *self.habit.lock() = Some(Box::new(habit));
    }

    /// Begins to record, until the guard is dropped.
    pub fn record(&self) -> LocalRecorderGuard<'_> {
        set_default_local_recorder(self)
    }

    /// The values of the metric with these labels, which are all of its labels.
    pub fn values<const N: usize>(&self, name: &str, labels: [(&str, &str); N]) -> Vec<f64> {
        let series = self.series.lock();
        let values = series.get(&title(name, labels));
        values.map_or_else(Vec::new, |series| series.0.lock().clone())
    }

    /// The only value, or the last of a counter or a gauge.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    #[track_caller]
    pub fn value<const N: usize>(&self, name: &str, labels: [(&str, &str); N]) -> f64 {
        let values = self.values(name, labels);
        assert_eq!(values.len(), 1, "{name} {labels:?} in {self:?}");
        values[0]
    }

    /// What is said of each metric, by its name.
    pub fn descriptions(&self) -> BTreeMap<String, Description> {
        self.descriptions.lock().clone()
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        if let Some(habit) = &*self.habit.lock() {
            habit();
        }
        let labels = key.labels().map(|label| (label.key(), label.value()));
        let title = title(key.name(), labels);
        Arc::clone(self.series.lock().entry(title).or_default())
    }

    fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>, text: &str) {
        let text = text.to_owned();
        let description = Description { kind, unit, text };
        let mut descriptions = self.descriptions.lock();
        descriptions.insert(name.as_str().to_owned(), description);
    }
}

/// `lockguard_lost_total{cause="expired",point="p"}`.
fn title<'a>(name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut labels: Vec<_> = labels
        .into_iter()
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}

impl Series {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = self.0.lock();
        let last = values.pop().unwrap_or_default();
        values.push(change(last));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "tests count no further than to ten"
)]
impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|last| last + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.change(|last| last + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|last| last - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, "counter", unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, "gauge", unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, "histogram", unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.series.lock();
        let series = series
            .iter()
            .map(|(title, series)| (title, series.0.lock().clone()));
        f.debug_map().entries(series).finish()
    }
}
