//! The node against real servers, which are stopped, killed and replaced.

use std::{
    future::poll_fn,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    ops::Deref,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::FromRedisValue;
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

mod answers;
mod callers;
mod connecting;
mod faults;
mod full;
mod grants;
mod line;
mod sending;
mod together;

use super::*;
use crate::{
    backend::{Ticket, Waiter},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    token::OwnerToken,
};

/// Longer than anything here takes, and the end of what hangs.
const PATIENCE: Duration = Duration::from_secs(10);

const TTL: Duration = Duration::from_secs(60);

/// Short, for tests in which a node turns bad.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(300),
    response: Duration::from_millis(300),
};

/// A server, and the nodes that are connected to it.
pub(super) struct Server(lockguard_servers::Server);

impl Deref for Server {
    type Target = lockguard_servers::Server;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Server {
    fn start() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        Self(lockguard_servers::Server::start_with(arguments))
    }

    fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.cli(command)
    }

    fn value(&self, key: &LockKey) -> Option<String> {
        self.get(key.as_str())
    }

    /// How many there are.
    fn keys(&self) -> usize {
        self.ask(&["DBSIZE"])
    }

    /// Closes every connection but the one that asks.
    fn kill_clients(&self) {
        assert!(self.client_kill() > 0, "nobody was connected");
    }

    /// The address for a user whose password is `pass`.
    fn url_of(&self, user: &str) -> String {
        format!("redis://{user}:pass@{}", self.address())
    }

    fn node(&self, timeouts: Timeouts) -> RedisNode {
        RedisNode::open(Address::parse(&self.url()).unwrap(), timeouts)
    }

    async fn connected_beside_others(&self) -> RedisNode {
        beside_others(&self.url()).await
    }

    async fn connected(&self) -> RedisNode {
        RedisNode::connect(&self.url()).await.unwrap()
    }

    /// Connected, and soon to find the server overdue.
    async fn impatient(&self) -> RedisNode {
        let node = self.node(SHORT);
        eventually("it is connected", async || {
            node.first_contact().await.is_ok()
        })
        .await;
        node
    }
}

/// Connected as one of two nodes.
async fn beside_others(url: &str) -> RedisNode {
    let membership = Membership {
        twins: Twins::of(2),
        ..Membership::default()
    };
    let address = Address::parse(url).unwrap();
    let node = RedisNode::open_among(address, Timeouts::default(), membership);
    node.first_contact().await.unwrap();
    node
}

fn key(name: &str) -> LockKey {
    LockKey::new(name).unwrap()
}

fn token() -> OwnerToken {
    OwnerToken::with_label("test")
}

async fn take(node: &RedisNode, key: &LockKey, token: &OwnerToken) -> Taken {
    node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL))
        .await
}

type Taken = Result<AcquireReply, BackendError>;

async fn free(
    node: &RedisNode,
    key: &LockKey,
    token: &OwnerToken,
) -> Result<ReleaseReply, BackendError> {
    node.release(ReleaseRequest::new(key.clone(), token.clone()))
        .await
}

async fn keep(
    node: &RedisNode,
    key: &LockKey,
    token: &OwnerToken,
    ttl: Duration,
) -> Result<ExtendReply, BackendError> {
    node.extend(vec![ExtendRequest::new(key.clone(), token.clone(), ttl)])
        .await
        .remove(0)
}

fn reason<T: fmt::Debug>(outcome: Result<T, BackendError>) -> String {
    match outcome {
        Err(BackendError::Unavailable { nodes }) => nodes[0].reason().to_owned(),
        other => panic!("not unavailable: {other:?}"),
    }
}

fn is_unavailable<T>(outcome: &Result<T, BackendError>) -> bool {
    matches!(outcome, Err(BackendError::Unavailable { .. }))
}

fn is_granted(outcome: &Taken) -> bool {
    matches!(outcome, Ok(AcquireReply::Granted))
}

/// Waits until the condition holds.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Stops the server and waits until the node is bad.
async fn turn_bad(server: &Server, node: &RedisNode) {
    server.stop();
    eventually("the node fails at once", async || {
        let (key, token) = (key("probe"), token());
        let start = Instant::now();
        let outcome = take(node, &key, &token).await;
        let waited = start.elapsed();
        let _ = free(node, &key, &token).await;
        is_unavailable(&outcome) && waited < Duration::from_millis(20)
    })
    .await;
}

/// Waits until a node that was bad is not, and keeps nothing.
async fn turn_good(node: &RedisNode) {
    eventually("the node grants again", async || {
        let (key, token) = (key("again"), token());
        let outcome = take(node, &key, &token).await;
        let _ = free(node, &key, &token).await;
        is_granted(&outcome)
    })
    .await;
}
