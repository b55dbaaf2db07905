//! The backend contract, over every backend.
#![expect(
    clippy::unused_async,
    reason = "fixtures with servers are async, and the macro calls all of them alike"
)]

use std::sync::Arc;

use lockguard::backend::{Backend, Memory, RedisNode, Redlock};
use lockguard_tests::{Scripted, Servers, contract::Fixture, contract_tests};

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

contract_tests!(redis, real, super::redis::<1>);
contract_tests!(redlock_over_3_redis, real, super::redis::<3>);
contract_tests!(redlock_over_5_redis, real, super::redis::<5>);

async fn redis<const N: usize>() -> Fixture {
    let servers = Servers::start(N);
    let mut nodes = Vec::new();
    for server in &servers {
        let node = RedisNode::connect(&server.url()).await;
        nodes.push(node.expect("connect to a fresh server"));
    }
    if N == 1 {
        return Fixture::keeping(servers, nodes.remove(0));
    }
    let nodes = nodes
        .into_iter()
        .map(|node| Arc::new(node) as Arc<dyn Backend>);
    Fixture::keeping(servers, Redlock::new(nodes))
}

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
