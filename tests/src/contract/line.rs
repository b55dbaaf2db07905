//! Waiters in line, where keys have one and waiters can be told.

use std::time::Duration;

use lockguard::{
    FencingToken, LockKey, LockKeys, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, BoxFuture, ExtendReply, Pass, ReleaseReply, ReleaseRequest,
        Ticket, Waiter,
    },
};
use tokio::time::{Instant, sleep_until, timeout};

use super::fixture::{Fixture, LONG, PRECISION, SHORT, SOON, fresh_key, fresh_token};

/// A waiter as a manager is one: a ticket, and the token of its next attempt.
struct Waiting {
    ticket: Ticket,
    next: OwnerToken,
    ttl: Duration,
    passed: Option<BoxFuture<'static, Pass>>,
}

impl Waiting {
    /// `None` where keys have no line.
    fn new(on: &Fixture, ttl: Duration) -> Option<Self> {
        let ticket = Ticket::draw();
        let next = fresh_token();
        drop(on.backend.passed(&next)?);
        Some(Self {
            ticket,
            next,
            ttl,
            passed: None,
        })
    }

    /// Two, the lower ticket first; `None` where keys have no line.
    fn two(on: &Fixture, ttl: Duration) -> Option<(Self, Self)> {
        let (one, other) = (Self::new(on, ttl)?, Self::new(on, ttl)?);
        Some(if other.ticket < one.ticket {
            (other, one)
        } else {
            (one, other)
        })
    }

    /// Tries once; the token that it tried with, and the reply.
    async fn attempt(&mut self, on: &Fixture, key: &LockKey) -> (OwnerToken, AcquireReply) {
        let token = std::mem::replace(&mut self.next, fresh_token());
        self.passed = on.backend.passed(&self.next);
        let waiter = self.waiter();
        let request = AcquireRequest::new(key.clone(), token.clone(), self.ttl);
        let reply = on.backend.acquire(request.waiting(waiter)).await;
        (token, reply.expect("an answer to an acquire"))
    }

    /// Steps into the line of a key that is held.
    async fn stand(&mut self, on: &Fixture, key: &LockKey) -> OwnerToken {
        let (token, reply) = self.attempt(on, key).await;
        assert!(matches!(reply, AcquireReply::Busy(_)), "{reply:?}");
        token
    }

    /// Stands in line while somebody holds the key; by which token.
    async fn stand_behind(&mut self, on: &Fixture, key: &LockKey) -> OwnerToken {
        let held = on.take(key, LONG).await;
        self.stand(on, key).await;
        held
    }

    /// Stands in line while somebody holds the key, who leaves it open.
    async fn stand_until_open(&mut self, on: &Fixture, key: &LockKey) {
        let held = self.stand_behind(on, key).await;
        let opened = ReleaseRequest::new(key.clone(), held).opening();
        let opened = on.backend.release(opened).await;
        assert_eq!(opened.expect("an answer"), ReleaseReply::Freed);
    }

    /// Stands in line while somebody holds the key, until it is given back.
    async fn stand_until_passed(&mut self, on: &Fixture, key: &LockKey) {
        let held = self.stand_behind(on, key).await;
        assert_eq!(on.release(key, &held).await, ReleaseReply::Freed);
        self.assert_passed().await;
    }

    async fn assert_passed(&mut self) {
        let passed = self.passed.as_mut().expect("an attempt");
        timeout(SOON, passed).await.expect("a wake");
    }

    async fn assert_granted(&mut self, on: &Fixture, key: &LockKey) -> OwnerToken {
        let (token, reply) = self.attempt(on, key).await;
        assert_eq!(reply, AcquireReply::Granted);
        token
    }

    async fn leave(self, on: &Fixture, key: &LockKey) {
        let leave = ReleaseRequest::new(key.clone(), self.next).leaving(self.ticket);
        let reply = on.backend.release(leave).await;
        assert!(reply.is_ok(), "{reply:?}");
    }

    fn waiter(&self) -> Waiter {
        Waiter::new(self.ticket.clone(), self.next.clone(), self.ttl)
    }
}

pub async fn a_key_that_is_reserved_is_held_by_nobody(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    let released = waiting.stand_behind(&on, &key).await;
    assert_eq!(on.release(&key, &released).await, ReleaseReply::Freed);
    assert_eq!(on.release(&key, &released).await, ReleaseReply::NotHeld);
    waiting.assert_passed().await;
    let granted = waiting.assert_granted(&on, &key).await;
    assert_eq!(on.release(&key, &released).await, ReleaseReply::NotOwner);
    assert_eq!(on.release(&key, &granted).await, ReleaseReply::Freed);
}

pub async fn a_key_that_is_given_back_is_reserved_for_who_waits(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    waiting.stand_until_passed(&on, &key).await;
    let refused = on.acquire(&key, &fresh_token(), LONG).await;
    assert!(
        !matches!(refused, AcquireReply::Granted),
        "a newcomer took a lock that was reserved"
    );
    let token = waiting.assert_granted(&on, &key).await;
    on.assert_held(&key, &token).await;
}

