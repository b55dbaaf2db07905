//! A pass that is the second answer to what a waiter asked.

use std::{future::poll_fn, task::Poll};

use super::*;
use crate::{
    backend::{Pass, Ticket, Waiter},
    fencing_token::FencingToken,
    keys::LockKeys,
    opening::OPEN,
};

/// The release, as if the first in line had asked `ARGV[2]` milliseconds ago.
macro_rules! release_later {
    ($before:literal) => {
        concat!(
            $before,
            include_str!("../scripts/line.lua"),
            "local _, asked = parts_of((first_of(KEYS[2])))\n",
            "local age = ARGV[2]\n",
            "now = function() return asked + age end\n",
            "ARGV[2] = ''\n",
            include_str!("../scripts/release.lua"),
        )
    };
}

const RELEASE_LATER: &str = release_later!("");

/// On a server that stores nothing.
const RELEASE_IN_VAIN: &str = release_later!(
    "local redis = {
       call = redis.call,
       pcall = function(command, ...)
         return command == 'SET' and {err = 'ERR'} or redis.pcall(command, ...)
       end
     }\n"
);

/// A waiter in the line of a key that somebody else holds.
struct InLine {
    key: LockKey,
    holder: OwnerToken,
    next: OwnerToken,
    passed: BoxFuture<'static, Pass>,
}

impl InLine {
    async fn enter(node: &RedisNode, name: &str, waits: impl Fn(Waiter) -> Waiter) -> Self {
        let (key, holder, next) = (key(name), token(), token());
        assert!(is_granted(&take(node, &key, &holder).await));
        let passed = node.passed(&next).unwrap();
        let waiter = waits(Waiter::new(Ticket::draw(), next.clone(), TTL));
        let ttl = waiter.ttl;
        let request = AcquireRequest::new(key.clone(), token(), ttl).waiting(waiter);
        let refused = node.acquire(request).await;
        assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
        Self {
            key,
            holder,
            next,
            passed,
        }
    }

    fn release_later(&self, server: &Server, age: i64) {
        release(server, RELEASE_LATER, &self.key, &self.holder, age);
    }

    async fn heard(&mut self) -> Pass {
        timeout(PATIENCE, &mut self.passed).await.unwrap()
    }

    fn has_heard(&mut self) -> impl Future<Output = bool> {
        poll_fn(|cx| Poll::Ready(self.passed.as_mut().poll(cx).is_ready()))
    }

    fn reserved(&self) -> String {
        format!("{} reserved", self.next.expose())
    }
}

fn release(server: &Server, script: &str, key: &LockKey, holder: &OwnerToken, age: i64) {
    let line = format!("{{{}}} line", key.as_str());
    let (key, holder, age) = (key.as_str(), holder.expose(), age.to_string());
    let freed: i64 = server.ask(&["EVAL", script, "2", key, &line, holder, &age]);
    assert_eq!(freed, 1);
}

/// Puts a waiter that nobody can tell before all others.
fn enter_nobody(server: &Server) {
    let entry = format!("{:016x} 0 1000 60000 nobody {}", 1, token().expose());
    let _: i64 = server.ask(&["ZADD", "{k} line", "1", &entry]);
}

fn left(server: &Server, key: &LockKey) -> Duration {
    Duration::from_millis(server.ask(&["PTTL", key.as_str()]))
}

