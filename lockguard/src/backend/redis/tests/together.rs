//! Releases that go out together.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use redis::{Connection, ConnectionLike as _, Value, cmd};

use super::{
    line::{InLine, user_without},
    *,
};
use crate::backend::redis::{
    helper_key::line_key, packed::Packed, reply::release_replies, script::RELEASE,
};

type Freed = Result<ReleaseReply, BackendError>;

/// A lock, and by which token it is held.
type Held = (LockKey, OwnerToken);

async fn hold(node: &RedisNode, locks: usize) -> Vec<Held> {
    let mut held = Vec::new();
    for nth in 0..locks {
        let (key, token) = (key(&format!("k:{nth}")), token());
        assert!(is_granted(&take(node, &key, &token).await));
        held.push((key, token));
    }
    held
}

fn release((key, token): &Held) -> ReleaseRequest {
    ReleaseRequest::new(key.clone(), token.clone())
}

/// Asks for something, behind which the commands of a node beside others wait until
/// the link's task runs, which it does when this thread waits.
fn begin(node: &RedisNode) -> BoxFuture<'static, Freed> {
    node.release(release(&(key("k:first"), token())))
}

/// Frees all behind one release that is on its way, so that they are sent together.
async fn free_all(node: &RedisNode, held: &[Held]) -> Vec<Freed> {
    let first = begin(node);
    let freeing: Vec<_> = held
        .iter()
        .map(|held| node.release(release(held)))
        .collect();
    let _ = first.await;
    let mut freed = Vec::new();
    for reply in freeing {
        freed.push(reply.await);
    }
    freed
}

fn is_freed(freed: &Freed) -> bool {
    matches!(freed, Ok(ReleaseReply::Freed))
}

/// How many commands of this name there were, and how many were rejected.
fn calls(server: &Server, command: &str) -> (usize, usize) {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let name = format!("cmdstat_{command}:");
    let line = stats.lines().find(|line| line.starts_with(&name));
    let number = |field: &str| {
        let (_, rest) = line?.split_once(field)?;
        rest.split(',').next()?.parse().ok()
    };
    let rejected = number(",rejected_calls=").unwrap_or(0);
    (number(":calls=").unwrap_or(0), rejected)
}

fn calls_by_hash(server: &Server) -> usize {
    calls(server, "evalsha").0
}

fn rejected_calls(server: &Server) -> usize {
    calls(server, "evalsha").1
}

#[tokio::test]
async fn up_to_sixteen_releases_that_are_sent_together_are_one_call() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 17).await;
    let before = calls_by_hash(&server);
    assert!(free_all(&node, &held).await.iter().all(is_freed));
    // The first of all, sixteen, and one.
    assert_eq!(calls_by_hash(&server) - before, 3);
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn each_of_several_releases_is_answered_as_if_it_were_alone() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let mut waiter = InLine::enter(&node, "wanted", |waiter| waiter).await;
    let held = hold(&node, 2).await;
    let list = key("list");
    let _: usize = server.ask(&["RPUSH", list.as_str(), "a"]);
    let wanted = (waiter.key.clone(), waiter.holder.clone());
    let cases = [
        (held[0].clone(), ReleaseReply::Freed),
        // Released twice: the second time it is free.
        (held[0].clone(), ReleaseReply::NotHeld),
        ((held[1].0.clone(), token()), ReleaseReply::NotOwner),
        (wanted, ReleaseReply::Freed),
        ((list, token()), ReleaseReply::NotOwner),
        (held[1].clone(), ReleaseReply::Freed),
    ];
    let (releases, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let before = calls_by_hash(&server);
    let freed = free_all(&node, &releases).await;
    assert_eq!(calls_by_hash(&server) - before, 2);
    let freed: Vec<_> = freed.into_iter().map(Result::unwrap).collect();
    assert_eq!(freed, expected);
    waiter.heard().await;
    assert_eq!(server.value(&waiter.key), Some(waiter.reserved()));
}