pub async fn a_key_that_is_left_open_goes_to_whoever_asks(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    waiting.stand_until_open(&on, &key).await;
    let newcomer = on.take(&key, LONG).await;
    // Its release is like any other.
    assert_eq!(on.release(&key, &newcomer).await, ReleaseReply::Freed);
    waiting.assert_passed().await;
}

pub async fn the_first_in_line_asks_for_a_key_that_was_left_open(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    waiting.stand_until_open(&on, &key).await;
    waiting.assert_passed().await;
    waiting.assert_granted(&on, &key).await;
}

pub async fn a_reserved_key_is_granted_for_the_whole_ttl(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    waiting.stand_until_passed(&on, &key).await;
    let token = waiting.assert_granted(&on, &key).await;
    let left = on.left_of(&key, &token).await;
    assert!(left + SOON > LONG, "{left:?}");
}

pub async fn the_lowest_ticket_is_the_first(on: Fixture) {
    let key = fresh_key();
    let Some((mut first, mut second)) = Waiting::two(&on, LONG) else {
        return;
    };
    let held = on.take(&key, LONG).await;
    // Who came first steps into line last.
    second.stand(&on, &key).await;
    first.stand(&on, &key).await;
    on.release(&key, &held).await;
    first.assert_passed().await;
    let held = first.assert_granted(&on, &key).await;
    on.release(&key, &held).await;
    second.assert_passed().await;
    second.assert_granted(&on, &key).await;
}

pub async fn a_waiter_that_left_has_no_place_in_line(on: Fixture) {
    let key = fresh_key();
    let Some((mut left, mut stayed)) = Waiting::two(&on, LONG) else {
        return;
    };
    let held = left.stand_behind(&on, &key).await;
    stayed.stand(&on, &key).await;
    left.leave(&on, &key).await;
    on.release(&key, &held).await;
    stayed.assert_passed().await;
    let held = stayed.assert_granted(&on, &key).await;
    on.release(&key, &held).await;
    on.assert_free(&key).await;
}

pub async fn a_waiter_that_leaves_gives_its_reservation_on(on: Fixture) {
    let key = fresh_key();
    let Some((mut first, mut second)) = Waiting::two(&on, LONG) else {
        return;
    };
    let held = first.stand_behind(&on, &key).await;
    second.stand(&on, &key).await;
    on.release(&key, &held).await;
    first.assert_passed().await;
    first.leave(&on, &key).await;
    second.assert_passed().await;
    second.assert_granted(&on, &key).await;
}

pub async fn what_an_attempt_took_is_given_back_and_its_waiter_stays(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    let held = on.take(&key, LONG).await;
    let tried = waiting.stand(&on, &key).await;
    waiting.next = fresh_token();
    waiting.passed = on.backend.passed(&waiting.next);
    let back = ReleaseRequest::new(key.clone(), tried).staying(waiting.waiter());
    on.backend.release(back).await.expect("an answer");
    on.release(&key, &held).await;
    waiting.assert_passed().await;
    waiting.assert_granted(&on, &key).await;
}

pub async fn a_granted_waiter_is_out_of_the_line(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    waiting.stand_until_passed(&on, &key).await;
    let held = waiting.assert_granted(&on, &key).await;
    on.release(&key, &held).await;
    on.assert_free(&key).await;
}

pub async fn a_waiter_that_takes_grants_has_the_key_as_it_is_told(on: Fixture) {
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    let held = on.take(&key, LONG).await;
    let passed = on.backend.passed(&waiting.next).expect("a line");
    let asked = AcquireRequest::new(key.clone(), fresh_token(), LONG);
    let asked = asked.waiting(waiting.waiter().taking_grants());
    let refused = on.backend.acquire(asked).await;
    assert!(matches!(refused, Ok(AcquireReply::Busy(_))), "{refused:?}");
    on.release(&key, &held).await;
    let held = match timeout(LONG, passed).await.expect("a message") {
        Pass::Granted => waiting.next.clone(),
        _ => waiting.assert_granted(&on, &key).await,
    };
    assert_eq!(on.extend(&key, &held, LONG).await, ExtendReply::Extended);
    on.release(&key, &held).await;
    on.assert_free(&key).await;
}

pub async fn a_reservation_that_nobody_claims_runs_out(on: Fixture) {
    let key = fresh_key();
    let Some((mut gone, mut next)) = Waiting::two(&on, SHORT) else {
        return;
    };
    let held = on.take(&key, LONG).await;
    gone.stand(&on, &key).await;
    next.stand(&on, &key).await;
    on.release(&key, &held).await;
    gone.assert_passed().await;
    // No reservation is longer than the ttl of whoever it is for.
    sleep_until(Instant::now() + SHORT + PRECISION).await;
    next.assert_granted(&on, &key).await;
}

