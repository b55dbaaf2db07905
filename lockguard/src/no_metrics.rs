//! What stands in for `metrics.rs` without the feature: nothing.

#[cfg(feature = "redis")]
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{lost_cause::LostCause, point::Point};

pub(crate) const IS_ON: bool = false;

#[inline]
pub(crate) fn describe() {}

#[inline]
pub(crate) fn acquired(_: &Point, _: &'static str, _: Duration) {}

#[inline]
pub(crate) fn held(_: &Point, _: impl FnOnce() -> (Duration, f64)) {}

#[inline]
pub(crate) fn lost(_: &Point, _: LostCause) {}

#[inline]
pub(crate) fn finished_late(_: &Point) {}

#[cfg(feature = "redis")]
#[inline]
pub(crate) fn node_is_up(_: &Arc<str>) {}

#[cfg(feature = "redis")]
#[inline]
pub(crate) fn node_is_down(_: &Arc<str>) {}

pub(crate) struct PendingRelease;

impl PendingRelease {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self
    }
}

#[cfg(feature = "redis")]
pub(crate) struct OwedRelease;

#[cfg(feature = "redis")]
impl OwedRelease {
    #[inline]
    pub(crate) fn to(_: &Arc<str>) -> Self {
        Self
    }
}

pub(crate) struct Polls;

impl Polls {
    #[inline]
    pub(crate) fn at(_: &Point) -> Self {
        Self
    }

    #[inline]
    #[expect(clippy::unused_self, reason = "there is nothing to note")]
    pub(crate) fn polled(&mut self, _: Instant) {}
}
