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

mod grants;

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

    fn node(&self, timeouts: Timeouts) -> RedisNode {
        RedisNode::open(Address::parse(&self.url()).unwrap(), timeouts)
    }

    async fn connected_beside_others(&self) -> RedisNode {
        let membership = Membership {
            twins: Twins::of(2),
            ..Membership::default()
        };
        let address = Address::parse(&self.url()).unwrap();
        let node = RedisNode::open_among(address, Timeouts::default(), membership);
        node.first_contact().await.unwrap();
        node
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

#[tokio::test]
async fn a_lock_is_a_plain_string_with_a_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    assert_eq!(server.value(&key).as_deref(), Some(token.expose()));
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!((59_000..=60_000).contains(&left), "{left}");
    assert_eq!(
        free(&node, &key, &token).await.unwrap(),
        ReleaseReply::Freed
    );
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn another_owner_is_told_who_holds_it_and_changes_nothing() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, mine, theirs) = (key("seat:1"), token(), OwnerToken::with_label("them"));
    take(&node, &key, &theirs).await.unwrap();

    let Ok(AcquireReply::Busy(holder)) = take(&node, &key, &mine).await else {
        panic!("not busy");
    };
    assert_eq!(holder.label(), Some("them"));
    assert!(holder.expires_in().unwrap() > Duration::from_secs(50));
    let kept = keep(&node, &key, &mine, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &mine).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert_eq!(server.value(&key).as_deref(), Some(theirs.expose()));
}

#[tokio::test]
async fn a_repeated_acquire_is_granted_without_a_longer_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: i64 = server.ask(&["PEXPIRE", key.as_str(), "5000"]);
    assert!(is_granted(&take(&node, &key, &token).await));
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left <= 5000, "{left}");
}

#[tokio::test]
async fn an_extend_lengthens_and_never_shortens_or_creates() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotHeld);
    assert_eq!(server.keys(), 0);

    take(&node, &key, &token).await.unwrap();
    let kept = keep(&node, &key, &token, TTL / 2).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left > 50_000, "{left}");
    let kept = keep(&node, &key, &token, TTL * 2).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left > 110_000, "{left}");
}

#[tokio::test]
async fn a_batch_of_extends_is_answered_in_order() {
    let server = Server::start();
    let node = server.connected().await;
    let token = token();
    take(&node, &key("a"), &token).await.unwrap();
    take(&node, &key("c"), &token).await.unwrap();
    let requests = ["a", "b", "c"]
        .map(|name| ExtendRequest::new(key(name), token.clone(), TTL))
        .into();
    let replies: Vec<_> = node.extend(requests).await;
    let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
    let expected = [
        ExtendReply::Extended,
        ExtendReply::NotHeld,
        ExtendReply::Extended,
    ];
    assert_eq!(replies, expected);
}

#[tokio::test]
async fn a_release_of_a_free_key_finds_nothing() {
    let server = Server::start();
    let node = server.connected().await;
    let freed = free(&node, &key("seat:1"), &token()).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotHeld);
}

#[tokio::test]
async fn a_key_of_another_type_is_no_lock_and_is_left_alone() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: i64 = server.ask(&["HSET", key.as_str(), "field", "value"]);
    match take(&node, &key, &token).await {
        Err(BackendError::InvalidKey { reason, .. }) => {
            assert_eq!(&*reason, "holds a hash, not a lock");
        }
        other => panic!("{other:?}"),
    }
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert_eq!(server.ask::<String>(&["TYPE", key.as_str()]), "hash");
}

#[tokio::test]
async fn a_release_that_may_not_free_the_key_is_an_error_whatever_it_says_beside() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["ACL", "SETUSER", "default", "-del", "-pexpire"]);
    let release = || ReleaseRequest::new(key.clone(), token.clone());
    for request in [
        release(),
        release().leaving(Ticket::draw()),
        release().opening(),
        release().keeping(Duration::from_millis(10)),
    ] {
        let error = node.release(request).await.unwrap_err();
        assert!(format!("{error:?}").contains("NOPERM"), "{error:?}");
    }
}

#[tokio::test]
async fn a_transfer_that_is_asked_for_twice_keeps_the_key_for_the_whole_time_again() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, one, other) = (key("seat:1"), token(), token());
    take(&node, &key, &one).await.unwrap();
    let transfer = AcquireRequest::new(key.clone(), other, 2 * TTL).replacing(one);
    for _ in 0..2 {
        let granted = node.acquire(transfer.clone()).await;
        assert_eq!(granted.unwrap(), AcquireReply::Granted);
        let left: u64 = server.ask(&["PTTL", key.as_str()]);
        assert!(Duration::from_millis(left) > TTL, "{left} ms left");
        let _: i64 = server.ask(&["PEXPIRE", key.as_str(), "1000"]);
    }
}

