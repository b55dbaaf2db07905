//! What makes collectors of one thread hear everything.

use std::sync::LazyLock;

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest, set_default},
};

/// Call it before a collector becomes a thread's own.
///
/// With one collector in the process, `tracing` asks only the thread that first
/// meets a warning whether anybody wants it, and remembers the answer for all:
/// a test without a collector then silences it for one that has one.
/// With two it asks all; the second is this one, which wants to be asked each
/// time, and hears nothing.
pub(crate) fn heed() {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| {
        Dispatch::new(Hears {
            most: LevelFilter::OFF,
            hook: |_: &Event<'_>| {},
        })
    });
    LazyLock::force(&SECOND);
}

/// Calls the hook at each event of this thread up to this level, until what this
/// returns is dropped.
#[must_use = "events are heard until it is dropped"]
pub fn hear(most: LevelFilter, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> DefaultGuard {
    heed();
    set_default(Hears { most, hook })
}

struct Hears<F> {
    most: LevelFilter,
    hook: F,
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Subscriber for Hears<F> {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        (self.hook)(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use crate::Warnings;

    #[test]
    fn a_warning_that_another_thread_met_first_is_heard() {
        fn warn() {
            tracing::warn!("heard");
        }
        let warnings = Warnings::collect();
        std::thread::spawn(warn).join().unwrap();
        warn();
        assert_eq!(warnings.containing("heard").len(), 1);
    }
}