#[tokio::test]
async fn who_has_just_asked_is_granted_what_is_given_back() {
    let server = Server::start();
    let node = server.connected().await;
    for age in [0, 10, -10] {
        let mut waiter = InLine::enter(&node, &format!("k{age}"), Waiter::taking_grants).await;
        waiter.release_later(&server, age);
        assert_eq!(waiter.heard().await, Pass::Granted, "{age} ms");
        let value = server.value(&waiter.key);
        assert_eq!(value.as_deref(), Some(waiter.next.expose()), "{age} ms");
        assert!(left(&server, &waiter.key) > TTL / 2);
        // It is a lock as any other.
        let kept = keep(&node, &waiter.key, &waiter.next, 2 * TTL).await;
        assert_eq!(kept.unwrap(), ExtendReply::Extended);
        let freed = free(&node, &waiter.key, &waiter.next).await;
        assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    }
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn who_asked_earlier_or_takes_no_grants_has_it_reserved() {
    let server = Server::start();
    let node = server.connected().await;
    let of_ttl = |ttl| move |waiter| Waiter { ttl, ..waiter }.taking_grants();
    let shorter = Duration::from_millis(100);
    let longer_ago = InLine::enter(&node, "k1", Waiter::taking_grants).await;
    let before_the_clock = InLine::enter(&node, "k2", Waiter::taking_grants).await;
    let most_of_a_short_ttl = InLine::enter(&node, "k3", of_ttl(shorter)).await;
    let takes_none = InLine::enter(&node, "k4", |waiter| waiter).await;
    let waiters = [
        (longer_ago, 11),
        (before_the_clock, -11),
        (most_of_a_short_ttl, 6),
        (takes_none, 0),
    ];
    for (mut waiter, age) in waiters {
        waiter.release_later(&server, age);
        let value = server.value(&waiter.key);
        assert_eq!(value, Some(waiter.reserved()), "{age} ms");
        assert_eq!(waiter.heard().await, Pass::Reserved, "{age} ms");
    }
}

/// Its lease loses no more than that.
#[tokio::test]
async fn who_asked_a_twentieth_of_its_ttl_ago_is_granted_what_is_given_back() {
    let server = Server::start();
    let node = server.connected().await;
    let ttl = Duration::from_millis(200);
    let short = |waiter| Waiter { ttl, ..waiter }.taking_grants();
    let mut waiter = InLine::enter(&node, "k", short).await;
    waiter.release_later(&server, 10);
    assert_eq!(waiter.heard().await, Pass::Granted);
}

#[tokio::test]
async fn a_grant_that_nobody_hears_goes_to_the_next() {
    let server = Server::start();
    let node = server.connected().await;
    let mut waiter = InLine::enter(&node, "k", Waiter::taking_grants).await;
    enter_nobody(&server);
    waiter.release_later(&server, 0);
    assert_eq!(waiter.heard().await, Pass::Reserved);
    assert_eq!(server.value(&waiter.key), Some(waiter.reserved()));
}

#[tokio::test]
async fn a_grant_that_nobody_hears_leaves_the_lock_free() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, holder) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &holder).await));
    enter_nobody(&server);
    release(&server, RELEASE_LATER, &key, &holder, 0);
    assert_eq!(server.keys(), 0);
}

/// Told first and stored afterwards, it would have two holders.
#[tokio::test]
async fn a_grant_that_cannot_be_stored_is_not_told() {
    let server = Server::start();
    let node = server.connected().await;
    let mut waiter = InLine::enter(&node, "k", Waiter::taking_grants).await;
    release(&server, RELEASE_IN_VAIN, &waiter.key, &waiter.holder, 0);
    assert_eq!(server.value(&waiter.key), None);
    // Its message would have come before this answer.
    assert!(is_granted(&take(&node, &key("other"), &token()).await));
    assert!(!waiter.has_heard().await);
}

/// They are told what they may be told: one key has to be asked for with others,
/// and one that is fenced for its token.
#[tokio::test]
async fn nobody_is_granted_one_of_several_keys_or_one_that_is_fenced() {
    let server = Server::start();
    let node = server.connected().await;
    let waiter = || Waiter::new(Ticket::draw(), token(), TTL).taking_grants();
    let several = LockKeys::new([key("a"), key("b")]).unwrap();
    let several = AcquireRequest::new(several, token(), TTL).waiting(waiter());
    let proposal = FencingToken::new(1).unwrap();
    let fenced = AcquireRequest::new(key("c"), token(), TTL).waiting(waiter());
    let fenced = fenced.fenced(proposal, TTL);
    for (name, request) in [("a", several), ("c", fenced)] {
        let (key, holder) = (key(name), token());
        assert!(is_granted(&take(&node, &key, &holder).await));
        let next = request.waiter.as_ref().unwrap().next.clone();
        let mut passed = node.passed(&next).unwrap();
        let refused = node.acquire(request).await;
        assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
        release(&server, RELEASE_LATER, &key, &holder, 0);
        let pass = timeout(PATIENCE, &mut passed).await.unwrap();
        assert_eq!(pass, Pass::Reserved, "{name}");
        assert_ne!(server.value(&key).as_deref(), Some(next.expose()), "{name}");
    }
}