#[tokio::test]
async fn a_release_goes_out_with_one_before_and_overtakes_other_acquires() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 2).await;
    let before = calls_by_hash(&server);
    let first = begin(&node);
    let one = node.release(release(&held[0]));
    let taking =
        ["k:1", "other"].map(|name| node.acquire(AcquireRequest::new(key(name), token(), TTL)));
    let other = node.release(release(&held[1]));
    assert!(first.await.is_ok());
    assert!(is_freed(&one.await) && is_freed(&other.await));
    assert_eq!(calls_by_hash(&server) - before, 2);
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
    let mut freeing = vec![node.release(release(&held[0]))];
    let new = (key("new"), token());
    let taking = node.acquire(AcquireRequest::new(new.0.clone(), new.1.clone(), TTL));
    freeing.push(node.release(release(&new)));
    let (key, owner) = held[1].clone();
    let extended = (key.clone(), token());
    let extend = ExtendRequest::new(key, owner, TTL).to(extended.1.clone());
    let extending = node.extend(vec![extend]);
    freeing.push(node.release(release(&extended)));
    let transfer = |(key, owner): &Held, to: OwnerToken| {
        let request = AcquireRequest::new(key.clone(), to, TTL);
        node.acquire(request.replacing(owner.clone()))
    };
    let transferred = (held[2].0.clone(), token());
    let transferring = transfer(&held[2], transferred.1.clone());
    freeing.push(node.release(release(&transferred)));
    let replacing = transfer(&held[3], token());
    let replaced = node.release(release(&held[3]));
    assert!(first.await.is_ok());
    for granted in [taking, transferring, replacing] {
        assert!(is_granted(&granted.await));
    }
    let extended = extending.await.remove(0);
    assert_eq!(extended.unwrap(), ExtendReply::Extended);
    for freed in freeing {
        assert!(is_freed(&freed.await));
    }
    assert!(matches!(replaced.await, Ok(ReleaseReply::NotOwner)));
    assert_eq!(server.keys(), 1);
}

/// A rest, and a place in line, are said of one lock.
#[tokio::test]
async fn a_release_that_says_more_goes_alone() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 4).await;
    let opened = InLine::enter(&node, "opened", |waiter| waiter).await;
    let left = (key("left"), token());
    assert!(is_granted(&take(&node, &left.0, &left.1).await));
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let ticket = waiter.ticket.clone();
    let asked = AcquireRequest::new(left.0.clone(), token(), TTL).waiting(waiter);
    assert!(!is_granted(&node.acquire(asked).await));
    let before = calls_by_hash(&server);
    let first = begin(&node);
    let freeing = [
        release(&held[0]),
        release(&held[1]).keeping(TTL / 2),
        release(&held[2]),
        release(&(opened.key, opened.holder)).opening(),
        release(&held[3]),
        release(&left).leaving(ticket),
    ]
    .map(|request| node.release(request));
    assert!(first.await.is_ok());
    for freed in freeing {
        assert!(is_freed(&freed.await));
    }
    assert_eq!(calls_by_hash(&server) - before, 7);
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
    let held = hold(&node, 5).await;
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let (before, _) = calls(&server, "eval");
    assert!(free_all(&node, &held).await.iter().all(is_freed));
    assert_eq!(calls(&server, "eval").0 - before, 6);
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn a_script_that_was_sent_in_full_is_known_again() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 5).await;
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    free_all(&node, &held).await;
    let held = hold(&node, 5).await;
    let before = calls_by_hash(&server);
    assert!(free_all(&node, &held).await.iter().all(is_freed));
    assert_eq!(calls_by_hash(&server) - before, 2);
}

/// Every call would be refused for one key of it, and asked for again.
#[tokio::test]
async fn who_may_not_see_the_line_of_a_lock_frees_locks_one_by_one() {
    let server = Server::start();
    let blind = ["ACL", "SETUSER", "blind", "on", ">pass", "~k:*", "+@all"];
    let _: () = server.ask(&blind);
    let node = beside_others(&server.url_of("blind")).await;
    let mut rejected = Vec::new();
    for _ in 0..2 {
        let held = hold(&node, 5).await;
        let before = rejected_calls(&server);
        assert!(free_all(&node, &held).await.iter().all(is_freed));
        rejected.push(rejected_calls(&server) - before);
    }
    // The first, the others in one call, and each of them with its line; then only
    // those with their lines.
    assert_eq!(rejected, [7, 6]);
}

#[tokio::test]
async fn a_release_that_is_refused_for_another_of_its_call_still_passes_its_lock_on() {
    let server = Server::start();
    let sighted = server.connected().await;
    let mut waiter = InLine::enter(&sighted, "k:wanted", |waiter| waiter).await;
    let half_blind = [
        "ACL",
        "SETUSER",
        "half",
        "on",
        ">pass",
        "~k:*",
        "~{k:wanted}*",
        "&*",
        "+@all",
    ];
    let _: () = server.ask(&half_blind);
    let node = beside_others(&server.url_of("half")).await;
    let mut held = hold(&node, 1).await;
    held.push((waiter.key.clone(), waiter.holder.clone()));
    assert!(free_all(&node, &held).await.iter().all(is_freed));
    assert_eq!(server.value(&waiter.key), Some(waiter.reserved()));
    waiter.heard().await;
}