pub async fn a_fenced_waiter_gets_a_greater_token(on: Fixture) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    let (held, keys) = (fresh_token(), [key.clone()]);
    let first = on.acquiring_fenced(&keys, &held, 1000, LONG).await;
    let Ok(AcquireReply::GrantedWith(first)) = first else {
        panic!("no fencing token: {first:?}");
    };
    waiting.stand(&on, &key).await;
    on.release(&key, &held).await;
    waiting.assert_passed().await;
    let token = std::mem::replace(&mut waiting.next, fresh_token());
    let claim = AcquireRequest::new(key.clone(), token, LONG).waiting(waiting.waiter());
    let second = on.backend.acquire(claim.fenced(first, DAY)).await;
    let Ok(AcquireReply::GrantedWith(second)) = second else {
        panic!("no fencing token: {second:?}");
    };
    assert!(second > first, "{second} after {first}");
}

/// It was told nothing: its key has expired.
pub async fn a_fenced_waiter_that_takes_a_free_key_is_out_of_the_line(on: Fixture) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let key = fresh_key();
    let Some(mut waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    on.take(&key, SHORT).await;
    waiting.stand(&on, &key).await;
    sleep_until(Instant::now() + SHORT + PRECISION).await;
    let token = std::mem::replace(&mut waiting.next, fresh_token());
    let claim = AcquireRequest::new(key.clone(), token.clone(), LONG).waiting(waiting.waiter());
    let proposal = FencingToken::new(1000).expect("a token");
    let granted = on.backend.acquire(claim.fenced(proposal, DAY)).await;
    let is_granted = matches!(granted, Ok(AcquireReply::GrantedWith(_)));
    assert!(is_granted, "{granted:?}");
    on.release(&key, &token).await;
    on.assert_free(&key).await;
}

pub async fn who_waits_for_several_keys_is_told_and_holds_nothing(on: Fixture) {
    let keys = [fresh_key(), fresh_key()];
    let Some(waiting) = Waiting::new(&on, LONG) else {
        return;
    };
    let held = on.take(&keys[1], LONG).await;
    let passed = on.backend.passed(&waiting.next).expect("a line");
    let all = LockKeys::new(keys.clone()).expect("some keys");
    let attempt = AcquireRequest::new(all, fresh_token(), LONG).waiting(waiting.waiter());
    let reply = on.backend.acquire(attempt).await;
    let Ok(AcquireReply::Busy(holder)) = reply else {
        panic!("not busy: {reply:?}");
    };
    assert_eq!(holder.key(), Some(&keys[1]));
    on.assert_free(&keys[0]).await;
    on.release(&keys[1], &held).await;
    timeout(SOON, passed).await.expect("a wake");
    on.assert_free(&keys[1]).await;
}

pub async fn an_owner_replaces_another_of_its_process(on: Fixture) {
    let key = fresh_key();
    if !on.backend.has_line() {
        return;
    }
    let (old, new) = (on.take(&key, SHORT).await, fresh_token());
    let request = AcquireRequest::new(key.clone(), new.clone(), LONG);
    let replacing = request.replacing(old.clone());
    for _ in 0..2 {
        let reply = on.backend.acquire(replacing.clone()).await;
        assert_eq!(reply.expect("an answer"), AcquireReply::Granted);
    }
    let left = on.left_of(&key, &new).await;
    assert!(left + SOON > LONG, "{left:?}");
    assert_eq!(on.release(&key, &old).await, ReleaseReply::NotOwner);
    assert_eq!(on.extend(&key, &old, LONG).await, ExtendReply::NotOwner);
    on.assert_held(&key, &new).await;
}

pub async fn an_owner_replaces_nobody_else(on: Fixture) {
    let key = fresh_key();
    if !on.backend.has_line() {
        return;
    }
    let request = AcquireRequest::new(key.clone(), fresh_token(), LONG);
    let replacing = request.replacing(fresh_token());
    let reply = on.backend.acquire(replacing.clone()).await;
    assert_eq!(reply.expect("an answer"), AcquireReply::Split);
    let held = on.take(&key, LONG).await;
    let reply = on.backend.acquire(replacing).await.expect("an answer");
    assert!(matches!(reply, AcquireReply::Busy(_)), "{reply:?}");
    on.assert_held(&key, &held).await;
}

pub async fn an_owner_that_replaces_another_gets_a_greater_token(on: Fixture) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let key = fresh_key();
    if !on.backend.has_line() {
        return;
    }
    let (old, keys) = (fresh_token(), [key.clone()]);
    let first = on.acquiring_fenced(&keys, &old, 1000, LONG).await;
    let Ok(AcquireReply::GrantedWith(first)) = first else {
        panic!("no fencing token: {first:?}");
    };
    let request = AcquireRequest::new(key, fresh_token(), LONG).fenced(first, DAY);
    let second = on.backend.acquire(request.replacing(old)).await;
    let Ok(AcquireReply::GrantedWith(second)) = second else {
        panic!("no fencing token: {second:?}");
    };
    assert!(second > first, "{second} after {first}");
}

pub async fn a_curt_acquire_is_refused_all_the_same(on: Fixture) {
    let key = fresh_key();
    let held = on.take(&key, LONG).await;
    let curt = AcquireRequest::new(key.clone(), fresh_token(), LONG).curt();
    let reply = on.backend.acquire(curt).await.expect("an answer");
    assert!(matches!(reply, AcquireReply::Busy(_)), "{reply:?}");
    on.assert_held(&key, &held).await;
}
