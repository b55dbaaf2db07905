//! A key that is passed on by a message, on the paused clock.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockguard::{
    BoxFuture, LockKey, LockManager, LostCause, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, Epochs, ExtendReply, ExtendRequest,
        Holder, Memory, Pass, Redlock, ReleaseReply, ReleaseRequest, Standing, Ticket, Waiter,
    },
};
use lockguard_tests::{Operation, Scripted, Step, forward, redlock_over};
use parking_lot::Mutex;
use tokio::time::{Instant, advance, sleep, timeout};

const TTL: Duration = Duration::from_secs(2);

/// The ttl less the margin for clocks.
const LIFETIME: Duration = Duration::from_millis(1978);

const MOMENT: Duration = Duration::from_millis(5);

/// A lock store with a line that refuses some questions and grants the rest.
///
/// Whoever stands in line is told a moment later that it has the key.
#[derive(Clone)]
struct Line(Arc<Asked>);

struct Asked {
    refuses: AtomicUsize,
    answers_after: Duration,
    acquires: Mutex<Vec<AcquireRequest>>,
    releases: Mutex<Vec<ReleaseRequest>>,
    epochs: Epochs,
}

impl Line {
    fn that_refuses(questions: usize) -> Self {
        Self::that_refuses_after(Duration::ZERO, questions)
    }

    /// One that takes so long for each answer.
    fn that_refuses_after(answers_after: Duration, questions: usize) -> Self {
        Self(Arc::new(Asked {
            refuses: AtomicUsize::new(questions),
            answers_after,
            acquires: Mutex::default(),
            releases: Mutex::default(),
            epochs: Epochs::new(),
        }))
    }

    fn questions(&self) -> usize {
        self.0.acquires.lock().len()
    }

    /// Who stood in line after so many questions.
    fn waiter(&self, questions: usize) -> Option<Waiter> {
        let acquires = self.0.acquires.lock();
        let nth = questions.checked_sub(1)?;
        acquires.get(nth)?.waiter.clone()
    }

    fn released(&self) -> Vec<ReleaseRequest> {
        self.0.releases.lock().clone()
    }
}

impl Backend for Line {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        self.0.acquires.lock().push(request);
        let refuses = &self.0.refuses;
        let one_less = |left: usize| left.checked_sub(1);
        let is_refused = refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        let reply = match is_refused {
            Ok(_) => AcquireReply::Busy(Holder::unknown().with_place(Some(0))),
            Err(_) => AcquireReply::Granted,
        };
        let after = self.0.answers_after;
        Box::pin(async move {
            if !after.is_zero() {
                sleep(after).await;
            }
            Ok(reply)
        })
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let replies = requests.iter().map(|_| Ok(ExtendReply::Extended)).collect();
        Box::pin(async { replies })
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.0.releases.lock().push(request);
        Box::pin(async { Ok(ReleaseReply::Freed) })
    }

    fn has_line(&self) -> bool {
        true
    }

    fn passed(&self, _: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        Some(Box::pin(async {
            sleep(MOMENT).await;
            Pass::Granted
        }))
    }

    fn epochs(&self) -> Option<Epochs> {
        Some(self.0.epochs.clone())
    }
}

/// A lock store with a line that tells nobody.
#[derive(Clone, Default)]
struct Untold {
    store: Memory,
    acquires: Arc<Mutex<Vec<AcquireRequest>>>,
    releases: Arc<Mutex<Vec<ReleaseRequest>>>,
    hands_on: HandsOn,
    epochs: Epochs,
}

impl Untold {
    /// Frees the key behind the back of whoever has asked for it and holds it.
    fn lose(&self) {
        for asked in self.acquires.lock().iter() {
            let taken = ReleaseRequest::new(asked.keys.first().clone(), asked.token.clone());
            drop(self.store.release(taken));
        }
    }
}

/// What comes of a key that is to be handed on.
#[derive(Clone, Copy, Default, PartialEq)]
enum HandsOn {
    #[default]
    AtOnce,
    /// It is handed on, and nobody hears of it.
    InSilence,
    /// The store loses everything in that moment.
    AndForgets,
}