#[tokio::test]
async fn a_key_without_expiry_that_goes_to_a_successor_stays_without() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, one, other) = (key("seat:1"), token(), token());
    let _: () = server.ask(&["SET", key.as_str(), one.expose()]);
    let extend = ExtendRequest::new(key.clone(), one, TTL).to(other.clone());
    let replies = node.extend(vec![extend]).await;
    assert!(matches!(replies[..], [Ok(ExtendReply::Extended)]));
    assert_eq!(server.ask::<i64>(&["PTTL", key.as_str()]), -1);
    assert_eq!(server.ask::<String>(&["GET", key.as_str()]), other.expose());
}

/// A selector gives the right to the first and the last.
#[tokio::test]
async fn who_may_not_take_one_of_several_keys_keeps_none() {
    let server = Server::start();
    let node = server.connected().await;
    let _: () = server.ask(&["ACL", "SETUSER", "default", "-set", "(+set ~a:* ~c:* ~{*)"]);
    let keys = LockKeys::new(["a:1", "b:1", "c:1"].map(key)).unwrap();
    let plain = AcquireRequest::new(keys, token(), TTL);
    let fenced = plain.clone().fenced(FencingToken::new(1).unwrap(), TTL);
    for request in [plain, fenced] {
        let error = node.acquire(request).await.unwrap_err();
        assert!(format!("{error:?}").contains("NOPERM"), "{error:?}");
        assert_eq!(server.ask::<u8>(&["EXISTS", "a:1", "b:1", "c:1"]), 0);
    }
}

