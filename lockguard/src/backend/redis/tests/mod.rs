//! The node against real servers, which are stopped, killed and replaced.

use std::{
    env, fs,
    future::poll_fn,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command as Process, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

use redis::{FromRedisValue, RedisResult};
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

mod answers;
mod callers;
mod connecting;
mod faults;
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

/// A server of one test, killed when the test ends, however it ends.
pub(super) struct Server {
    child: Option<Child>,
    pub(super) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
}

impl Server {
    fn start() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(arguments: &[&str]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("lockguard-node-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut server = Self {
            child: None,
            port: free_port(),
            directory,
            arguments: arguments.iter().map(|&argument| argument.into()).collect(),
        };
        // Another process may have taken the port in the meantime.
        for _ in 0..10 {
            if server.try_up() {
                return server;
            }
            server.port = free_port();
        }
        panic!("no redis-server came up");
    }

    fn up(&mut self) {
        assert!(self.try_up(), "the server did not come up again");
    }

    fn spawn(&mut self) {
        let program = env::var_os("LOCKGUARD_REDIS_SERVER");
        let child = Process::new(program.unwrap_or_else(|| "redis-server".into()))
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", self.socket().to_str().unwrap()])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is not there; `cargo xtask test` finds or installs one");
        self.child = Some(child);
    }

    fn try_up(&mut self) -> bool {
        self.spawn();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.try_ask::<()>(&["PING"]).is_ok() {
                return true;
            }
            let child = self.child.as_mut().unwrap();
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let status = Process::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    fn stop(&self) {
        self.signal("-STOP");
    }

    fn go_on(&self) {
        self.signal("-CONT");
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("s")
    }

    fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        let mut cmd = redis::Cmd::new();
        cmd.arg(command);
        cmd.query(&mut connection)
    }

    fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).unwrap()
    }

    fn value(&self, key: &LockKey) -> Option<String> {
        self.ask(&["GET", key.as_str()])
    }

    fn keys(&self) -> usize {
        self.ask(&["DBSIZE"])
    }

    /// Closes every connection but the one that asks.
    fn kill_clients(&self) {
        let kill = |kind| self.ask(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        // Who listens for messages is a client of the second kind.
        let killed: usize = ["normal", "pubsub"].map(kill).iter().sum();
        assert!(killed > 0, "nobody was connected");
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The address for a user whose password is `pass`.
    fn url_of(&self, user: &str) -> String {
        format!("redis://{user}:pass@127.0.0.1:{}", self.port)
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
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

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
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
