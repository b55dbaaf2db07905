//! A pass that is the second answer to what a waiter asked.

use super::{
    line::{InLine, enter_nobody, without},
    *,
};
use crate::{
    backend::{Pass, Ticket, Waiter},
    fencing_token::FencingToken,
    keys::LockKeys,
};

/// The release, as if the first in line had asked `ARGV[2]` milliseconds ago.
macro_rules! release_later {
    ($before:literal) => {
        concat!(
            $before,
            include_str!("../scripts/release_alone.lua"),
            include_str!("../scripts/line.lua"),
            "local _, asked = parts_of((first_of(KEYS[2])))\n",
            "left = asked - ARGV[2]\n",
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

impl InLine {
    fn release_later(&self, server: &Server, age: i64) {
        release(server, RELEASE_LATER, &self.key, &self.holder, age);
    }
}

fn release(server: &Server, script: &str, key: &LockKey, holder: &OwnerToken, age: i64) {
    let line = format!("{{{}}} line", key.as_str());
    let (key, holder, age) = (key.as_str(), holder.expose(), age.to_string());
    let freed: i64 = server.ask(&["EVAL", script, "2", key, &line, holder, &age]);
    assert_eq!(freed, 1);
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
