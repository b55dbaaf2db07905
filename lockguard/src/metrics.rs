#![doc = include_str!("metrics.md")]

use std::{
    collections::HashMap,
    panic::Location,
    sync::{Arc, LazyLock},
    time::Duration,
};

use ::metrics::{
    Gauge, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use parking_lot::RwLock;
use tokio::time::Instant;

use crate::{lost_cause::LostCause, point::Point};

/// How long an acquire took, by `point` and `outcome`.
pub const ACQUIRE_SECONDS: &str = "lockguard_acquire_seconds";

/// How long a lease was held, by `point`.
pub const HOLD_SECONDS: &str = "lockguard_hold_seconds";

/// Which share of its validity a lease had used when it ended, by `point`.
pub const VALIDITY_USED_RATIO: &str = "lockguard_validity_used_ratio";

/// The longest time in a body's life between two looks at the clock, waiting
/// included, by `point`.
pub const BODY_GAP_SECONDS: &str = "lockguard_body_gap_seconds";

/// The longest single poll of a body, by `point`.
pub const BODY_POLL_SECONDS: &str = "lockguard_body_poll_seconds";

/// Leases lost, by `point` and `cause`.
pub const LOST_TOTAL: &str = "lockguard_lost_total";

/// Bodies that finished after their lease was lost, by `point`.
pub const FINISHED_LATE_TOTAL: &str = "lockguard_finished_late_total";

/// Releases, and give-backs of late grants, that go on without their caller.
pub const RELEASES_PENDING: &str = "lockguard_releases_pending";

/// Releases that a node that does not answer is owed, by `node`.
pub const RELEASES_OWED: &str = "lockguard_releases_owed";

/// Whether a node answers, by `node`.
pub const NODE_UP: &str = "lockguard_node_up";

/// Tells the recorder that is installed what each metric is.
///
/// Every manager does so when it is made; for a recorder that is installed
/// later, call it again.
pub fn describe() {
    let seconds = Unit::Seconds;
    describe_histogram!(ACQUIRE_SECONDS, seconds, "How long an acquire took");
    describe_histogram!(HOLD_SECONDS, seconds, "How long a lease was held");
    describe_histogram!(
        VALIDITY_USED_RATIO,
        Unit::Count,
        "Which share of its validity a lease had used when it ended; it is lost at 1"
    );
    describe_histogram!(
        BODY_GAP_SECONDS,
        seconds,
        "The longest time in a body's life between two looks at the clock, waiting included"
    );
    describe_histogram!(
        BODY_POLL_SECONDS,
        seconds,
        "The longest time in a body's life that it did not yield: nothing stops it meanwhile"
    );
    describe_counter!(LOST_TOTAL, Unit::Count, "Leases lost");
    describe_counter!(
        FINISHED_LATE_TOTAL,
        Unit::Count,
        "Bodies that finished after their lease was lost"
    );
    describe_gauge!(
        RELEASES_PENDING,
        Unit::Count,
        "Releases, and give-backs of late grants, that go on without their caller"
    );
    describe_gauge!(
        RELEASES_OWED,
        Unit::Count,
        "Releases that a node that does not answer is owed"
    );
    describe_gauge!(NODE_UP, Unit::Count, "Whether a node answers: 1, or else 0");
}

/// Whether anything is measured.
pub(crate) const IS_ON: bool = true;

/// An acquire has come to its end.
pub(crate) fn acquired(point: &Point, outcome: &'static str, took: Duration) {
    histogram!(ACQUIRE_SECONDS, "point" => label(point), "outcome" => outcome).record(took);
}

/// A lease has ended: for how long it was held, and which share of its
/// validity was used.
pub(crate) fn held(point: &Point, usage: impl FnOnce() -> (Duration, f64)) {
    let (held, share) = usage();
    histogram!(HOLD_SECONDS, "point" => label(point)).record(held);
    histogram!(VALIDITY_USED_RATIO, "point" => label(point)).record(share);
}

/// A lease is lost.
pub(crate) fn lost(point: &Point, cause: LostCause) {
    let cause = match cause {
        LostCause::Expired => "expired",
        LostCause::Taken => "taken",
        LostCause::MaxHold => "max_hold",
        LostCause::Drained => "drained",
    };
    counter!(LOST_TOTAL, "point" => label(point), "cause" => cause).increment(1);
}

/// A body has finished after its lease was lost.
pub(crate) fn finished_late(point: &Point) {
    counter!(FINISHED_LATE_TOTAL, "point" => label(point)).increment(1);
}

/// The node answers.
#[cfg(feature = "redis")]
pub(crate) fn node_is_up(node: &Arc<str>) {
    gauge!(NODE_UP, "node" => Arc::clone(node)).set(1);
}

/// The node does not answer.
#[cfg(feature = "redis")]
pub(crate) fn node_is_down(node: &Arc<str>) {
    gauge!(NODE_UP, "node" => Arc::clone(node)).set(0);
}

/// A release that is pending until this is dropped.
pub(crate) struct PendingRelease {
    _one: One,
}

impl PendingRelease {
    pub(crate) fn begin() -> Self {
        Self {
            _one: One::more(gauge!(RELEASES_PENDING)),
        }
    }
}

/// A release that a node is owed until this is dropped.
#[cfg(feature = "redis")]
pub(crate) struct OwedRelease {
    _one: One,
}

#[cfg(feature = "redis")]
impl OwedRelease {
    pub(crate) fn to(node: &Arc<str>) -> Self {
        Self {
            _one: One::more(gauge!(RELEASES_OWED, "node" => Arc::clone(node))),
        }
    }
}

/// One more in a gauge until it is dropped.
///
/// The recorder that was told of it is the one that is told of its end: one
/// that is installed in between never sees less than nothing.
struct One(Gauge);

impl One {
    fn more(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// How a body is polled; told when it is dropped, with the body.
pub(crate) struct Polls {
    point: SharedString,
    last: Option<Instant>,
    longest_gap: Duration,
    longest_poll: Duration,
}

impl Polls {
    pub(crate) fn at(point: &Point) -> Self {
        Self {
            point: label(point),
            last: None,
            longest_gap: Duration::ZERO,
            longest_poll: Duration::ZERO,
        }
    }

    /// Notes how long a poll took that has ended; the clock was read before.
    pub(crate) fn polled(&mut self, begun: Instant) {
        let took = begun.elapsed();
        let last = self.last.replace(begun);
        let gap = last.map_or(took, |last| took.max(begun - last));
        self.longest_gap = self.longest_gap.max(gap);
        self.longest_poll = self.longest_poll.max(took);
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        let point = || self.point.clone();
        histogram!(BODY_GAP_SECONDS, "point" => point()).record(self.longest_gap);
        histogram!(BODY_POLL_SECONDS, "point" => point()).record(self.longest_poll);
    }
}

/// The lock point as a label.
fn label(point: &Point) -> SharedString {
    match point {
        Point::Named(name) => name.clone().into(),
        Point::At(location) => place(point, location).into(),
    }
}

/// The text of a place in the source, made once: a program has so many of
/// them, and no more.
fn place(point: &Point, location: &'static Location<'static>) -> Arc<str> {
    static PLACES: LazyLock<RwLock<HashMap<usize, Arc<str>>>> = LazyLock::new(RwLock::default);

    let address = std::ptr::from_ref(location).addr();
    if let Some(text) = PLACES.read().get(&address) {
        return Arc::clone(text);
    }
    let text = Arc::from(point.to_string());
    Arc::clone(PLACES.write().entry(address).or_insert(text))
}