#[tokio::test]
async fn a_waiter_that_leaves_gives_back_what_it_was_granted_and_has_not_heard_of() {
    let server = Server::start();
    let node = server.connected().await;
    let waiter = InLine::enter(&node, "k", Waiter::taking_grants).await;
    waiter.release_later(&server, 0);
    assert_eq!(
        free(&node, &waiter.key, &waiter.next).await.unwrap(),
        ReleaseReply::Freed
    );
    assert_eq!(server.keys(), 0);
}

/// Of a ticket that a server has entered late, when nobody stood by it any more.
#[tokio::test]
async fn a_late_departure_gives_a_reservation_on_and_leaves_a_grant_alone() {
    let server = Server::start();
    let node = server.connected().await;
    let reserved = InLine::enter(&node, "r", |waiter| waiter).await;
    reserved.release_later(&server, 0);
    let granted = InLine::enter(&node, "g", Waiter::taking_grants).await;
    granted.release_later(&server, 0);
    let freed = free(&node, &reserved.key, &reserved.next.reserved()).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    let freed = free(&node, &granted.key, &granted.next.reserved()).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert_eq!(server.value(&reserved.key), None);
    let value = server.value(&granted.key);
    assert_eq!(value.as_deref(), Some(granted.next.expose()));
}

/// It is there when the server goes on, and was asked for before the node was
/// given up.
#[tokio::test]
async fn a_ticket_that_a_hung_server_enters_late_is_taken_out() {
    let server = Server::start();
    let node = server.impatient().await;
    let (key, holder) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &holder).await));
    server.stop();
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let ticket = waiter.ticket.clone();
    let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
    assert!(is_unavailable(&node.acquire(request).await));
    ticket.close();
    server.go_on();
    let other = LockKey::new("other").unwrap();
    eventually("the node is back", async || {
        !is_unavailable(&take(&node, &other, &token()).await)
    })
    .await;
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 0);
}

/// While there is no connection, by a give-back of the attempt before.
#[tokio::test]
async fn a_waiter_whose_question_was_never_sent_is_out_of_the_line_that_it_was_left_in() {
    let mut server = Server::start();
    server.down();
    let node = server.node(Timeouts {
        response: PATIENCE,
        ..Timeouts::default()
    });
    let (key, waiter) = (key("k"), Waiter::new(Ticket::draw(), token(), TTL));
    let given_back = ReleaseRequest::new(key.clone(), token()).staying(waiter.clone());
    let given_back = node.release(given_back.within(PATIENCE));
    let next = Waiter::new(waiter.ticket.clone(), token(), TTL);
    let request = AcquireRequest::new(key.clone(), waiter.next, TTL).waiting(next);
    drop(node.acquire(request));
    waiter.ticket.close();
    server.up();
    assert_eq!(given_back.await.unwrap(), ReleaseReply::NotHeld);
    // What was asked before has been answered then.
    assert!(is_granted(
        &take(&node, &LockKey::new("other").unwrap(), &token()).await
    ));
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 0);
}

#[tokio::test]
async fn who_asks_for_what_it_was_granted_has_it_for_a_whole_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let waiter = InLine::enter(&node, "k", Waiter::taking_grants).await;
    waiter.release_later(&server, 0);
    let _: i64 = server.ask(&["PEXPIRE", "k", "5000"]);
    let again = Waiter::new(Ticket::draw(), token(), TTL);
    let claim = AcquireRequest::new(waiter.key.clone(), waiter.next.clone(), TTL).waiting(again);
    assert!(is_granted(&node.acquire(claim).await));
    assert!(left(&server, &waiter.key) > TTL / 2);
}

