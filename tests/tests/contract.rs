//! The backend contract, over every backend.
#![expect(
    clippy::expect_used,
    clippy::unused_async,
    reason = "fixtures with servers are async and can fail, and the macro calls all of them alike"
)]

use lockguard::backend::{Memory, RedisNode};
use lockguard_tests::{Scripted, Server, Servers, contract::Fixture, contract_tests, redlock_over};

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

contract_tests!(redis, real, super::redis);
contract_tests!(redlock_over_3_redis, real, super::redlock_over_redis::<3>);
contract_tests!(redlock_over_5_redis, real, super::redlock_over_redis::<5>);

async fn redis() -> Fixture {
    let server = Server::start();
    let node = RedisNode::connect(&server.url()).await;
    Fixture::keeping(server, node.expect("connect to a fresh server"))
}

async fn redlock_over_redis<const N: usize>() -> Fixture {
    let servers = Servers::start(N);
    let mut nodes = Vec::new();
    for server in &servers {
        let node = RedisNode::connect(&server.url()).await;
        nodes.push(node.expect("connect to a fresh server"));
    }
    Fixture::keeping(servers, redlock_over(nodes))
}

async fn memory() -> Fixture {
    Fixture::new(Memory::new())
}

async fn redlock_over_memory<const N: usize>() -> Fixture {
    Fixture::new(redlock_over((0..N).map(|_| Memory::new())))
}

async fn scripted() -> Fixture {
    Fixture::new(Scripted::new())
}

async fn redlock_over_scripted<const N: usize>() -> Fixture {
    Fixture::new(redlock_over((0..N).map(|_| Scripted::new())))
}