#[tokio::test]
async fn what_a_server_may_not_free_is_an_error_of_each_release() {
    let server = Server::start();
    let node = beside_others(&user_without(&server, "del")).await;
    let held = hold(&node, 3).await;
    let before = calls_by_hash(&server);
    let freed = free_all(&node, &held).await;
    assert!(freed.iter().all(is_unavailable), "{freed:?}");
    assert_eq!(calls_by_hash(&server) - before, 2);
    assert_eq!(server.keys(), 3);
}

/// A replica would answer each of them so.
#[tokio::test]
async fn releases_that_a_server_refuses_together_are_owed() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let held = hold(&node, 5).await;
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let freed = free_all(&node, &held).await;
    assert!(freed.iter().all(is_unavailable), "{freed:?}");
    let _: () = server.ask(&["REPLICAOF", "NO", "ONE"]);
    eventually("they are free", async || server.keys() == 0).await;
}

/// How a release finds its lock.
#[derive(Debug, Clone, Copy)]
enum Found {
    Nothing,
    Mine,
    Anothers,
    Reserved,
    WaitedFor,
    AList,
}

impl Found {
    const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Mine,
        Self::Anothers,
        Self::Reserved,
        Self::WaitedFor,
        Self::AList,
    ];

    /// Puts the lock into this state.
    fn lay(self, connection: &mut Connection, (key, token): &Held) {
        let mut set = |value: &str| {
            let mut set = cmd("SET");
            set.arg(key.as_str()).arg(value).arg("PX").arg(60_000);
            set.exec(connection).unwrap();
        };
        let mine = token.expose();
        match self {
            Self::Nothing => {}
            Self::Mine => set(mine),
            Self::Anothers => set("lg1:other:00000000000000000000000000000000"),
            Self::Reserved => set(&format!("{mine} reserved")),
            Self::WaitedFor => {
                set(mine);
                let waiter = format!("{:016x} 0 1000 0 - {mine} next", 7);
                let mut enter = cmd("ZADD");
                enter.arg(line_key(key).concat()).arg(1).arg(waiter);
                enter.exec(connection).unwrap();
            }
            Self::AList => {
                let mut push = cmd("RPUSH");
                push.arg(key.as_str()).arg("a");
                push.exec(connection).unwrap();
            }
        }
    }
}

/// What the server replies to these releases as one call.
fn call(connection: &mut Connection, releases: &[Held]) -> Value {
    let requests: Vec<_> = releases.iter().map(release).collect();
    let mut packed = Packed::default();
    Command::releases_to_wire(requests.iter(), &mut packed);
    let mut wire = Vec::new();
    packed.append_to(&mut wire);
    connection.req_packed_command(&wire).unwrap()
}

/// What the server stores, without times.
fn stored(connection: &mut Connection, keys: &[LockKey]) -> Vec<(Value, Value)> {
    let stored = keys.iter().map(|key| {
        let mut get = cmd("GET");
        let value = get.arg(key.as_str()).query(connection);
        let mut range = cmd("ZRANGE");
        let line = range.arg(line_key(key).concat()).arg(0).arg(-1);
        (value.unwrap_or(Value::Nil), line.query(connection).unwrap())
    });
    stored.collect()
}

#[test]
fn one_call_does_what_several_do_one_after_the_other() {
    let server = Server::start();
    let client = redis::Client::open(("127.0.0.1", server.port())).unwrap();
    let mut connections = [0, 1].map(|database| {
        let mut connection = client.get_connection_with_timeout(PATIENCE).unwrap();
        let mut select = cmd("SELECT");
        select.arg(database).exec(&mut connection).unwrap();
        connection
    });
    let mut load = cmd("SCRIPT");
    load.arg("LOAD").arg(RELEASE.code);
    load.exec(&mut connections[0]).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let keys: Vec<_> = (0..4).map(|nth| key(&format!("k:{nth}"))).collect();
    for _ in 0..300 {
        let locks: Vec<Held> = keys.iter().map(|key| (key.clone(), token())).collect();
        let states: Vec<_> = (0..locks.len())
            .map(|_| Found::ALL[random.random_range(0..Found::ALL.len())])
            .collect();
        for connection in &mut connections {
            cmd("FLUSHDB").exec(connection).unwrap();
            for (state, lock) in states.iter().zip(&locks) {
                state.lay(connection, lock);
            }
        }
        // Some twice.
        let releases: Vec<_> = (0..random.random_range(2..8))
            .map(|_| locks[random.random_range(0..locks.len())].clone())
            .collect();
        let [together, apart] = &mut connections;
        let replies = release_replies(call(together, &releases), releases.len());
        let one_by_one: Vec<_> = releases
            .chunks(1)
            .map(|release| call(apart, release))
            .collect();
        assert_eq!(replies, one_by_one, "{states:?}");
        assert_eq!(stored(together, &keys), stored(apart, &keys), "{states:?}");
    }
}