/// It leaves the line: the next release would be told to nobody, too.
#[tokio::test]
async fn a_rest_that_the_first_in_line_does_not_hear_of_is_told_to_the_next() {
    let server = Server::start();
    let node = server.connected().await;
    let mut waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    enter_nobody(&server);
    let rest = ReleaseRequest::new(waiter.key.clone(), waiter.holder.clone()).keeping(TTL / 2);
    assert_eq!(node.release(rest).await.unwrap(), ReleaseReply::Freed);
    waiter.heard().await;
}

#[tokio::test]
async fn an_open_lock_that_the_first_in_line_does_not_hear_of_is_told_to_the_next() {
    let server = Server::start();
    let node = server.connected().await;
    let mut waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    enter_nobody(&server);
    let opened = ReleaseRequest::new(waiter.key.clone(), waiter.holder.clone()).opening();
    assert_eq!(node.release(opened).await.unwrap(), ReleaseReply::Freed);
    waiter.heard().await;
}

/// It had expired, and whoever gives it back finds nothing.
#[tokio::test]
async fn a_free_lock_whose_pass_nobody_hears_stays_free() {
    let server = Server::start();
    let node = server.connected().await;
    enter_nobody(&server);
    let freed = free(&node, &key("k"), &token()).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotHeld);
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn who_is_told_that_a_lock_is_open_asks_20_ms_later() {
    let server = Server::start();
    let node = server.connected().await;
    let mut waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    let start = Instant::now();
    let opened = ReleaseRequest::new(waiter.key.clone(), waiter.holder.clone()).opening();
    drop(node.release(opened));
    waiter.heard().await;
    assert!(start.elapsed() >= OPEN);
}

#[tokio::test]
async fn a_line_is_forgotten_within_twice_the_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let _waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    let left: i64 = server.ask(&["PTTL", "{k} line"]);
    assert!((1..=120_000).contains(&left), "{left}");
}

/// It had expired; the next release would be told to nobody else.
#[tokio::test]
async fn a_waiter_that_takes_a_free_lock_is_out_of_the_line() {
    let server = Server::start();
    let node = server.connected().await;
    for (name, fence) in [("plain", None), ("fenced", FencingToken::new(1))] {
        let (key, ticket) = (key(name), Ticket::draw());
        assert!(is_granted(&take(&node, &key, &token()).await));
        let ask = || {
            let waiter = Waiter::new(ticket.clone(), token(), TTL);
            let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
            node.acquire(match fence {
                None => request,
                Some(fence) => request.fenced(fence, TTL),
            })
        };
        assert!(matches!(ask().await, Ok(AcquireReply::Busy(_))), "{name}");
        let _: i64 = server.ask(&["DEL", name]);
        assert!(!matches!(ask().await, Ok(AcquireReply::Busy(_))), "{name}");
        let line = format!("{{{name}}} line");
        let in_line: usize = server.ask(&["ZCARD", &line]);
        assert_eq!(in_line, 0, "{name}");
    }
}

/// It would be forgotten while those with a long one wait.
#[tokio::test]
async fn a_waiter_with_a_short_ttl_does_not_shorten_the_line() {
    let server = Server::start();
    let node = server.connected().await;
    let waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    let short = TTL / 4;
    let next = Waiter::new(Ticket::draw(), token(), short);
    let request = AcquireRequest::new(waiter.key.clone(), token(), short).waiting(next);
    let refused = node.acquire(request).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    let left: u128 = server.ask(&["PTTL", "{k} line"]);
    assert!(left > TTL.as_millis(), "{left}");
}