#[tokio::test]
async fn a_waiter_is_told_that_a_key_of_another_type_is_no_lock() {
    let server = Server::start();
    let node = server.connected().await;
    let key = key("seat:1");
    let _: i64 = server.ask(&["HSET", key.as_str(), "field", "value"]);
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let request = AcquireRequest::new(key, token(), TTL).waiting(waiter);
    match node.acquire(request).await {
        Err(BackendError::InvalidKey { reason, .. }) => {
            assert_eq!(&*reason, "holds a hash, not a lock");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_without_expiry_is_busy_without_end() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: () = server.ask(&["SET", key.as_str(), "by hand"]);
    let Ok(AcquireReply::Busy(holder)) = take(&node, &key, &token).await else {
        panic!("not busy");
    };
    assert_eq!(holder.expires_in(), None);

    let _: () = server.ask(&["SET", key.as_str(), token.expose()]);
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    assert_eq!(server.ask::<i64>(&["PTTL", key.as_str()]), -1);
}

#[tokio::test]
async fn an_empty_value_of_another_is_neither_extended_nor_released() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: () = server.ask(&["SET", key.as_str(), "", "PX", "60000"]);
    let kept = keep(&node, &key, &token, 10 * TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert!(server.ask::<i64>(&["PTTL", key.as_str()]) <= 60_000);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_in_full() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let outcome = take(&node, &key, &self::token()).await;
    assert!(matches!(outcome, Ok(AcquireReply::Busy(_))), "{outcome:?}");
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
}

#[tokio::test]
async fn a_connection_reset_between_two_calls_fails_neither() {
    let server = Server::start();
    let node = server.connected().await;
    for round in 0..50 {
        let (key, token) = (key(&format!("seat:{round}")), token());
        server.kill_clients();
        assert!(is_granted(&take(&node, &key, &token).await), "{round}");
        server.kill_clients();
        let kept = keep(&node, &key, &token, TTL).await;
        assert_eq!(kept.unwrap(), ExtendReply::Extended);
        server.kill_clients();
        let freed = free(&node, &key, &token).await;
        assert_eq!(freed.unwrap(), ReleaseReply::Freed, "{round}");
    }
    assert_eq!(server.keys(), 0);
}

/// Nothing here lets the link's task read before it writes.
#[tokio::test]
async fn a_connection_that_is_found_broken_by_writing_is_replaced_at_once() {
    let server = Server::start();
    let node = server.connected().await;
    let ask = |n| node.acquire(AcquireRequest::new(key(&format!("k:{n}")), token(), TTL));
    assert!(is_granted(&ask(0).await));
    server.kill_clients();
    // What is written first is answered by a reset, and what follows fails.
    let first = ask(1);
    thread::sleep(Duration::from_millis(5));
    let others: Vec<_> = (2..10).map(ask).collect();
    assert!(is_granted(&first.await));
    for other in others {
        assert!(is_granted(&other.await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset_under_load_fail_no_call() {
    let server = Server::start();
    let node = server.connected().await;
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let node = node.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let (key, token) = (key(&format!("k:{task}:{round}")), token());
                    assert!(is_granted(&take(&node, &key, &token).await));
                    let freed = free(&node, &key, &token).await;
                    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
                }
            })
        })
        .collect();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let _: usize = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn a_stopped_server_is_bad_after_the_timeout_and_costs_nothing_then() {
    let server = Server::start();
    let node = server.impatient().await;
    server.stop();
    let start = Instant::now();
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    let waited = start.elapsed();
    // The node's own word, not that of the call, which waits for longer.
    assert!(said.starts_with("no answer for "), "{said}");
    assert!(waited >= SHORT.response, "{waited:?}");
    let start = Instant::now();
    for _ in 0..100 {
        assert!(is_unavailable(&take(&node, &key("seat:1"), &token()).await));
        assert!(is_unavailable(&free(&node, &key("seat:1"), &token()).await));
    }
    // A single one that waited would take a good part of it.
    assert!(start.elapsed() < SHORT.response * 4);
}

#[tokio::test]
async fn a_server_that_goes_on_is_good_again_and_keeps_nothing_of_ours() {
    let server = Server::start();
    let node = server.impatient().await;
    let (held, mine) = (key("held"), token());
    take(&node, &held, &mine).await.unwrap();
    turn_bad(&server, &node).await;

    // One that was held before, and give-backs of what may have been taken.
    assert!(is_unavailable(&free(&node, &held, &mine).await));
    for n in 0..100 {
        let (key, token) = (key(&format!("k:{n}")), token());
        assert!(is_unavailable(&take(&node, &key, &token).await));
        assert!(is_unavailable(&free(&node, &key, &token).await));
    }
    server.go_on();
    eventually("the node grants again", async || {
        let (key, token) = (key("again"), token());
        let outcome = take(&node, &key, &token).await;
        let _ = free(&node, &key, &token).await;
        is_granted(&outcome)
    })
    .await;
    assert_eq!(server.keys(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_on_its_way_to_a_stopped_server_is_given_back() {
    let server = Server::start();
    for round in 0..5 {
        let node = server.impatient().await;
        server.stop();
        // Far more than the server reads at once, so that a new connection
        // would overtake the rest.
        let tasks: Vec<_> = (0..5000)
            .map(|n| {
                let node = node.clone();
                let (key, token) = (key(&format!("k:{round}:{n}")), token());
                tokio::spawn(async move {
                    let outcome = take(&node, &key, &token).await;
                    let _ = free(&node, &key, &token).await;
                    outcome
                })
            })
            .collect();
        for task in tasks {
            assert!(is_unavailable(&task.await.unwrap()));
        }
        server.go_on();
        eventually("the node grants again", async || {
            let (key, token) = (key("again"), token());
            let outcome = take(&node, &key, &token).await;
            let _ = free(&node, &key, &token).await;
            is_granted(&outcome)
        })
        .await;
        assert_eq!(server.keys(), 0, "round {round}");
    }
}

#[tokio::test]
async fn what_a_network_delivers_late_takes_no_lock() {
    let server = Server::start();
    let (port, is_held, first) = slow_road(server.port);
    let address = Address::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
    let node = RedisNode::open(address, SHORT);
    node.first_contact().await.unwrap();
    let (key, token) = (key("seat:1"), token());
    is_held.store(true, Ordering::Release);
    assert!(is_unavailable(&take(&node, &key, &token).await));
    let _ = free(&node, &key, &token).await;
    // Over the next connection, which is not held up.
    eventually("the node answers", async || {
        free(&node, &key, &token).await.is_ok()
    })
    .await;
    is_held.store(false, Ordering::Release);
    let first = tokio::task::spawn_blocking(|| first.join().unwrap());
    let carried = timeout(PATIENCE, first).await.unwrap().unwrap();
    assert!(carried > 0, "nothing was held up");
    assert_eq!(server.keys(), 0);
}

/// It gives the numbers of its clients anew.
#[tokio::test]
async fn a_client_of_another_run_is_not_taken_for_the_connection_before() {
    let [before, server] = [(); 2].map(|()| Server::start());
    let open = async |server: &Server, lingering| {
        let address = Address::parse(&server.url()).unwrap();
        let (lookup, pushes) = (lookup::Lookup::default(), Arc::new(Pushes::new()));
        let opened = connection::open(address, lookup, PATIENCE, lingering, pushes);
        opened.await.ok().and_then(|opened| opened.identity)
    };
    let number = |connection: &mut redis::Connection| -> i64 {
        let id = redis::cmd("CLIENT").arg("ID").query(connection);
        id.unwrap()
    };
    let client = redis::Client::open(server.url()).unwrap();
    let mut other = client.get_connection().unwrap();
    let mut lingering = open(&before, None).await.unwrap();
    while lingering.client_id <= number(&mut other) {
        lingering = open(&before, None).await.unwrap();
    }
    while number(&mut other) < lingering.client_id {
        other = client.get_connection().unwrap();
    }
    assert_eq!(number(&mut other), lingering.client_id);
    assert!(open(&server, Some(lingering)).await.is_some());
    number(&mut other);
}

/// A road to the server whose first traveller can be held up; it is done when
/// what was held up is delivered or refused, and tells how much that was.
fn slow_road(server: u16) -> (u16, Arc<AtomicBool>, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let is_held = Arc::new(AtomicBool::new(false));
    let road = Arc::clone(&is_held);
    let first = thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        let rest = thread::spawn(move || {
            while let Ok((next, _)) = listener.accept() {
                let free = Arc::default();
                thread::spawn(move || drive(next, server, &free));
            }
        });
        let carried = drive(first, server, &road);
        drop(rest);
        carried
    });
    (port, is_held, first)
}

/// Carries bytes both ways until the client has closed and the server has
/// replied to everything or closed too; how many were held up.
fn drive(mut client: TcpStream, server: u16, is_held: &Arc<AtomicBool>) -> usize {
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut held_up = 0;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if is_held.load(Ordering::Acquire) {
            held_up += count;
        }
        while is_held.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        if server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
    back.join().unwrap();
    held_up
}

#[tokio::test]
async fn a_server_that_answers_greetings_but_no_commands_stays_bad() {
    let server = Server::start();
    let node = server.impatient().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert!(is_unavailable(&free(&node, &key, &token).await));
    let start = Instant::now();
    let mut slow = 0;
    while start.elapsed() < SHORT.response * 4 {
        let asked = Instant::now();
        assert!(is_unavailable(&take(&node, &key, &self::token()).await));
        slow += usize::from(asked.elapsed() >= SHORT.response);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(slow, 0);
    let _: () = server.ask(&["CLIENT", "UNPAUSE"]);
    eventually("the lock is given back", async || server.keys() == 0).await;
}

/// The answer to what it is owed is still out, and nothing is owed after that.
#[tokio::test]
async fn a_release_behind_those_that_a_server_is_owed_leaves_no_key() {
    let server = Server::start();
    let node = server.impatient().await;
    let [first, second] = ["first", "second"].map(|name| (key(name), token()));
    for (key, token) in [&first, &second] {
        take(&node, key, token).await.unwrap();
    }
    let _: () = server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert!(is_unavailable(&free(&node, &first.0, &first.1).await));
    eventually("what it is owed is on its way", async || {
        node.link.load().is_some_and(|(under_way, _)| under_way > 0)
    })
    .await;
    // On its way when its method returns.
    drop(node.release(ReleaseRequest::new(second.0, second.1)));
    let _: () = server.ask(&["CLIENT", "UNPAUSE"]);
    eventually("both are given back", async || server.keys() == 0).await;
}

#[tokio::test]
async fn a_killed_server_is_used_again_when_it_is_back() {
    let mut server = Server::start();
    let node = server.impatient().await;
    server.down();
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    assert!(said.contains("connection refused"), "{said}");
    server.up();
    eventually("the node grants again", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn a_server_restarted_within_the_timeout_fails_no_call() {
    let mut server = Server::start();
    let node = server.connected().await;
    server.down();
    let (key, token) = (key("seat:1"), token());
    let taking = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    server.up();
    assert!(is_granted(&taking.await));
}

#[tokio::test]
async fn a_node_that_is_refused_from_the_start_connects_when_it_can() {
    let mut server = Server::start();
    server.down();
    let node = server.node(SHORT);
    let error = node.first_contact().await.unwrap_err().error;
    assert_eq!(error.reason(), "connection refused");
    assert_eq!(error.node(), format!("127.0.0.1:{}", server.port));
    assert!(is_unavailable(&take(&node, &key("seat:1"), &token()).await));
    server.up();
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
    node.first_contact().await.unwrap();
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_refused_within_the_timeout() {
    let server = Server::start();
    server.stop();
    let node = server.node(SHORT);
    let contact = timeout(PATIENCE, node.first_contact()).await.unwrap();
    let error = contact.unwrap_err().error;
    let reason = error.reason();
    assert!(reason.contains("greeting within 300ms"), "{reason}");
    assert!(reason.contains("`connect_timeout`"), "{reason}");
    server.go_on();
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_a_first_connection_in_vain_is_told_that_there_is_none() {
    let server = Server::start();
    server.stop();
    let node = server.node(Timeouts::default());
    let asked = AcquireRequest::new(key("seat:1"), token(), Duration::from_millis(400));
    let said = reason(node.acquire(asked).await);
    assert!(said.starts_with("no connection for "), "{said}");
}

#[tokio::test]
async fn no_socket_is_an_error_that_says_so() {
    let error = RedisNode::connect("redis+unix:///nowhere/redis.sock")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/redis.sock: no socket there");
}

#[tokio::test]
async fn a_socket_is_a_node_like_any_other() {
    let server = Server::start();
    let url = format!("redis+unix://{}", server.socket().display());
    let node = RedisNode::connect(&url).await.unwrap();
    assert!(is_granted(&take(&node, &key("seat:1"), &token()).await));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_says_what_to_write() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/99", server.port);
    let error = RedisNode::connect(&url).await.unwrap_err().to_string();
    assert!(error.contains("write a lower one"), "{error}");
}

/// It answers what a server might, and to nothing that it was asked.
#[tokio::test]
async fn what_sends_back_what_it_is_sent_is_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut from, _)) = listener.accept() {
            let mut to = from.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    let error = RedisNode::connect(&format!("redis://127.0.0.1:{port}")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no Redis server is there"), "{error}");
}

#[tokio::test]
async fn a_password_is_used_and_never_shown() {
    let server = Server::start();
    let _: () = server.ask(&["CONFIG", "SET", "requirepass", "s@cret"]);
    let place = format!("127.0.0.1:{}", server.port);
    let node = RedisNode::connect(&format!("redis://:s%40cret@{place}/5"))
        .await
        .unwrap();
    assert!(is_granted(&take(&node, &key("seat:1"), &token()).await));
    assert!(!format!("{node:?}").contains("cret"));

    let wrong = RedisNode::connect(&format!("redis://:secret@{place}")).await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("WRONGPASS"), "{wrong}");
    assert!(!wrong.contains("secret"), "{wrong}");
    let missing = RedisNode::connect(&format!("redis://{place}")).await;
    let missing = missing.unwrap_err().to_string();
    assert!(missing.contains("NOAUTH"), "{missing}");
}

#[tokio::test]
async fn a_user_that_may_only_lock_can_lock() {
    let server = Server::start();
    let _: () = server.ask(&[
        "ACL", "SETUSER", "app", "on", ">pass", "~seat:*", "-@all", "+set", "+get", "+del",
        "+pttl", "+pexpire", "+type", "+eval", "+evalsha",
    ]);
    let url = format!("redis://app:pass@127.0.0.1:{}", server.port);
    let node = RedisNode::connect(&url).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let outcome = take(&node, &key, &self::token()).await;
    assert!(matches!(outcome, Ok(AcquireReply::Busy(_))), "{outcome:?}");
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);

    let said = reason(take(&node, &self::key("elsewhere"), &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    let said = reason(free(&node, &self::key("elsewhere"), &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    assert!(!said.contains(token.expose()), "{said}");
}

#[tokio::test]
async fn a_right_that_only_a_script_misses_is_named() {
    let server = Server::start();
    let _: () = server.ask(&[
        "ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all", "-del",
    ]);
    let url = format!("redis://app:pass@127.0.0.1:{}", server.port);
    let node = RedisNode::connect(&url).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let said = reason(free(&node, &key, &token).await);
    assert!(said.starts_with("NOPERM: "), "{said}");
    assert!(said.contains("grant set, get, del"), "{said}");
}

#[tokio::test]
async fn a_replica_is_refused_and_used_when_it_is_promoted() {
    let primary = Server::start();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let node = replica.node(SHORT);
    let error = node.first_contact().await.unwrap_err().error;
    assert_eq!(
        error.reason(),
        "this is a replica; give the primary's address"
    );
    let said = reason(take(&node, &key("seat:1"), &token()).await);
    assert!(said.contains("this is a replica"), "{said}");
    let _: () = replica.ask(&["REPLICAOF", "NO", "ONE"]);
    eventually("the node grants", async || {
        is_granted(&take(&node, &key("seat:1"), &token()).await)
    })
    .await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_says_so() {
    let server = Server::start();
    let other = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]);
    let said = reason(take(&node, &self::key("seat:2"), &token).await);
    assert!(said.starts_with("READONLY: "), "{said}");
    server.kill_clients();
    eventually("the reason is the role", async || {
        let outcome = take(&node, &key, &token).await;
        is_unavailable(&outcome) && reason(outcome).contains("this is a replica")
    })
    .await;
}

#[tokio::test]
async fn a_cluster_node_is_refused() {
    let server = Server::with(&["--cluster-enabled", "yes"]);
    let error = RedisNode::connect(&server.url()).await.unwrap_err();
    assert!(error.reason().contains("independent"), "{error}");
}

#[tokio::test]
async fn the_facts_of_a_server_name_its_run() {
    let server = Server::start();
    let facts = server.node(SHORT).first_contact().await.unwrap();
    let info: String = server.ask(&["INFO", "server"]);
    assert!(info.contains(&facts.run_id.unwrap()));
    assert_eq!(facts.eviction_policy.as_deref(), Some("noeviction"));
}

/// Whatever it is asked it would refuse.
#[tokio::test]
async fn a_server_that_loads_its_data_is_connected_to_when_it_has() {
    let seconds_of_loading = [
        "--key-load-delay",
        "5000",
        "--loading-process-events-interval-bytes",
        "1024",
        "--rdbcompression",
        "no",
    ];
    let mut server = Server::with(&seconds_of_loading);
    let fill = "for n = 1, 200 do redis.call('SET', n, string.rep('x', 1024)) end";
    let _: () = server.ask(&["EVAL", fill, "0"]);
    let _: () = server.ask(&["SAVE"]);
    server.down();
    server.spawn();
    let mut said = String::new();
    eventually("it is connected to", async || {
        let connected = RedisNode::connect(&server.url()).await;
        if let Err(error) = &connected
            && error.reason().contains("LOADING")
        {
            error.reason().clone_into(&mut said);
        }
        connected.is_ok()
    })
    .await;
    assert_eq!(said, failure::LOADING);
}

#[tokio::test]
async fn a_full_server_says_so() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let said = reason(take(&node, &self::key("seat:2"), &token).await);
    assert!(said.starts_with("OOM: "), "{said}");
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
}

#[test]
fn after_its_runtime_every_operation_says_that_it_is_gone() {
    let server = Server::start();
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(server.connected());
    server.stop();
    let (key, token) = (key("seat:1"), token());
    let pending = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    drop(runtime);
    server.go_on();
    // Here there is no runtime at all, and there another.
    let later = Runtime::new().unwrap();
    for outcome in [
        block_on(pending),
        block_on(take(&node, &key, &token)),
        later.block_on(take(&node, &key, &token)),
    ] {
        assert!(
            matches!(outcome, Err(BackendError::RuntimeGone)),
            "{outcome:?}"
        );
    }
    let freed = block_on(free(&node, &key, &token));
    assert!(matches!(freed, Err(BackendError::RuntimeGone)), "{freed:?}");
    let kept = block_on(keep(&node, &key, &token, TTL));
    assert!(matches!(kept, Err(BackendError::RuntimeGone)), "{kept:?}");
    let contact = block_on(node.first_contact());
    assert!(contact.is_ok(), "what was learned stays known: {contact:?}");
}

#[test]
fn without_a_runtime_nothing_is_opened_and_nothing_panics() {
    let node = RedisNode::open(Address::parse("redis://127.0.0.1:1").unwrap(), SHORT);
    let outcome = block_on(take(&node, &key("seat:1"), &token()));
    assert!(
        matches!(outcome, Err(BackendError::RuntimeGone)),
        "{outcome:?}"
    );
    let error = block_on(node.first_contact()).unwrap_err().error;
    assert!(error.reason().contains("runtime"), "{error}");
}

#[test]
fn calls_work_from_a_thread_without_a_runtime() {
    let server = Server::start();
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(server.connected());
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&block_on(take(&node, &key, &token))));
    assert_eq!(
        block_on(free(&node, &key, &token)).unwrap(),
        ReleaseReply::Freed
    );
}

/// Drives a future without any runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park_timeout(PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_dropped_at_any_stage_leave_no_key() {
    let server = Server::start();
    let node = server.connected().await;
    for micros in 0..400 {
        let (key, token) = (key(&format!("k:{micros}")), token());
        // Zero is never polled, or polled once; the rest end anywhere.
        let limit = Duration::from_micros(micros * 2);
        if micros == 0 {
            drop(node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL)));
        } else {
            let _ = timeout(limit, take(&node, &key, &token)).await;
        }
        let releasing = node.release(ReleaseRequest::new(key, token));
        if micros % 2 == 0 {
            drop(releasing);
        } else {
            let _ = timeout(limit, releasing).await;
        }
    }
    // Everything before it is done when this is.
    let _ = free(&node, &key("last"), &token()).await.unwrap();
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn a_release_takes_effect_after_the_acquire_before_it() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    // Nothing is polled until both are on their way.
    let taking = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    let freeing = node.release(ReleaseRequest::new(key.clone(), token.clone()));
    assert_eq!(freeing.await.unwrap(), ReleaseReply::Freed);
    assert!(is_granted(&taking.await));
    assert_eq!(server.keys(), 0);
}

/// Its caller sends the release, and the link's task the acquire, whose time is
/// over before the alarm that is set.
#[tokio::test]
async fn a_release_overtakes_no_acquire_that_the_link_has_yet_to_take_in() {
    let server = Server::start();
    let node = server.connected().await;
    take(&node, &key("other"), &token()).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    let ttl = Duration::from_secs(2);
    let acquire = node.acquire(AcquireRequest::new(key.clone(), token.clone(), ttl));
    let release = node.release(ReleaseRequest::new(key, token));
    assert!(is_granted(&acquire.await));
    assert_eq!(release.await.unwrap(), ReleaseReply::Freed);
}

#[tokio::test]
async fn what_was_asked_is_sent_after_the_last_node_is_dropped() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let freeing = node.release(ReleaseRequest::new(key.clone(), token.clone()));
    drop(node);
    drop(freeing);
    eventually("the key is gone", async || server.keys() == 0).await;
    eventually("the connection is closed", async || {
        let clients: String = server.ask(&["CLIENT", "LIST"]);
        clients.lines().count() == 1
    })
    .await;
}

#[tokio::test]
async fn a_node_dropped_while_its_server_is_stopped_answers_within_the_timeout() {
    let server = Server::start();
    let node = server.impatient().await;
    server.stop();
    let freeing = node.release(ReleaseRequest::new(key("seat:1"), token()));
    drop(node);
    let said = reason(freeing.await);
    assert!(said.starts_with("no answer for "), "{said}");
}

#[tokio::test]
async fn beyond_the_most_acquires_are_refused_and_releases_are_not() {
    let server = Server::start();
    let node = server.connected().await;
    let (held, mine) = (key("held"), token());
    take(&node, &held, &mine).await.unwrap();
    let request = AcquireRequest::new(key("seat:1"), token(), TTL);
    // The link is not polled before this thread waits for something.
    let taking: Vec<_> = (0..MOST_UNANSWERED)
        .map(|_| node.acquire(request.clone()))
        .collect();
    let refused = node.acquire(request.clone());
    let freeing = node.release(ReleaseRequest::new(held, mine));
    drop(taking);
    let said = reason(refused.await);
    assert!(said.contains("too many commands are waiting"), "{said}");
    assert_eq!(freeing.await.unwrap(), ReleaseReply::Freed);
    assert!(
        is_granted(&node.acquire(request).await),
        "the count goes down"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_is_not_held_against_the_server() {
    let server = Server::start();
    let node = server.connected().await;
    let mut latest = node.release(ReleaseRequest::new(key("k"), token()));
    for n in 0..50_000 {
        let key = key(&format!("k:{n}"));
        latest = node.release(ReleaseRequest::new(key, token()));
    }
    // Its caller may give up, but the node is not bad.
    let _ = latest.await;
    eventually("the node grants", async || {
        let outcome = take(&node, &key("seat:1"), &token()).await;
        if is_unavailable(&outcome) {
            assert!(reason(outcome).contains("no answer within"));
            false
        } else {
            true
        }
    })
    .await;
}

#[tokio::test]
async fn a_timeout_without_end_is_accepted() {
    let server = Server::start();
    let timeouts = Timeouts {
        connect: Duration::MAX,
        response: Duration::MAX,
    };
    let node = server.node(timeouts);
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    server.stop();
    let said = reason(free(&node, &key, &token).await);
    assert!(said.contains("no answer within 1s"), "{said}");
}

#[tokio::test]
async fn a_program_that_was_blocked_does_not_blame_the_server() {
    let server = Server::start();
    let node = server.impatient().await;
    let taking = node.acquire(AcquireRequest::new(key("seat:1"), token(), TTL));
    let taking = tokio::spawn(taking);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    thread::sleep(SHORT.response * 2);
    assert!(is_granted(&taking.await.unwrap()));
}

/// A reply that is too long ends the connection, for everybody.
#[tokio::test]
async fn a_value_that_is_longer_than_any_token_is_another_holders() {
    let server = Server::start();
    let node = server.connected().await;
    let long = "x".repeat(5 << 20);
    let _: () = server.ask(&["SET", "k", &long, "PX", "60000"]);
    let greetings = || -> String {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let greetings = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_hello:"));
        greetings.unwrap().split(',').next().unwrap().to_owned()
    };
    let before = greetings();
    let request = || AcquireRequest::new(key("k"), token(), TTL);
    let several = LockKeys::new([key("k"), key("other")]).unwrap();
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let fence = FencingToken::new(1).unwrap();
    for request in [
        request(),
        request().waiting(waiter),
        request().replacing(token()),
        request().fenced(fence, TTL),
        AcquireRequest::new(several, token(), TTL),
    ] {
        let reply = node.acquire(request).await;
        assert!(matches!(reply, Ok(AcquireReply::Busy(_))), "{reply:?}");
    }
    assert_eq!(greetings(), before);
}

/// Nothing here lets the link's task run between two commands.
#[tokio::test]
async fn callers_send_by_themselves_while_few_commands_are_on_their_way() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, first) = (key("k"), token());
    // The first goes the long way, and sets the alarm.
    assert!(is_granted(&take(&node, &key, &first).await));
    let release = node.release(ReleaseRequest::new(key.clone(), first));
    assert_eq!(node.link.load(), Some((1, 0)));
    let second = node.acquire(AcquireRequest::new(key, token(), TTL));
    assert_eq!(node.link.load(), Some((2, 0)));
    // In the order in which they were asked.
    assert!(matches!(release.await, Ok(ReleaseReply::Freed)));
    assert!(is_granted(&second.await));
}

/// Their time was over before any of them was read.
#[tokio::test]
async fn a_program_that_was_blocked_hears_every_answer_that_has_come() {
    let server = Server::start();
    let node = server.connected().await;
    let asked = ask_while_stopped(&server, &node, 64).await;
    server.go_on();
    thread::sleep(node_budget(TTL) * 2);
    for reply in asked {
        assert!(is_granted(&reply.await));
    }
}

#[tokio::test]
async fn a_command_after_a_pause_is_told_that_there_is_no_answer() {
    let server = Server::start();
    // The timer for its connection rings when it is there, and idle.
    let node = server.impatient().await;
    eventually("the timer has rung", async || !node.link.has_alarm()).await;
    server.stop();
    let soon = Duration::from_millis(40);
    let asked = node.acquire(AcquireRequest::new(key("k"), token(), soon));
    let told = timeout(PATIENCE, asked).await;
    let said = reason(told.expect("the caller waits for ever"));
    assert!(said.contains("no answer within 10ms"), "{said}");
}

/// Asks for another key, and says how many commands are on their way, and how
/// many wait.
fn ask_one_more(
    node: &RedisNode,
    asked: &mut Vec<BoxFuture<'static, Taken>>,
) -> Option<(usize, usize)> {
    let key = key(&format!("k:{}", asked.len()));
    asked.push(node.acquire(AcquireRequest::new(key, token(), TTL)));
    node.link.load()
}

/// Nothing here lets the link's task run between two commands.
#[tokio::test]
async fn of_up_to_two_dozen_a_third_of_those_on_their_way_gather() {
    let server = Server::start();
    let node = server.connected().await;
    assert!(is_granted(&take(&node, &key("k"), &token()).await));
    let mut asked = Vec::new();
    let mut ask = || ask_one_more(&node, &mut asked);
    for few in 1..=6 {
        assert_eq!(ask(), Some((few, 0)));
    }
    for (under_way, third) in [(6, 2), (8, 2), (10, 3), (13, 4), (17, 5)] {
        for gathered in 1..third {
            assert_eq!(ask(), Some((under_way, gathered)));
        }
        assert_eq!(ask(), Some((under_way + third, 0)));
    }
    for reply in asked {
        assert!(is_granted(&reply.await));
    }
}

#[tokio::test]
async fn beside_other_nodes_all_but_the_first_gather_until_the_task_runs() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    assert!(is_granted(&take(&node, &key("k"), &token()).await));
    server.stop();
    let mut asked = Vec::new();
    let mut ask = || ask_one_more(&node, &mut asked);
    assert_eq!(ask(), Some((1, 0)));
    for gathered in 1..6 {
        assert_eq!(ask(), Some((1, gathered)));
    }
    eventually("all are sent", async || node.link.load() == Some((6, 0))).await;
    server.go_on();
    for reply in asked {
        assert!(is_granted(&reply.await));
    }
}