impl Backend for Untold {
    forward!(extend => |store| store.store);

    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        self.acquires.lock().push(request.clone());
        let refused = |holder: Holder| AcquireReply::Busy(holder.with_place(Some(0)));
        if let Some(replaced) = request.replaces {
            let key = request.keys.first().clone();
            let extend = ExtendRequest::new(key, replaced, request.ttl).to(request.token);
            let replies = self.store.extend(vec![extend]);
            let (hands_on, epochs) = (self.hands_on, self.epochs.clone());
            return Box::pin(async move {
                let replies = replies.await;
                match hands_on {
                    HandsOn::AtOnce => {}
                    HandsOn::InSilence => return pending().await,
                    HandsOn::AndForgets => epochs.end(),
                }
                Ok(match replies[..] {
                    [Ok(ExtendReply::Extended)] => AcquireReply::Granted,
                    _ => refused(Holder::unknown()),
                })
            });
        }
        let reply = self.store.acquire(request);
        Box::pin(async move {
            Ok(match reply.await? {
                AcquireReply::Busy(holder) => refused(holder),
                reply => reply,
            })
        })
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.releases.lock().push(request.clone());
        self.store.release(request)
    }

    fn has_line(&self) -> bool {
        true
    }

    fn passed(&self, _: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        Some(Box::pin(pending()))
    }

    fn epochs(&self) -> Option<Epochs> {
        Some(self.epochs.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_on_the_servers_is_not_overtaken_by_those_behind_it_here() {
    const LONG: Duration = Duration::from_secs(60);
    let manager = LockManager::new(Untold::default());
    let holder = manager.lock("k", LONG).acquire().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let waiting = [0, 1, 2].map(|nth| {
        let (request, served) = (manager.lock("k", LONG), Arc::clone(&served));
        tokio::spawn(async move {
            let guard = request.wait(LONG).acquire().await.unwrap();
            served.lock().push(nth);
            guard.release().await.unwrap();
        })
    });
    // The first has asked the servers twice by then.
    sleep(Duration::from_secs(12)).await;
    holder.release().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    assert_eq!(*served.lock(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_stood_in_line_on_the_servers_hands_the_key_on_to_those_behind_it_here() {
    const LONG: Duration = Duration::from_secs(60);
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let holder = manager.lock("k", LONG).acquire().await.unwrap();
    let waiting = [(); 2].map(|()| tokio::spawn(manager.lock("k", LONG).wait(LONG).acquire()));
    // The first has asked the servers twice by then.
    sleep(Duration::from_secs(12)).await;
    holder.release().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap().release().await.unwrap();
    }
    let last = store.acquires.lock().last().cloned().unwrap();
    assert!(last.replaces.is_some(), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn the_servers_are_asked_after_32_hand_ons_and_after_32_more() {
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let holder = manager.lock("k", TTL).acquire().await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..80 {
        waiting.push(tokio::spawn(manager.lock("k", TTL).acquire()));
        tokio::task::yield_now().await;
    }
    holder.release().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap().release().await.unwrap();
    }
    let acquires = store.acquires.lock();
    let hand_ons = acquires.split(|asked| asked.replaces.is_none());
    let hand_ons: Vec<_> = hand_ons.map(<[_]>::len).filter(|len| *len > 0).collect();
    assert_eq!(hand_ons[..2], [32, 32], "{hand_ons:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waited_here_in_vain_asks_without_a_place_in_line() {
    let store = Untold::default();
    let theirs = LockManager::new(store.clone());
    let _held = theirs.lock("k", TTL).acquire().await.unwrap();
    let ours = LockManager::new(store.clone());
    let first = tokio::spawn(ours.lock("k", TTL).wait(TTL / 2).acquire());
    while store.acquires.lock().len() < 3 {
        tokio::task::yield_now().await;
    }
    let second = ours.lock("k", TTL).wait(TTL / 4).acquire().await;
    assert!(second.unwrap_err().is_busy());
    let last = store.acquires.lock().last().cloned().unwrap();
    assert!(last.waiter.is_none() && !last.is_curt, "{last:?}");
    assert!(first.await.unwrap().unwrap_err().is_busy());
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_min_hold_has_passed_is_handed_on() {
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let request = manager.lock("k", TTL).min_hold(MOMENT);
    let guard = request.acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    sleep(MOMENT).await;
    guard.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
    let last = store.acquires.lock().last().cloned().unwrap();
    assert!(last.replaces.is_some(), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_lost_is_handed_on_to_nobody() {
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    store.lose();
    assert!(guard.extend(TTL).await.unwrap_err().is_lost());
    drop(guard);
    waiting.await.unwrap().unwrap().release().await.unwrap();
    let is_handed_on = |asked: &AcquireRequest| asked.replaces.is_some();
    assert!(!store.acquires.lock().iter().any(is_handed_on));
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_the_store_does_not_hand_on_had_been_lost() {
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    store.lose();
    assert!(guard.release().await.unwrap_err().is_lost());
    let [asked, handed_on] = [0, 1].map(|nth| store.acquires.lock()[nth].clone());
    assert_eq!(handed_on.replaces, Some(asked.token.clone()));
    // Whoever was refused has nothing to give back.
    let released = store.releases.lock().clone();
    assert!(released.iter().all(|release| release.token == asked.token));
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

/// The process was paused when the lock was handed on to it.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_handed_on_too_long_ago_is_asked_for() {
    let manager = LockManager::new(Untold::default());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let mut waiting = Box::pin(manager.lock("k", TTL).acquire());
    timeout(MOMENT, &mut waiting).await.unwrap_err();
    guard.release().await.unwrap();
    advance(TTL / 2).await;
    let guard = waiting.await.unwrap();
    assert!(guard.remaining() + MOMENT > LIFETIME);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_has_expired_is_handed_on_to_nobody() {
    let store = Untold::default();
    let manager = LockManager::new(store.clone());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    // The store has it for a moment yet.
    advance(LIFETIME).await;
    drop(guard);
    waiting.await.unwrap().unwrap().release().await.unwrap();
    let is_handed_on = |asked: &AcquireRequest| asked.replaces.is_some();
    assert!(!store.acquires.lock().iter().any(is_handed_on));
}

#[tokio::test(start_paused = true)]
async fn a_fenced_lock_that_is_handed_on_without_a_token_is_asked_for() {
    let manager = LockManager::new(Untold::default());
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).fenced().acquire());
    tokio::task::yield_now().await;
    guard.release().await.unwrap();
    let guard = waiting.await.unwrap().unwrap();
    assert!(guard.fencing_token().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_handed_on_as_its_store_restarted_is_asked_for() {
    let manager = LockManager::new(Untold {
        hands_on: HandsOn::AndForgets,
        ..Untold::default()
    });
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    // Nobody took it from its owner.
    guard.release().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_held());
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_line_ends_in_time_where_votes_are_split() {
    const LONG: Duration = Duration::from_secs(60);
    let nodes = [Untold::default(), Untold::default()];
    let mut held = Vec::new();
    for node in &nodes {
        let owner = LockManager::new(node.clone());
        held.push(owner.lock("k", LONG).acquire().await.unwrap());
    }
    let manager = LockManager::new(redlock_over(nodes));
    let asked = Instant::now();
    let refused = manager.lock("k", LONG).wait(TTL).acquire().await;
    assert!(refused.unwrap_err().is_busy());
    let waited = asked.elapsed();
    assert!(waited >= TTL, "{waited:?}");
    let late = waited.saturating_sub(TTL);
    assert!(late <= Duration::from_millis(1), "{late:?} late");
}

/// Each would be asked to enter its waiter a second time.
#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_a_waiter_a_moment_after_the_others_is_given_nothing_back() {
    let holder = Holder::new(OURS.as_bytes(), Some(TTL));
    let refused = Step::reply(AcquireReply::Busy(holder));
    let nodes = [0, 0, 0, 1, 5].map(|later| {
        let node = Scripted::new();
        node.on_every_acquire(refused.clone().after(Duration::from_millis(later)));
        node
    });
    let store = redlock_over(nodes.clone());
    let token = || OwnerToken::with_label("");
    let asks = || AcquireRequest::new(LockKey::new("k").unwrap(), token(), TTL);
    let given_back = || {
        let releases = |node: &Scripted| node.calls_of(Operation::Release).len();
        nodes.each_ref().map(releases)
    };
    let asked = Instant::now();
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let reply = store.acquire(asks().waiting(waiter)).await;
    assert!(matches!(reply, Ok(AcquireReply::Busy(_))), "{reply:?}");
    assert_eq!(given_back(), [0, 0, 0, 0, 1]);
    // Nobody else waits for more than a quorum.
    let first = asked.elapsed();
    assert!(first <= Duration::from_millis(1), "{first:?}");
    let reply = store.acquire(asks()).await;
    assert!(matches!(reply, Ok(AcquireReply::Busy(_))), "{reply:?}");
    assert_eq!(asked.elapsed(), first);
    assert_eq!(given_back(), [0, 0, 0, 1, 2]);
}

/// A lock store with a line that answers so many questions alike and no others,
/// and tells nobody, or cannot.
#[derive(Clone)]
struct Refuses {
    reply: AcquireReply,
    answered: usize,
    can_tell: bool,
    asked: Arc<AtomicUsize>,
}

impl Refuses {
    fn new(reply: AcquireReply) -> Self {
        Self {
            reply,
            answered: usize::MAX,
            can_tell: true,
            asked: Arc::default(),
        }
    }
}

impl Backend for Refuses {
    forward!(extend, release => |_store| Memory::new());

    fn acquire(&self, _: AcquireRequest) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        if self.asked.fetch_add(1, Ordering::SeqCst) >= self.answered {
            return Box::pin(pending());
        }
        let reply = self.reply.clone();
        Box::pin(async { Ok(reply) })
    }

    fn has_line(&self) -> bool {
        true
    }

    fn passed(&self, _: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        self.can_tell.then(|| Box::pin(pending()) as _)
    }
}

/// Somebody else holds the key for so long, and who asks is first in line.
fn held_by(owner: &str, left: Duration) -> Refuses {
    let holder = Holder::new(owner.as_bytes(), Some(left));
    Refuses::new(AcquireReply::Busy(holder.with_place(Some(0))))
}

const OURS: &str = "lg1:a:00000000000000000000000000000000";

#[tokio::test(start_paused = true)]
async fn a_question_in_line_that_is_never_answered_ends_within_its_bound() {
    let store = Refuses {
        answered: 1,
        ..held_by(OURS, TTL)
    };
    let manager = LockManager::new(store);
    let acquire = manager.lock("k", TTL).acquire();
    let error = timeout(TTL / 2, acquire).await.unwrap().unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

/// How often whoever waits for these keys asks in ten seconds, unless it is told
/// anything.
async fn questions_in_ten_seconds(store: Refuses, keys: &[&str]) -> usize {
    let manager = LockManager::new(store.clone());
    let request = manager.lock_all(keys, 30 * TTL).wait(5 * TTL);
    let refused = request.acquire().await;
    assert!(refused.is_err_and(|error| error.is_busy()));
    store.asked.load(Ordering::SeqCst)
}

/// Whose release wakes nobody.
#[tokio::test(start_paused = true)]
async fn the_first_in_line_looks_at_another_librarys_lock_four_times_a_second() {
    let left = 30 * TTL;
    let asked = questions_in_ten_seconds(held_by("another", left), &["k"]).await;
    assert!((28..=50).contains(&asked), "{asked}");
    // A look at several keys takes two commands.
    let asked = questions_in_ten_seconds(held_by("another", left), &["a", "b"]).await;
    assert!((14..=25).contains(&asked), "{asked}");
    let asked = questions_in_ten_seconds(held_by(OURS, left), &["k"]).await;
    assert!(asked <= 5, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_told_asks_by_four_commands_a_second() {
    for (keys, expected) in [(&["k"][..], 32..=56), (&["a", "b"], 16..=30)] {
        let store = Refuses {
            can_tell: false,
            ..held_by(OURS, 30 * TTL)
        };
        let asked = questions_in_ten_seconds(store, keys).await;
        assert!(expected.contains(&asked), "{asked}");
    }
}

/// However often it is renewed.
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_always_about_to_expire_is_asked_for_by_four_commands_a_second() {
    let soon = Duration::from_millis(1);
    let asked = questions_in_ten_seconds(held_by(OURS, soon), &["k"]).await;
    assert!((30..=43).contains(&asked), "{asked}");
    // A look at several keys takes two.
    let asked = questions_in_ten_seconds(held_by(OURS, soon), &["a", "b"]).await;
    assert!((15..=23).contains(&asked), "{asked}");
}

/// Nobody need be told of what is given back then.
#[tokio::test(start_paused = true)]
async fn who_stands_in_line_asks_again_when_what_split_the_votes_has_run_out() {
    let asked = questions_in_ten_seconds(Refuses::new(AcquireReply::Split), &["k"]).await;
    assert!((5..=8).contains(&asked), "{asked}");
}

/// What a minority keeps for nobody hides that the key is free, or who holds it.
#[tokio::test(start_paused = true)]
async fn who_wants_several_keys_asks_seldom_where_the_votes_stay_split() {
    let store = Refuses::new(AcquireReply::Split);
    let asked = questions_in_ten_seconds(store, &["a", "b"]).await;
    // Often for a second, while contenders come apart.
    assert!((20..=70).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_successor_hears_nothing_is_given_back_before_its_ttl() {
    let store = Untold {
        hands_on: HandsOn::InSilence,
        ..Untold::default()
    };
    let manager = LockManager::new(store);
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    tokio::task::yield_now().await;
    let given_back = Instant::now();
    drop(guard);
    waiting.await.unwrap().unwrap().release().await.unwrap();
    assert!(given_back.elapsed() < TTL * 3 / 4);
}

#[tokio::test(start_paused = true)]
async fn a_grant_by_a_message_is_a_lease_that_counts_from_the_question() {
    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let asked = Instant::now();
    let guard = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(asked.elapsed() >= MOMENT);
    assert_eq!(guard.deadline(), asked + LIFETIME);
    // The first was a plain one, and the second stood in line.
    assert_eq!(line.questions(), 2);
    guard.release().await.unwrap();
    let released = line.released();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].token, line.waiter(2).unwrap().next);
    assert!(released[0].standing.is_none());
}

/// In three fifths more of the time that the message took.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_soon_after_the_message_counts() {
    let line = Line::that_refuses_after(MOMENT * 8 / 5, 1);
    let manager = LockManager::new(line.clone());
    let guard = timeout(TTL, manager.lock("k", TTL).acquire()).await;
    guard.unwrap().unwrap().release().await.unwrap();
    assert_eq!(line.questions(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_before_the_answer_is_heard_after_it() {
    let line = Line::that_refuses_after(MOMENT * 8 / 5, 2);
    let manager = LockManager::new(line.clone());
    let asked = Instant::now();
    drop(manager.lock("k", TTL).acquire().await.unwrap());
    assert_eq!(asked.elapsed(), 2 * MOMENT * 8 / 5);
    assert_eq!(line.questions(), 2);
}

#[tokio::test(start_paused = true)]
async fn least_and_longest_hold_count_from_the_grant() {
    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let guard = manager
        .lock("k", TTL)
        .max_hold(2 * TTL)
        .acquire()
        .await
        .unwrap();
    let granted = Instant::now();
    assert_eq!(guard.lost().await, LostCause::MaxHold);
    assert_eq!(granted.elapsed(), 2 * TTL);

    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let guard = manager.lock("k", TTL).min_hold(TTL / 2).acquire().await;
    guard.unwrap().release().await.unwrap();
    assert_eq!(line.released()[0].keep, Some(TTL / 2));
}

/// By chance, where it was held for long.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_waited_for_is_left_open_now_and_then() {
    // Granted to a question, or by a message.
    for refused in [1, 2] {
        let mut opened = 0;
        for _ in 0..100 {
            let line = Line::that_refuses(refused);
            let manager = LockManager::new(line.clone());
            let guard = manager.lock("k", TTL).acquire().await.unwrap();
            sleep(TTL / 2).await;
            guard.release().await.unwrap();
            opened += usize::from(line.released()[0].is_open);
        }
        assert!((1..100).contains(&opened), "{opened} of 100");
    }
}

/// How often of 100 times such a lock is left open that is held for so long.
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests panic as tests do"
)]
async fn opened(refused: usize, keys: &[&str], held: Duration) -> usize {
    let mut opened = 0;
    for _ in 0..100 {
        let line = Line::that_refuses(refused);
        let manager = LockManager::new(line.clone());
        let guard = manager.lock_all(keys, TTL).acquire().await.unwrap();
        let before = line.released().len();
        sleep(held).await;
        drop(guard);
        opened += usize::from(line.released()[before].is_open);
    }
    opened
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_not_left_open_that_nobody_waited_for_or_is_lost_or_of_several_keys() {
    assert_ne!(opened(1, &["k"], TTL / 2).await, 0);
    assert_eq!(opened(0, &["k"], TTL / 2).await, 0);
    assert_eq!(opened(1, &["k"], LIFETIME + MOMENT).await, 0);
    assert_eq!(opened(1, &["a", "b"], TTL / 2).await, 0);
}

/// Those of other libraries ask now and then.
#[tokio::test(start_paused = true)]
async fn who_waits_here_asks_40_ms_after_the_lock_was_left_open() {
    let mut opened = 0;
    for _ in 0..100 {
        let line = Line::that_refuses(1);
        let manager = LockManager::new(line.clone());
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
        sleep(TTL / 2).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        drop(waiting.await.unwrap().unwrap());
        if line.released()[0].is_open {
            opened += 1;
            assert_eq!(released.elapsed(), Duration::from_millis(40));
        }
    }
    assert_ne!(opened, 0);
}

/// It is free, and left to others for a moment: that is not busy.
#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_while_the_lock_is_left_open_asks_once_more() {
    for _ in 0..100 {
        let manager = LockManager::new(Line::that_refuses(1));
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        let ends_soon_after = TTL / 2 + MOMENT;
        let waiting = manager.lock("k", TTL).wait(ends_soon_after).acquire();
        let waiting = tokio::spawn(waiting);
        sleep(TTL / 2).await;
        guard.release().await.unwrap();
        drop(waiting.await.unwrap().unwrap());
    }
}

/// Others may have taken it then.
#[tokio::test(start_paused = true)]
async fn a_wait_for_several_keys_that_ends_while_one_is_left_open_asks_twice_at_most() {
    for _ in 0..100 {
        let line = Line::that_refuses_after(Duration::from_millis(1), 1);
        let manager = LockManager::new(line.clone());
        let guard = manager.lock("k", TTL).acquire().await.unwrap();
        let ends_soon_after = TTL / 2 + MOMENT;
        let waiting = manager.lock_all(["k", "l"], TTL).wait(ends_soon_after);
        let waiting = tokio::spawn(waiting.acquire());
        sleep(TTL / 2).await;
        line.0.refuses.store(usize::MAX, Ordering::SeqCst);
        let before = line.questions();
        guard.release().await.unwrap();
        assert!(waiting.await.unwrap().unwrap_err().is_busy());
        assert!(line.questions() - before <= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_key_that_was_waited_for_stands_in_line_at_once() {
    // Granted to a question, or by a message.
    for refused in [1, 2] {
        let line = Line::that_refuses(refused);
        let manager = LockManager::new(line.clone());
        let awaited = manager.lock("k", TTL).acquire().await.unwrap();
        assert!(line.waiter(1).is_none());
        awaited.release().await.unwrap();
        let _next = manager.lock("k", TTL).acquire().await.unwrap();
        assert!(line.waiter(3).is_some());
    }
}

/// Whoever was granted several keys leaves their lines itself, where it was refused
/// before.
#[tokio::test(start_paused = true)]
async fn a_grant_takes_its_waiter_out_of_line_and_one_of_several_keys_does_not() {
    let line = Line::that_refuses(1);
    let manager = LockManager::new(line.clone());
    let _held = manager.lock("k", TTL).acquire().await.unwrap();
    assert!(line.waiter(2).is_some());
    assert_eq!(line.released().len(), 0);

    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let _held = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    let Waiter { ticket, next, .. } = line.waiter(3).unwrap();
    let left = line.released();
    assert_eq!(left.len(), 2);
    for (left, key) in left.iter().zip(["a", "b"]) {
        assert_eq!((left.key.as_str(), &left.token), (key, &next));
        assert!(matches!(&left.standing, Some(Standing::Leaves(its)) if *its == ticket));
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_of_several_keys_to_whom_no_line_has_entered_tells_no_line() {
    let line = Line::that_refuses(1);
    let manager = LockManager::new(line.clone());
    let _held = manager.lock_all(["a", "b"], TTL).acquire().await.unwrap();
    assert!(line.waiter(2).is_some());
    assert_eq!(line.released().len(), 0);
}

/// Another node hangs, and may do so for long.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_overtaken_is_given_back_by_one_who_stays_in_line() {
    let silent_for = TTL;
    let line = Line::that_refuses_after(silent_for, 1);
    let manager = LockManager::new(line.clone());
    let waiting = tokio::spawn(manager.lock("k", 4 * TTL).acquire());
    while line.questions() < 3 {
        sleep(MOMENT).await;
    }
    let overtaken = line.released();
    assert_eq!(overtaken.len(), 1);
    assert_eq!(overtaken[0].token, line.0.acquires.lock()[1].token);
    let Some(Standing::Stays(waiter)) = &overtaken[0].standing else {
        panic!("{overtaken:?}");
    };
    let stands = line.waiter(2).unwrap();
    assert_eq!(
        (&waiter.ticket, &waiter.next),
        (&stands.ticket, &stands.next)
    );
    waiting.abort();
}

/// The process was paused with the message in its hands.
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_heard_too_late_is_asked_for() {
    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    while line.questions() < 2 {
        tokio::task::yield_now().await;
    }
    advance(TTL / 2).await;
    let guard = waiting.await.unwrap().unwrap();
    assert_eq!(line.questions(), 3);
    assert!(guard.remaining() + MOMENT > LIFETIME);
    let last = line.0.acquires.lock()[2].clone();
    assert_eq!(last.token, line.waiter(2).unwrap().next);
}

#[tokio::test(start_paused = true)]
async fn a_grant_by_a_message_of_before_a_restart_is_asked_for() {
    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    while line.questions() < 2 {
        tokio::task::yield_now().await;
    }
    line.0.epochs.end();
    assert!(waiting.await.unwrap().unwrap().is_held());
    assert_eq!(line.questions(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_question_is_of_before_a_restart_is_given_back_and_asked_for_again() {
    let line = Line::that_refuses_after(MOMENT, 0);
    let manager = LockManager::new(line.clone());
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    while line.questions() < 1 {
        tokio::task::yield_now().await;
    }
    line.0.epochs.end();
    assert!(waiting.await.unwrap().unwrap().is_held());
    let (asked, given_back) = (line.0.acquires.lock()[0].clone(), line.released());
    assert_eq!(given_back[0].token, asked.token);
}

/// And twice as long, but a day at least.
#[tokio::test(start_paused = true)]
async fn a_fence_is_asked_to_be_kept_for_as_long_as_the_lock_may_be_renewed() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let line = Line::that_refuses(0);
    let manager = LockManager::new(line.clone());
    let request = manager.lock("k", TTL).max_hold(20 * HOUR).fenced();
    // This store gives no fencing tokens.
    assert!(request.acquire().await.is_err());
    let asked = line.0.acquires.lock()[0].clone();
    assert_eq!(asked.fence.unwrap().keep, 40 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_gives_back_what_it_may_have_been_granted() {
    let line = Line::that_refuses(2);
    let manager = LockManager::new(line.clone());
    let acquire = manager.lock("k", TTL).acquire();
    timeout(MOMENT / 2, acquire).await.unwrap_err();
    let waiter = line.waiter(2).unwrap();
    let released = line.released();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].token, waiter.next);
    let Some(Standing::Leaves(ticket)) = &released[0].standing else {
        panic!("{released:?}");
    };
    assert_eq!(*ticket, waiter.ticket);
    // A node that enters it later takes it out.
    assert!(ticket.is_closed());
}

#[tokio::test(start_paused = true)]
async fn grants_are_for_the_first_question_in_line_for_one_unfenced_key() {
    let plain = Line::that_refuses(2);
    let manager = LockManager::new(plain.clone());
    drop(manager.lock("k", TTL).acquire().await.unwrap());
    assert!(plain.waiter(2).unwrap().takes_grants);

    let fenced = Line::that_refuses(2);
    let manager = LockManager::new(fenced.clone());
    let refused = manager.lock("k", TTL).fenced().acquire().await;
    assert!(refused.is_err(), "this store gives no fencing tokens");
    // Told that it has the key, it asks all the same.
    assert_eq!(fenced.questions(), 3);
    assert!(!fenced.waiter(2).unwrap().takes_grants);

    let several = Line::that_refuses(2);
    let manager = LockManager::new(several.clone());
    drop(manager.lock_all(["a", "b"], TTL).acquire().await.unwrap());
    assert_eq!(several.questions(), 3);
    assert!(!several.waiter(2).unwrap().takes_grants);

    let again = Line::that_refuses(3);
    let manager = LockManager::new(again.clone());
    let waiting = tokio::spawn(manager.lock("k", TTL).acquire());
    while again.questions() < 2 {
        tokio::task::yield_now().await;
    }
    advance(TTL / 2).await;
    drop(waiting.await.unwrap().unwrap());
    assert!(!again.waiter(3).unwrap().takes_grants);
}

/// What one node grants is a vote, and no message is one.
#[tokio::test(start_paused = true)]
async fn over_several_nodes_a_grant_by_a_message_is_asked_for() {
    let nodes = [2, 2, 2].map(Line::that_refuses);
    let manager = LockManager::new(redlock_over(nodes.clone()));
    drop(manager.lock("k", TTL).acquire().await.unwrap());
    for node in nodes {
        assert_eq!(node.questions(), 3);
        assert!(!node.waiter(2).unwrap().takes_grants);
    }
}

/// The others might free it, and say nothing.
#[tokio::test]
async fn a_waiter_is_woken_over_several_nodes_where_all_can_tell() {
    let key = LockKey::new("k").unwrap();
    for (telling, is_told) in [(0, false), (2, false), (3, true)] {
        let nodes = (0..3).map(|nth| {
            if nth < telling {
                Scripted::new()
            } else {
                Scripted::without_wakes()
            }
        });
        let freed = redlock_over(nodes).freed(&key);
        assert_eq!(freed.is_some(), is_told, "{telling} of 3");
    }
}

/// So a node that enters it later takes it out of its line again.
#[tokio::test(start_paused = true)]
async fn the_ticket_of_who_is_granted_by_a_quorum_is_closed() {
    let store = redlock_over([Memory::new(), Memory::new(), Memory::new()]);
    let token = || OwnerToken::with_label("");
    let ticket = Ticket::draw();
    let waiter = Waiter::new(ticket.clone(), token(), TTL);
    let request = AcquireRequest::new(LockKey::new("k").unwrap(), token(), TTL);
    let reply = store.acquire(request.waiting(waiter)).await;
    assert_eq!(reply.unwrap(), AcquireReply::Granted);
    assert!(ticket.is_closed());
}

#[tokio::test]
async fn who_waits_over_several_nodes_is_told_where_a_quorum_can_tell() {
    for (telling, is_told) in [(0, false), (1, false), (2, true), (3, true)] {
        let nodes = (0..3).map(|nth| -> Arc<dyn Backend> {
            if nth < telling {
                Arc::new(Line::that_refuses(0))
            } else {
                Arc::new(Memory::new())
            }
        });
        let passed = Redlock::new(nodes).passed(&OwnerToken::with_label(""));
        assert_eq!(passed.is_some(), is_told, "{telling} of 3");
    }
}