/// Alike on every server.
#[tokio::test]
async fn of_waiters_with_one_stamp_the_one_with_the_lower_number_is_first() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, holder) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &holder).await));
    let mut tickets = [Ticket::new(1), Ticket::new(1)];
    tickets.sort();
    let [first, second] = tickets;
    let next = token();
    let mut passed = node.passed(&next).unwrap();
    let ask = |ticket: &Ticket, next: &OwnerToken| {
        let waiter = Waiter::new(ticket.clone(), next.clone(), TTL);
        node.acquire(AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter))
    };
    for (ticket, next) in [(&first, &next), (&second, &token())] {
        let refused = ask(ticket, next).await;
        assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    }
    // As if it had expired, which nobody is told of.
    let _: i64 = server.ask(&["DEL", "k"]);
    let refused = ask(&second, &token()).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    let pass = timeout(PATIENCE, &mut passed).await.unwrap();
    assert_eq!(pass, Pass::Reserved);
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 1);
}

#[tokio::test]
async fn a_waiter_is_entered_with_the_time_at_which_it_asked() {
    let server = Server::start();
    let node = server.connected().await;
    let clock = || {
        let (seconds, micros): (u64, u64) = server.ask(&["TIME"]);
        seconds * 1000 + micros / 1000
    };
    let before = clock();
    let _waiter = InLine::enter(&node, "k", Waiter::taking_grants).await;
    let entries: Vec<String> = server.ask(&["ZRANGE", "{k} line", "0", "-1"]);
    let asked: u64 = entries[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert!((before..=clock()).contains(&asked), "{entries:?}");
}

/// It has expired, or was deleted, and nobody was told.
#[tokio::test]
async fn a_free_lock_that_a_later_waiter_asks_for_goes_to_the_first_in_line() {
    let server = Server::start();
    let node = server.connected().await;
    for (name, fence) in [("plain", None), ("fenced", FencingToken::new(1))] {
        let mut first = InLine::enter(&node, name, |waiter| waiter).await;
        let _: i64 = server.ask(&["DEL", name]);
        let later = Waiter::new(Ticket::draw(), token(), TTL);
        let request = AcquireRequest::new(first.key.clone(), token(), TTL).waiting(later);
        let refused = node.acquire(match fence {
            None => request,
            Some(fence) => request.fenced(fence, TTL),
        });
        let refused = refused.await;
        let Ok(AcquireReply::Busy(holder)) = refused else {
            panic!("{name}: {refused:?}");
        };
        assert_eq!(holder.place(), Some(0), "{name}");
        assert_eq!(first.heard().await, Pass::Reserved, "{name}");
        assert_eq!(server.value(&first.key), Some(first.reserved()), "{name}");
    }
}

/// A node whose user lacks the right to a command.
async fn without(server: &Server, command: &str) -> RedisNode {
    let lacks = format!("-{command}");
    let _: () = server.ask(&[
        "ACL", "SETUSER", command, "on", ">pass", "~*", "&*", "+@all", &lacks,
    ]);
    let url = format!("redis://{command}:pass@127.0.0.1:{}", server.port);
    RedisNode::connect(&url).await.unwrap()
}

/// One that is never forgotten would be told in vain for ever.
#[tokio::test]
async fn nobody_is_entered_into_a_line_that_may_not_be_written_or_does_not_expire() {
    let server = Server::start();
    let (key, holder) = (key("k"), token());
    let node = server.connected().await;
    assert!(is_granted(&take(&node, &key, &holder).await));
    for command in ["zadd", "pexpire"] {
        let node = without(&server, command).await;
        let waiter = Waiter::new(Ticket::draw(), token(), TTL);
        let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
        let refused = node.acquire(request).await;
        let Ok(AcquireReply::Busy(holder)) = refused else {
            panic!("{command}: {refused:?}");
        };
        assert_eq!(holder.place(), None, "{command}");
        assert_eq!(server.keys(), 1, "{command}");
    }
}

#[tokio::test]
async fn whoever_may_tell_nobody_frees_the_lock_and_leaves_the_others_in_line() {
    let server = Server::start();
    let node = server.connected().await;
    let first = InLine::enter(&node, "k", |waiter| waiter).await;
    let second = Waiter::new(Ticket::draw(), token(), TTL);
    let request = AcquireRequest::new(first.key.clone(), token(), TTL).waiting(second);
    let refused = node.acquire(request).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    let mute = without(&server, "publish").await;
    let freed = free(&mute, &first.key, &first.holder).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    assert_eq!(server.value(&first.key), None);
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 1);
}

