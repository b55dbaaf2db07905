//! Releases that go out together.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use redis::{Connection, Value, cmd};

use super::{
    line::{InLine, without},
    *,
};
use crate::backend::redis::{helper_key::line_key, script::RELEASE};

type Freed = Result<ReleaseReply, BackendError>;

type Held = Vec<(LockKey, OwnerToken)>;

async fn hold(node: &RedisNode, keys: usize) -> Held {
    let mut held = Held::new();
    for nth in 0..keys {
        let (key, token) = (key(&format!("k:{nth}")), token());
        assert!(is_granted(&take(node, &key, &token).await));
        held.push((key, token));
    }
    held
}

/// Asks for something, behind which the commands of a node beside others wait until
/// the link's task runs, which it does when this thread waits.
fn begin(node: &RedisNode) -> BoxFuture<'static, Freed> {
    node.release(ReleaseRequest::new(key("first"), token()))
}

async fn free_all(node: &RedisNode, held: &Held) -> Vec<Freed> {
    let first = begin(node);
    let release = |(key, token): &(LockKey, OwnerToken)| {
        node.release(ReleaseRequest::new(key.clone(), token.clone()))
    };
    let freeing: Vec<_> = held.iter().map(release).collect();
    assert!(matches!(first.await, Ok(ReleaseReply::NotHeld)));
    let mut freed = Vec::new();
    for reply in freeing {
        freed.push(reply.await);
    }
    freed
}

fn are_freed(freed: &[Freed]) -> bool {
    let is_freed = |freed: &Freed| matches!(freed, Ok(ReleaseReply::Freed));
    freed.iter().all(is_freed)
}

/// How many calls of scripts there were, and how many of them were rejected.
fn calls(server: &Server) -> (usize, usize) {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find(|line| line.contains("cmdstat_evalsha:"));
    let number = |name: &str| {
        let (_, rest) = line?.split_once(name)?;
        rest.split(',').next()?.parse().ok()
    };
    (
        number(":calls=").unwrap_or(0),
        number("rejected_calls=").unwrap_or(0),
    )
}

#[tokio::test]
async fn releases_that_are_sent_together_are_one_call() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 17).await;
    let (before, _) = calls(&server);
    assert!(are_freed(&free_all(&node, &held).await));
    // The first of all, sixteen, and one.
    assert_eq!(calls(&server).0 - before, 3);
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn each_of_several_releases_is_answered_as_if_it_were_alone() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let mut waiter = InLine::enter(&node, "wanted", |waiter| waiter).await;
    let mut held = hold(&node, 3).await;
    held[1].1 = token();
    held.push((key("free"), token()));
    held.push((waiter.key.clone(), waiter.holder.clone()));
    let _: usize = server.ask(&["RPUSH", "list", "a"]);
    held.push((key("list"), token()));
    // Once more, and in their order.
    held.insert(1, held[0].clone());
    let (before, _) = calls(&server);
    let freed = free_all(&node, &held).await;
    let freed: Vec<_> = freed.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        freed,
        [
            ReleaseReply::Freed,
            ReleaseReply::NotHeld,
            ReleaseReply::NotOwner,
            ReleaseReply::Freed,
            ReleaseReply::NotHeld,
            ReleaseReply::Freed,
            ReleaseReply::NotOwner,
        ]
    );
    assert_eq!(calls(&server).0 - before, 2);
    waiter.heard().await;
    assert_eq!(server.value(&waiter.key), Some(waiter.reserved()));
}

#[tokio::test]
async fn a_release_goes_out_with_one_before_and_overtakes_other_acquires() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 2).await;
    let (before, _) = calls(&server);
    let first = begin(&node);
    let release = |nth: usize| {
        let (key, token) = held[nth].clone();
        node.release(ReleaseRequest::new(key, token))
    };
    let one = release(0);
    let taking: Vec<_> = ["k:1", "other"]
        .map(|name| node.acquire(AcquireRequest::new(key(name), token(), TTL)))
        .into();
    let other = release(1);
    assert!(first.await.is_ok());
    assert!(are_freed(&[one.await, other.await]));
    assert_eq!(calls(&server).0 - before, 2);
    // Also of the key that was held until then.
    for granted in taking {
        assert!(is_granted(&granted.await));
    }
}

