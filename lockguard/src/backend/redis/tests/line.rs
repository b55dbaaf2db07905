//! Waiters who stand in line: how they enter it and leave it, and are told.

use std::{future::poll_fn, task::Poll};

use super::*;
use crate::{
    backend::{Pass, Ticket, Waiter},
    fencing_token::FencingToken,
    opening::OPEN,
};

/// A waiter in the line of a key that somebody else holds.
pub(super) struct InLine {
    pub(super) key: LockKey,
    pub(super) holder: OwnerToken,
    pub(super) next: OwnerToken,
    pub(super) passed: BoxFuture<'static, Pass>,
}

impl InLine {
    pub(super) async fn enter(
        node: &RedisNode,
        name: &str,
        waits: impl Fn(Waiter) -> Waiter,
    ) -> Self {
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

    pub(super) async fn heard(&mut self) -> Pass {
        timeout(PATIENCE, &mut self.passed).await.unwrap()
    }

    pub(super) fn has_heard(&mut self) -> impl Future<Output = bool> {
        poll_fn(|cx| Poll::Ready(self.passed.as_mut().poll(cx).is_ready()))
    }

    pub(super) fn reserved(&self) -> String {
        format!("{} reserved", self.next.expose())
    }
}

/// Puts a waiter that nobody can tell before all others.
pub(super) fn enter_nobody(server: &Server) {
    let entry = format!("{:016x} 0 1000 60000 nobody {}", 1, token().expose());
    let _: i64 = server.ask(&["ZADD", "{k} line", "1", &entry]);
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
    server.cont();
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
    let server = Server::start();
    server.kill();
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
    server.start_again();
    assert_eq!(given_back.await.unwrap(), ReleaseReply::NotHeld);
    // What was asked before has been answered then.
    assert!(is_granted(
        &take(&node, &LockKey::new("other").unwrap(), &token()).await
    ));
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 0);
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
async fn a_line_is_forgotten_within_twice_the_ttl_and_not_much_sooner() {
    let server = Server::start();
    let node = server.connected().await;
    let key = InLine::enter(&node, "k", |waiter| waiter).await.key;
    for before in [90_001, 89_999] {
        let _: i64 = server.ask(&["PEXPIRE", "{k} line", &before.to_string()]);
        let waiter = Waiter::new(Ticket::draw(), token(), TTL);
        let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
        let refused = node.acquire(request).await;
        assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
        let left: i64 = server.ask(&["PTTL", "{k} line"]);
        assert!((88_000..=120_000).contains(&left), "{left}");
    }
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
async fn a_waiter_is_entered_with_what_was_left_of_the_line_when_it_asked() {
    let server = Server::start();
    let node = server.connected().await;
    let left = || server.ask::<u64>(&["PTTL", "{k} line"]);
    let key = InLine::enter(&node, "k", |waiter| waiter).await.key;
    // By the clock that the line had, and by that which it is given.
    for shortened in [119_000, 5_000] {
        let _: i64 = server.ask(&["PEXPIRE", "{k} line", &shortened.to_string()]);
        let before = left();
        let ticket = Ticket::draw();
        let waiter = Waiter::new(ticket, token(), TTL).taking_grants();
        let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
        let refused = node.acquire(request).await;
        assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
        let entries: Vec<String> = server.ask(&["ZRANGE", "{k} line", "-1", "-1"]);
        let asked: u64 = entries[0].split(' ').nth(1).unwrap().parse().unwrap();
        let is_kept = shortened > 90_000;
        let earliest = if is_kept { before } else { 120_000 };
        assert!((left()..=earliest).contains(&asked), "{entries:?}");
    }
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
pub(super) async fn without(server: &Server, command: &str) -> RedisNode {
    RedisNode::connect(&user_without(server, command))
        .await
        .unwrap()
}

/// The address for a user without the right to a command.
pub(super) fn user_without(server: &Server, command: &str) -> String {
    let lacks = format!("-{command}");
    let _: () = server.ask(&[
        "ACL", "SETUSER", command, "on", ">pass", "~*", "&*", "+@all", &lacks,
    ]);
    server.url_of(command)
}

/// It is somebody's, and would be gone with the time that a line is given.
#[tokio::test]
async fn a_key_beside_the_lock_that_is_no_line_is_left_alone() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, holder) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &holder).await));
    let _: () = server.ask(&["SET", "{k} line", "value"]);
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
    let Ok(AcquireReply::Busy(refused)) = node.acquire(request).await else {
        panic!("not busy");
    };
    assert_eq!(refused.place(), None);
    let freed = free(&node, &key, &holder).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    let left: i64 = server.ask(&["PTTL", "{k} line"]);
    assert_eq!(left, -1);
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
    let powerless = without(&server, "zpopmin").await;
    let freed = free(&powerless, &waiter.key, &waiter.holder).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    assert_eq!(server.value(&waiter.key), None);
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

/// The next release would be told to whoever has the lock already.
#[tokio::test]
async fn a_waiter_that_a_give_back_enters_behind_its_pass_is_out_of_the_line_once_granted() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, holder, next, ticket) = (key("k"), token(), token(), Ticket::draw());
    assert!(is_granted(&take(&node, &key, &holder).await));
    let waiter = |next: &OwnerToken| Waiter::new(ticket.clone(), next.clone(), TTL);
    let asked = token();
    let ask = |token: &OwnerToken, next: &OwnerToken| {
        let request = AcquireRequest::new(key.clone(), token.clone(), TTL);
        node.acquire(request.waiting(waiter(next)))
    };
    assert!(matches!(
        ask(&asked, &next).await,
        Ok(AcquireReply::Busy(_))
    ));
    let freed = free(&node, &key, &holder).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
    let given_back = ReleaseRequest::new(key.clone(), asked).staying(waiter(&next));
    let given_back = node.release(given_back).await;
    assert_eq!(given_back.unwrap(), ReleaseReply::NotHeld);
    assert!(is_granted(&ask(&next, &token()).await));
    let in_line: usize = server.ask(&["ZCARD", "{k} line"]);
    assert_eq!(in_line, 0);
}

/// Nobody looks at what another library holds but the first, and one that was
/// passed to in vain comes anew.
#[tokio::test]
async fn who_asks_again_or_meets_another_library_is_told_how_many_stand_before_it() {
    let server = Server::start();
    let node = server.connected().await;
    let place = async |key: &LockKey, ticket: &Ticket| {
        let waiter = Waiter::new(ticket.clone(), token(), TTL);
        let request = AcquireRequest::new(key.clone(), token(), TTL).waiting(waiter);
        match node.acquire(request).await {
            Ok(AcquireReply::Busy(holder)) => holder.place(),
            other => panic!("not busy: {other:?}"),
        }
    };
    let ours = token();
    for (holder, anew) in [(ours.expose(), [0, 1, 1]), ("another", [0, 1, 2])] {
        let key = key(holder);
        let _: () = server.ask(&["SET", key.as_str(), holder]);
        let mut tickets = [1, 1, 1].map(Ticket::new);
        tickets.sort();
        for (ticket, at) in tickets.iter().zip(anew) {
            assert_eq!(place(&key, ticket).await, Some(at), "{holder}, anew");
        }
        for (ticket, at) in tickets.iter().zip([0, 1, 2]) {
            assert_eq!(place(&key, ticket).await, Some(at), "{holder}, again");
        }
    }
}