/// It would be told again and again.
#[tokio::test]
async fn whoever_may_take_nobody_out_of_the_line_frees_the_lock() {
    let server = Server::start();
    let node = server.connected().await;
    let waiter = InLine::enter(&node, "k", |waiter| waiter).await;
    let powerless = without(&server, "zrem").await;
    let freed = free(&powerless, &waiter.key, &waiter.holder).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    assert_eq!(server.value(&waiter.key), None);
}

/// A fenced acquire on a server that refuses to store fences.
const ACQUIRE_WITHOUT_FENCE: &str = concat!(
    "local redis = {
       call = redis.call,
       pcall = function(command, key, ...)
         local is_refused = command == 'SET' and key == 'fence'
         return is_refused and {err = 'ERR'} or redis.pcall(command, key, ...)
       end
     }\n",
    include_str!("../scripts/line.lua"),
    include_str!("../scripts/acquire_fenced.lua"),
);

/// The next owner would get its fencing token.
#[tokio::test]
async fn a_lock_whose_fence_cannot_be_stored_is_neither_taken_nor_lost() {
    let server = Server::start();
    let (key, before, token) = (key("k"), token(), token());
    let keys = ["EVAL", ACQUIRE_WITHOUT_FENCE, "2", "k", "fence"];
    let arguments = [token.expose(), before.expose(), "60000", "1", "60000"];
    let acquire = [keys, arguments].concat();
    assert!(server.try_ask::<String>(&acquire).is_err());
    assert_eq!(server.keys(), 0);
    for owner in [&before, &token] {
        let _: () = server.ask(&["SET", "k", owner.expose()]);
        assert!(server.try_ask::<String>(&acquire).is_err());
        assert_eq!(server.value(&key).as_deref(), Some(owner.expose()));
    }
}

/// Others may hold what it lacks, and wait for what it had.
#[tokio::test]
async fn what_a_waiter_gives_back_is_not_reserved_for_itself() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    let waiter = Waiter::new(Ticket::draw(), OwnerToken::with_label(""), TTL);
    let _passed = node.passed(&waiter.next).unwrap();
    let give_back = ReleaseRequest::new(key.clone(), token).staying(waiter);
    let freed = node.release(give_back).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    assert_eq!(server.value(&key), None);
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 1);
}

/// It is told of what it does not want, and a lock reserved for it.
#[tokio::test]
async fn whoever_may_take_nobody_out_of_the_line_hears_that_a_waiter_has_not_left() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, next, ticket) = (key("k"), token(), Ticket::draw());
    assert!(is_granted(&take(&node, &key, &token()).await));
    let waiter = Waiter::new(ticket.clone(), next.clone(), TTL);
    let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
    let refused = node.acquire(request).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    let leave = ReleaseRequest::new(key, next).leaving(ticket);
    let powerless = without(&server, "zrem").await;
    assert!(powerless.release(leave.clone()).await.is_err());
    assert!(node.release(leave).await.is_ok());
}

/// Nobody would know that it has it.
#[tokio::test]
async fn nobody_is_granted_a_lock_who_cannot_be_told() {
    let server = Server::start();
    let node = without(&server, "subscribe").await;
    let (key, holder, next) = (key("k"), token(), token());
    assert!(is_granted(&take(&node, &key, &holder).await));
    let waiter = Waiter::new(Ticket::draw(), next.clone(), TTL).taking_grants();
    let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
    let refused = node.acquire(request).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    release(&server, RELEASE_LATER, &key, &holder, 0);
    let value = server.value(&key).unwrap();
    assert_eq!(value, format!("{} reserved", next.expose()));
}