/// What is asked for first takes effect first, or a key is left.
#[tokio::test]
async fn a_release_overtakes_nothing_that_gives_its_token_the_key_or_takes_it() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 4).await;
    let first = begin(&node);
    let (by_acquire, by_extend, by_transfer) = (token(), token(), token());
    let release = |key: &LockKey, token: &OwnerToken| {
        node.release(ReleaseRequest::new(key.clone(), token.clone()))
    };
    let mut freeing = vec![release(&held[0].0, &held[0].1)];
    let new = key("new");
    let taking = node.acquire(AcquireRequest::new(new.clone(), by_acquire.clone(), TTL));
    freeing.push(release(&new, &by_acquire));
    let (key, owner) = held[1].clone();
    let extend = ExtendRequest::new(key.clone(), owner, TTL).to(by_extend.clone());
    let extending = node.extend(vec![extend]);
    freeing.push(release(&key, &by_extend));
    let (key, owner) = held[2].clone();
    let transfer = AcquireRequest::new(key.clone(), by_transfer.clone(), TTL).replacing(owner);
    let transferring = node.acquire(transfer);
    freeing.push(release(&key, &by_transfer));
    let (key, owner) = held[3].clone();
    let transfer = AcquireRequest::new(key.clone(), token(), TTL).replacing(owner.clone());
    let replacing = node.acquire(transfer);
    let replaced = release(&key, &owner);
    assert!(first.await.is_ok());
    assert!(is_granted(&taking.await) && is_granted(&transferring.await));
    assert!(is_granted(&replacing.await));
    assert!(matches!(replaced.await, Ok(ReleaseReply::NotOwner)));
    let extended = extending.await.remove(0);
    assert_eq!(extended.unwrap(), ExtendReply::Extended);
    for freed in freeing {
        assert!(are_freed(&[freed.await]));
    }
    assert_eq!(server.keys(), 1);
}

/// A rest, and a place in line, are said of one lock.
#[tokio::test]
async fn a_release_that_says_more_goes_alone() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 4).await;
    let opened = InLine::enter(&node, "opened", |waiter| waiter).await;
    let (left, leaver) = (key("left"), token());
    assert!(is_granted(&take(&node, &left, &leaver).await));
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let ticket = waiter.ticket.clone();
    let asked = AcquireRequest::new(left.clone(), token(), TTL).waiting(waiter);
    assert!(!is_granted(&node.acquire(asked).await));
    let first = begin(&node);
    let release =
        |(key, token): &(LockKey, OwnerToken)| ReleaseRequest::new(key.clone(), token.clone());
    let freeing = [
        release(&held[0]),
        release(&held[1]).keeping(TTL / 2),
        release(&held[2]),
        release(&(opened.key, opened.holder)).opening(),
        release(&held[3]),
        release(&(left, leaver)).leaving(ticket),
    ]
    .map(|request| node.release(request));
    assert!(first.await.is_ok());
    for freed in freeing {
        assert!(are_freed(&[freed.await]));
    }
    let kept: u64 = server.ask(&["PTTL", "k:1"]);
    assert!((1..=30_000).contains(&kept), "{kept}");
    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]);
    keys.sort_unstable();
    assert_eq!(keys, ["k:1", "{opened} line"]);
}

#[tokio::test]
async fn releases_whose_script_the_server_forgot_are_asked_again_one_by_one() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    for round in 0..2 {
        let held = hold(&node, 5).await;
        if round == 0 {
            let _: () = server.ask(&["SCRIPT", "FLUSH"]);
        }
        let (before, _) = calls(&server);
        assert!(are_freed(&free_all(&node, &held).await));
        if round == 1 {
            assert_eq!(calls(&server).0 - before, 2, "the server knows it again");
        }
    }
    assert_eq!(server.keys(), 0);
}

/// Every call would be refused for one key of it, and asked for again.
#[tokio::test]
async fn who_may_not_see_the_line_of_a_lock_frees_locks_one_by_one() {
    let server = Server::start();
    let user = ["ACL", "SETUSER", "blind", "on", ">pass", "~k:*", "+@all"];
    let _: () = server.ask(&user);
    let url = format!("redis://blind:pass@127.0.0.1:{}", server.port);
    let membership = Membership {
        twins: Twins::of(2),
        ..Membership::default()
    };
    let address = Address::parse(&url).unwrap();
    let node = RedisNode::open_among(address, Timeouts::default(), membership);
    node.first_contact().await.unwrap();
    let mut rejected = Vec::new();
    for _ in 0..2 {
        let held = hold(&node, 5).await;
        let (_, before) = calls(&server);
        let first = node.release(ReleaseRequest::new(key("k:first"), token()));
        let releases = held.iter().cloned();
        let releases = releases.map(|(key, token)| ReleaseRequest::new(key, token));
        let freeing: Vec<_> = releases.map(|request| node.release(request)).collect();
        assert!(first.await.is_ok());
        for freed in freeing {
            assert!(are_freed(&[freed.await]));
        }
        rejected.push(calls(&server).1 - before);
    }
    // The first release, and the others in one call; then each with its line.
    assert_eq!(rejected, [2, 6]);
}

