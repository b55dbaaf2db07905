//! The scripted backend answers as it is told, and sees everything.

use std::time::Duration;

use lockguard::{
    LockKey, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend as _, ExtendReply, ExtendRequest, ReleaseReply,
        ReleaseRequest,
    },
};
use lockguard_tests::{Fate, Operation, Scripted, Step};
use tokio::time::{Instant, timeout};

const TTL: Duration = Duration::from_secs(30);

struct Client {
    scripted: Scripted,
    key: LockKey,
    token: OwnerToken,
}

impl Client {
    fn new() -> Self {
        Self {
            scripted: Scripted::new(),
            key: LockKey::new("k").unwrap(),
            token: OwnerToken::with_label("client"),
        }
    }

    async fn acquire(&self) -> Option<AcquireReply> {
        let request = AcquireRequest::new(self.key.clone(), self.token.clone(), TTL);
        self.scripted.acquire(request).await.ok()
    }

    async fn release(&self) -> Option<ReleaseReply> {
        let request = ReleaseRequest::new(self.key.clone(), self.token.clone());
        self.scripted.release(request).await.ok()
    }

    fn fates(&self) -> Vec<Fate> {
        self.scripted.calls().iter().map(|call| call.fate).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn steps_are_taken_in_order_and_then_the_standing_one() {
    let client = Client::new();
    client
        .scripted
        .on_acquire([Step::fail(), Step::reply(AcquireReply::Split)])
        .on_every_acquire(Step::pass());
    assert_eq!(client.acquire().await, None);
    assert_eq!(client.acquire().await, Some(AcquireReply::Split));
    assert_eq!(client.acquire().await, Some(AcquireReply::Granted));
    assert_eq!(client.fates(), [Fate::Answered; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_not_applied_changes_nothing() {
    let client = Client::new();
    let granted = Step::reply(AcquireReply::Granted);
    client.scripted.on_acquire([granted]);
    assert_eq!(client.acquire().await, Some(AcquireReply::Granted));
    assert_eq!(client.release().await, Some(ReleaseReply::NotHeld));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_grant() {
    let client = Client::new();
    client.scripted.on_acquire([Step::never().applied()]);
    assert!(timeout(TTL / 2, client.acquire()).await.is_err());
    assert_eq!(client.fates(), [Fate::Dropped]);
    assert_eq!(client.release().await, Some(ReleaseReply::Freed));
}

#[tokio::test(start_paused = true)]
async fn a_failure_can_hide_a_grant() {
    let client = Client::new();
    client.scripted.on_acquire([Step::fail().applied()]);
    assert_eq!(client.acquire().await, None);
    assert_eq!(client.release().await, Some(ReleaseReply::Freed));
}

#[tokio::test(start_paused = true)]
async fn a_step_can_be_late_and_its_answer_too() {
    let client = Client::new();
    let second = Duration::from_secs(1);
    let late = Step::pass().after(second).answering_after(second);
    client.scripted.on_acquire([late]);
    let start = Instant::now();
    assert!(timeout(second / 2, client.acquire()).await.is_err());
    assert_eq!(client.release().await, Some(ReleaseReply::NotHeld));

    let late = Step::pass().after(second).answering_after(second);
    client.scripted.on_acquire([late]);
    assert!(timeout(second * 3 / 2, client.acquire()).await.is_err());
    assert_eq!(client.release().await, Some(ReleaseReply::Freed));
    assert_eq!(start.elapsed(), second * 2);
}

#[tokio::test(start_paused = true)]
async fn fates_follow_the_future() {
    let client = Client::new();
    client.scripted.on_every_acquire(Step::never());
    let mut acquiring = Box::pin(client.acquire());
    assert_eq!(client.fates(), []);
    assert!(timeout(TTL, &mut acquiring).await.is_err());
    assert_eq!(client.fates(), [Fate::Pending]);
    drop(acquiring);
    assert_eq!(client.fates(), [Fate::Dropped]);

    let request = ReleaseRequest::new(client.key.clone(), client.token.clone());
    let releasing = client.scripted.release(request);
    assert_eq!(client.fates(), [Fate::Dropped, Fate::Unpolled]);
    assert_eq!(releasing.await.unwrap(), ReleaseReply::NotHeld);
    assert_eq!(client.fates(), [Fate::Dropped, Fate::Answered]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_step_and_records_each_request() {
    let client = Client::new();
    client
        .scripted
        .on_extend([Step::reply(ExtendReply::NotOwner), Step::fail()]);
    let request = ExtendRequest::new(client.key.clone(), client.token.clone(), TTL);
    let batch = || client.scripted.extend(vec![request.clone(); 2]);
    let replies = batch().await;
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply, Ok(ExtendReply::NotOwner)))
    );
    assert!(batch().await.iter().all(Result::is_err));
    let replies = batch().await;
    assert!(
        replies
            .iter()
            .all(|reply| matches!(reply, Ok(ExtendReply::NotHeld)))
    );
    let calls = client.scripted.calls_of(Operation::Extend);
    assert_eq!(calls.len(), 6);
    assert!(calls.iter().all(|call| call.token == client.token));
}

#[tokio::test(start_paused = true)]
async fn lost_data_is_gone() {
    let client = Client::new();
    client.acquire().await;
    client.scripted.lose_data();
    assert_eq!(client.release().await, Some(ReleaseReply::NotHeld));
}

#[tokio::test(start_paused = true)]
async fn wakes_can_be_taken_away() {
    let client = Client::new();
    assert!(client.scripted.freed(&client.key).is_some());
    assert!(Scripted::without_wakes().freed(&client.key).is_none());
}
