//! What makes collectors of one thread hear everything.

use std::sync::LazyLock;

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

/// Call it before a collector becomes a thread's own.
///
/// With one collector in the process, `tracing` asks only the thread that first
/// meets a warning whether anybody wants it, and remembers the answer for all:
/// a test without a collector then silences it for one that has one.
/// With two it asks all; the second is this one, which wants to be asked each
/// time, and hears nothing.
pub(crate) fn heed() {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Deaf));
    LazyLock::force(&SECOND);
}

struct Deaf;

impl Subscriber for Deaf {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

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
