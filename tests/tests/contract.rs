//! The backend contract, over every backend.
#![expect(
    clippy::unused_async,
    reason = "fixtures with servers are async, and the macro calls all of them alike"
)]

use std::sync::Arc;

use lockguard::backend::{Backend, Memory, Redlock};
use lockguard_tests::{Scripted, contract::Fixture, contract_tests};

contract_tests!(memory, paused, super::memory);
contract_tests!(memory_on_threads, real, super::memory);
contract_tests!(
    redlock_over_3_memory,
    paused,
    super::redlock_over_memory::<3>
);
contract_tests!(
    redlock_over_5_memory,
    paused,
    super::redlock_over_memory::<5>
);
contract_tests!(scripted, paused, super::scripted);
contract_tests!(
    redlock_over_3_scripted,
    paused,
    super::redlock_over_scripted::<3>
);

async fn memory() -> Fixture {
    Fixture::new(Memory::new())
}

async fn redlock_over_memory<const N: usize>() -> Fixture {
    let nodes = (0..N).map(|_| Arc::new(Memory::new()) as Arc<dyn Backend>);
    Fixture::new(Redlock::new(nodes))
}

async fn scripted() -> Fixture {
    Fixture::new(Scripted::new())
}

async fn redlock_over_scripted<const N: usize>() -> Fixture {
    let nodes = (0..N).map(|_| Arc::new(Scripted::new()) as Arc<dyn Backend>);
    Fixture::new(Redlock::new(nodes))
}