#[tokio::test]
async fn what_a_server_may_not_free_is_an_error_of_each_release() {
    let server = Server::start();
    let node = without(&server, "del").await;
    let held = hold(&node, 3).await;
    let freed = free_all(&node, &held).await;
    assert!(freed.iter().all(is_unavailable), "{freed:?}");
    assert_eq!(server.keys(), 3);
}

/// A replica would answer each of them so.
#[tokio::test]
async fn releases_that_a_server_refuses_together_are_owed() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 5).await;
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let first = begin(&node);
    let releases = held.into_iter();
    let releases = releases.map(|(key, token)| ReleaseRequest::new(key, token));
    let freeing: Vec<_> = releases.map(|request| node.release(request)).collect();
    let _ = first.await;
    for freed in freeing {
        assert!(is_unavailable(&freed.await));
    }
    let _: () = server.ask(&["REPLICAOF", "NO", "ONE"]);
    eventually("they are free", async || server.keys() == 0).await;
}

/// One of the locks of a call, on a server of its own and as all servers have it.
fn lay(connection: &mut Connection, state: u32, key: &LockKey, token: &OwnerToken) {
    let mine = token.expose();
    let value = match state {
        0 | 6 => None,
        1 | 4 | 5 => Some(mine.to_owned()),
        2 => Some("lg1:other:00000000000000000000000000000000".to_owned()),
        _ => Some(format!("{mine} reserved")),
    };
    if let Some(value) = value {
        let mut set = cmd("SET");
        set.arg(key.as_str()).arg(value).arg("PX").arg(60_000);
        set.exec(connection).unwrap();
    }
    if state == 6 {
        cmd("RPUSH")
            .arg(key.as_str())
            .arg("a")
            .exec(connection)
            .unwrap();
    }
    if state == 4 {
        let waiter = format!("{:016x} 0 1000 0 - {} next", 7, mine);
        let mut enter = cmd("ZADD");
        enter.arg(line_key(key).concat()).arg(1).arg(waiter);
        enter.exec(connection).unwrap();
    }
}

fn call(connection: &mut Connection, releases: &[(LockKey, OwnerToken)]) -> Value {
    let mut eval = cmd("EVAL");
    eval.arg(RELEASE.code).arg(2 * releases.len());
    for (key, _) in releases {
        eval.arg(key.as_str());
    }
    for (key, _) in releases {
        eval.arg(line_key(key).concat());
    }
    for (_, token) in releases {
        eval.arg(token.expose());
    }
    eval.query(connection).unwrap()
}

/// What the server stores, without times.
fn stored(connection: &mut Connection, keys: &[LockKey]) -> Vec<(Value, Value)> {
    let stored = keys.iter().map(|key| {
        let line = line_key(key).concat();
        let mut ask = |command: &str, key: &str| {
            let mut ask = cmd(command);
            ask.arg(key);
            if command == "ZRANGE" {
                ask.arg(0).arg(-1);
            }
            ask.query(connection).unwrap_or(Value::Nil)
        };
        (ask("GET", key.as_str()), ask("ZRANGE", &line))
    });
    stored.collect()
}

#[test]
fn one_call_does_what_several_do_one_after_the_other() {
    let server = Server::start();
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let mut connections = [0, 1].map(|database| {
        let mut connection = client.get_connection_with_timeout(PATIENCE).unwrap();
        let mut select = cmd("SELECT");
        select.arg(database).exec(&mut connection).unwrap();
        connection
    });
    let keys: Vec<_> = (0..4).map(|nth| key(&format!("k:{nth}"))).collect();
    for round in 0..300 {
        let tokens: Vec<_> = keys.iter().map(|_| token()).collect();
        let states: Vec<u32> = keys.iter().map(|_| random.random_range(0..7)).collect();
        for connection in &mut connections {
            cmd("FLUSHDB").exec(connection).unwrap();
            for (nth, key) in keys.iter().enumerate() {
                lay(connection, states[nth], key, &tokens[nth]);
            }
        }
        // Some twice.
        let releases: Held = (0..random.random_range(2..8))
            .map(|_| random.random_range(0..keys.len()))
            .map(|nth| (keys[nth].clone(), tokens[nth].clone()))
            .collect();
        let [together, apart] = &mut connections;
        let replies = match call(together, &releases) {
            Value::Int(1) => vec![Value::Int(1); releases.len()],
            Value::Array(replies) => replies,
            other => panic!("{other:?}"),
        };
        let one_by_one: Vec<_> = releases
            .chunks(1)
            .map(|release| call(apart, release))
            .collect();
        assert_eq!(replies, one_by_one, "round {round}: {states:?}");
        assert_eq!(stored(together, &keys), stored(apart, &keys), "{states:?}");
    }
}