#[tokio::test]
async fn commands_wait_for_no_answer_to_be_sent() {
    let server = Server::start();
    let node = server.connected().await;
    assert!(is_granted(&take(&node, &key("k"), &token()).await));
    server.stop();
    let asked: Vec<_> = (0..12)
        .map(|n| node.acquire(AcquireRequest::new(key(&format!("k:{n}")), token(), TTL)))
        .collect();
    eventually("all are sent", async || node.link.load() == Some((12, 0))).await;
    server.go_on();
    for reply in asked {
        assert!(is_granted(&reply.await));
    }
}

/// Asks for so many keys, which are answered when the server goes on.
async fn ask_while_stopped(
    server: &Server,
    node: &RedisNode,
    keys: usize,
) -> Vec<BoxFuture<'static, Taken>> {
    server.stop();
    let mut asked = Vec::new();
    for _ in 0..keys {
        ask_one_more(node, &mut asked);
    }
    eventually("all are sent", async || node.link.load() == Some((keys, 0))).await;
    asked
}

#[tokio::test]
async fn whoever_is_answered_first_goes_on_before_most_answers_are_read() {
    let server = Server::start();
    let node = server.connected().await;
    let mut asked = ask_while_stopped(&server, &node, 64).await.into_iter();
    let (first, link) = (asked.next().unwrap(), node.link.clone());
    let first = tokio::spawn(async move {
        assert!(is_granted(&first.await));
        link.load()
    });
    server.go_on();
    for reply in asked {
        assert!(is_granted(&reply.await));
    }
    let load = first.await.unwrap();
    assert!(matches!(load, Some((48.., _))), "{load:?}");
}

#[tokio::test]
async fn a_runtime_that_has_much_else_to_do_reads_every_answer_in_a_few_turns() {
    let server = Server::start();
    let node = server.connected().await;
    let asked = ask_while_stopped(&server, &node, 256).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let mut heard = JoinSet::new();
    for reply in asked {
        let turns = Arc::clone(&turns);
        heard.spawn(async move {
            assert!(is_granted(&reply.await));
            turns.load(Ordering::Relaxed)
        });
    }
    server.go_on();
    thread::sleep(Duration::from_millis(100));
    let busy = tokio::spawn(poll_fn(move |cx| {
        turns.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let heard = heard.join_all().await;
    busy.abort();
    let (first, last) = (heard.iter().min().unwrap(), heard.iter().max().unwrap());
    assert!(last - first < 4, "{first} to {last}");
}

#[test]
fn a_command_beyond_the_most_that_are_unseen_is_not_counted() {
    let count = Arc::default();
    let first = Unseen::below(1, &count);
    assert!(first.is_some());
    assert!(Unseen::below(1, &count).is_none());
    drop(first);
    assert!(Unseen::below(1, &count).is_some());
}
