//! The link over a pipe in memory, with what a server sends put there by hand.

use std::{
    future::poll_fn,
    io,
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, duplex},
    task::yield_now,
    time::{advance, sleep_until, timeout},
};

use super::{connecting::RECONNECT_PAUSE, overdue::SECOND_LOOK, *};
use crate::{
    backend::redis::{
        OnRestart,
        command::{Answer, Limit},
        connection::Refused,
        owed::MOST_OWED,
        session::Session,
        wire::{Stream, Wire},
    },
    backend::{AcquireReply, BackendError, ReleaseRequest, Standing, Ticket, Waiter},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    node_status::NodeRole,
    token::OwnerToken,
};

/// How many releases a node is owed after an acquire that it was refused
/// unsent, and its release.
fn owed_after(acquire: AcquireRequest) -> usize {
    let release = ReleaseRequest::new(acquire.keys.first().clone(), acquire.token.clone());
    let error = NodeError::new("a:6379", "connection refused");
    let mut owed = Owed::default();
    let (answer, _reply) = Answer::channel();
    refuse(
        Command::new(Task::acquire(acquire, answer), None),
        &error,
        &mut owed,
    );
    refuse(Command::owed(release), &error, &mut owed);
    owed.take().len()
}

/// A link whose connection is this, with an acquire on its way, whose answer
/// comes there; it ends with who may ask it.
fn asked_over(
    stream: impl Stream + 'static,
) -> (
    Link,
    oneshot::Receiver<Result<AcquireReply, BackendError>>,
    Inlet,
) {
    let (commands, inbox) = super::inbox();
    let mut link = Link::new(
        Address::parse("redis://127.0.0.1:1").unwrap(),
        Timeouts::default(),
        inbox,
        watch::channel(None).0,
        Arc::new(Pushes::new()),
        Arc::new(Restarts::new(OnRestart::default())),
        Twins::default(),
    );
    let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let request = AcquireRequest::new(key, token, Duration::from_secs(1));
    let (answer, reply) = Answer::channel();
    let mut command = Command::new(Task::acquire(request, answer), None);
    command.sent = Some(Instant::now());
    link.queue.push_back(command);
    let mut session = Session::new(Wire::new(stream), None, None, false);
    session.under_way = 1;
    link.connection = Connection::Up(session);
    (link, reply, commands)
}

/// An acquire whose caller waits for so long, and where it hears the answer.
fn asked_within(
    budget: Duration,
) -> (
    Command,
    oneshot::Receiver<Result<AcquireReply, BackendError>>,
) {
    let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let request = AcquireRequest::new(key, token, LONGEST_TIMEOUT);
    let limit = Limit {
        asked: Instant::now(),
        budget,
    };
    let (answer, reply) = Answer::channel();
    let command = Command::new(Task::acquire(request, answer), Some(limit));
    (command, reply)
}

/// A release of a key that nobody else asks for.
fn release() -> Command {
    let key = LockKey::new("other").unwrap();
    Command::owed(ReleaseRequest::new(key, OwnerToken::with_label("")))
}

/// Each node is slow once, and the heap of a program would grow for as long as one
/// has not been.
#[tokio::test]
async fn a_queue_that_was_long_keeps_little_room() {
    let (ours, mut theirs) = duplex(1 << 12);
    let (mut link, reply, _commands) = asked_over(ours);
    let many = 8 * QUEUE_KEPT;
    link.queue.extend((0..many).map(|_| release()));
    if let Connection::Up(session) = &mut link.connection {
        session.under_way += many;
    }
    let replies = "+OK\r\n".to_owned() + &":1\r\n".repeat(many);
    theirs.write_all(replies.as_bytes()).await.unwrap();
    poll_fn(|cx| {
        assert!(link.poll(cx).is_pending());
        if link.queue.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    assert!(matches!(reply.await, Ok(Ok(AcquireReply::Granted))));
    assert!(link.queue.capacity() < many, "{}", link.queue.capacity());
}

/// A task that nobody lets run must not be asked without end.
#[tokio::test]
async fn an_inbox_that_is_full_takes_releases_alone_until_it_is_looked_into() {
    let (commands, inbox) = super::inbox();
    let acquire = || Message::Command(asked_within(LONGEST_TIMEOUT).0);
    for _ in 0..MOST_UNANSWERED {
        assert_eq!(commands.put(acquire()), Ok(()));
    }
    assert_eq!(commands.put(acquire()), Err(NotTaken::Full));
    assert_eq!(commands.put(Message::Command(release())), Ok(()));
    let mut arrived = VecDeque::new();
    inbox.take(&mut arrived, &Context::from_waker(Waker::noop()));
    assert_eq!(arrived.len(), MOST_UNANSWERED + 1);
    assert_eq!(commands.put(acquire()), Ok(()));
}

fn counted_wakes() -> (Arc<Wakes>, Waker) {
    let woken = Arc::new(Wakes::default());
    (Arc::clone(&woken), Waker::from(woken))
}

/// Each wake is a system call where the task's thread sleeps.
#[test]
fn of_messages_that_come_together_the_first_wakes_the_task() {
    let (woken, waker) = counted_wakes();
    let cx = Context::from_waker(&waker);
    let (commands, inbox) = super::inbox();
    for times in 1..=2 {
        let mut arrived = VecDeque::new();
        assert!(!inbox.take(&mut arrived, &cx));
        for _ in 0..3 {
            assert_eq!(commands.put(Message::Command(release())), Ok(()));
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), times);
    }
}

#[test]
fn an_inbox_is_closed_with_the_last_who_may_put_something_there() {
    let (woken, waker) = counted_wakes();
    let cx = Context::from_waker(&waker);
    let (commands, inbox) = super::inbox();
    let mut arrived = VecDeque::new();
    drop(commands.clone());
    assert!(!inbox.take(&mut arrived, &cx));
    drop(commands);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(inbox.take(&mut arrived, &cx));
}

#[tokio::test]
async fn whoever_asks_a_link_that_is_gone_is_told_so() {
    let (link, _reply, commands) = asked_over(duplex(1).0);
    let (unseen, reply) = asked_within(LONGEST_TIMEOUT);
    assert_eq!(commands.put(Message::Command(unseen)), Ok(()));
    drop(link);
    assert!(reply.await.is_err());
    let late = Message::Command(asked_within(LONGEST_TIMEOUT).0);
    assert_eq!(commands.put(late), Err(NotTaken::Closed));
}

/// How often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Replies are told apart by their order alone.
#[tokio::test]
async fn a_release_is_never_put_among_what_is_on_its_way() {
    let (mut link, _reply, _commands) = asked_over(duplex(1).0);
    link.queue.push_front(release());
    if let Connection::Up(session) = &mut link.connection {
        session.under_way = 2;
    }
    link.take_in(release());
    let releases: Vec<_> = link.queue.iter().map(Command::is_debt).collect();
    assert_eq!(releases, [true, false, true]);
}

/// Else many would wait for as long as others release.
#[tokio::test]
async fn a_release_overtakes_few_acquires_and_stays_behind_many() {
    for acquires in [MOST_OVERTAKEN, MOST_OVERTAKEN + 1] {
        let (mut link, _reply, _commands) = asked_over(duplex(1).0);
        link.take_in(release());
        for _ in 0..acquires {
            link.take_in(asked_within(LONGEST_TIMEOUT).0);
        }
        link.take_in(release());
        let is_behind = link.queue.back().is_some_and(Command::is_debt);
        assert_eq!(is_behind, acquires > MOST_OVERTAKEN, "{acquires}");
    }
}

/// A proxy that keeps each key elsewhere, or an operator who ends a script, refuses
/// the call, and not each release.
#[tokio::test]
async fn releases_whose_call_is_refused_are_asked_again_one_by_one() {
    let (ours, mut theirs) = duplex(1 << 12);
    let (mut link, _reply, _commands) = asked_over(ours);
    link.queue = (0..3).map(|_| release()).collect();
    if let Connection::Up(session) = &mut link.connection {
        session.under_way = 0;
        session.send(&mut link.queue, |_| None);
        assert_eq!(link.queue[0].followers, 2);
    }
    let reply = b"-CROSSSLOT keys in request don't hash to the same slot\r\n";
    theirs.write_all(reply).await.unwrap();
    poll_fn(|cx| Poll::Ready(link.serve(&mut 0, 1, cx))).await;
    assert_eq!(link.queue.len(), 3);
    let Connection::Up(session) = &mut link.connection else {
        panic!("the connection is given up");
    };
    assert_eq!(session.under_way, 0);
    session.send(&mut link.queue, |_| None);
    assert!(link.queue.iter().all(|release| release.followers == 0));
}

const MESSAGE: &str = ">3\r\n+message\r\n+channel\r\n+text\r\n";

#[tokio::test]
async fn an_answer_behind_many_messages_is_heard_in_one_poll() {
    let messages = MESSAGE.repeat(10_000);
    let (ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(messages.as_bytes()).await.unwrap();
    theirs.write_all(b"+OK\r\n").await.unwrap();
    let (mut link, mut reply, _commands) = asked_over(ours);
    // Where the clock is to be looked at, all is read.
    link.alarm = Some(Box::pin(sleep_until(Instant::now() + LONGEST_TIMEOUT)));
    let is_pending = poll_fn(|cx| Poll::Ready(link.poll(cx).is_pending())).await;
    assert!(is_pending);
    assert!(matches!(reply.try_recv(), Ok(Ok(AcquireReply::Granted))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_behind_more_messages_than_a_poll_takes_in_is_heard_at_once() {
    let messages = MESSAGE.repeat(MOST_UNASKED * PASSES + 1);
    let (ours, mut theirs) = duplex(1 << 21);
    theirs.write_all(messages.as_bytes()).await.unwrap();
    theirs.write_all(b"+OK\r\n").await.unwrap();
    let (link, reply, _commands) = asked_over(ours);
    let asked = Instant::now();
    tokio::spawn(SharedLink::new(link).run());
    assert!(matches!(reply.await, Ok(Ok(AcquireReply::Granted))));
    assert!(asked.elapsed().is_zero());
}

/// It was on its way when the node was found overdue; and so is the next.
#[tokio::test(start_paused = true)]
async fn answers_a_moment_after_the_timeout_are_heard() {
    let (ours, mut theirs) = duplex(1 << 10);
    let (link, first, commands) = asked_over(ours);
    let late = link.timeouts.response + SECOND_LOOK / 2;
    tokio::spawn(SharedLink::new(link).run());
    let (second, answer) = asked_within(LONGEST_TIMEOUT);
    for (reply, next) in [(first, Some(second)), (answer, None)] {
        tokio::time::sleep(late).await;
        theirs.write_all(b"+OK\r\n").await.unwrap();
        assert!(matches!(reply.await, Ok(Ok(AcquireReply::Granted))));
        if let Some(next) = next {
            assert!(commands.put(Message::Command(next)).is_ok());
        }
    }
}

/// Whether an acquire that a program asked for, and stood still for so long, hears
/// an answer that comes then.
async fn hears_after(stood_still: Duration) -> bool {
    let (ours, mut theirs) = duplex(1 << 10);
    let (link, _first, commands) = asked_over(ours);
    let (command, reply) = asked_within(link.timeouts.response / 4);
    assert_eq!(commands.put(Message::Command(command)), Ok(()));
    advance(stood_still).await;
    tokio::spawn(SharedLink::new(link).run());
    tokio::time::sleep(SECOND_LOOK / 2).await;
    theirs.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
    matches!(reply.await, Ok(Ok(AcquireReply::Granted)))
}

/// It is sent only then, or the answer is still unread.
#[tokio::test(start_paused = true)]
async fn a_program_that_stood_still_beyond_a_callers_time_hears_the_answer() {
    let budget = Timeouts::default().response / 4;
    assert!(hears_after(budget * 2).await);
    assert!(!hears_after(budget).await);
}

/// Else a busy machine could keep its callers for as long as it is busy.
#[tokio::test(start_paused = true)]
async fn a_program_that_stands_still_twice_is_told_that_there_is_no_answer() {
    let (ours, _theirs) = duplex(1 << 10);
    let (link, _first, commands) = asked_over(ours);
    let budget = link.timeouts.response / 4;
    let (command, reply) = asked_within(budget);
    assert_eq!(commands.put(Message::Command(command)), Ok(()));
    advance(budget * 2).await;
    tokio::spawn(SharedLink::new(link).run());
    yield_now().await;
    advance(SECOND_LOOK * 2).await;
    let late = Instant::now();
    assert!(reply.await.unwrap().is_err());
    assert!(late.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_set_to_too_late_is_brought_forward() {
    let (ours, _theirs) = duplex(1 << 10);
    let (mut link, _reply, _commands) = asked_over(ours);
    link.alarm = Some(Box::pin(sleep_until(Instant::now() + LONGEST_TIMEOUT)));
    let budget = link.timeouts.response / 2;
    let (command, reply) = asked_within(budget);
    link.take_in(command);
    tokio::spawn(SharedLink::new(link).run());
    let told = timeout(2 * budget, reply).await.unwrap();
    assert!(matches!(told, Ok(Err(BackendError::Unavailable { .. }))));
}

/// Which sets one: else its caller would be told when another's time is over, or
/// the node be found overdue then.
#[tokio::test(start_paused = true)]
async fn a_command_that_no_alarm_rings_for_in_time_is_left_to_the_task() {
    let (ours, _theirs) = duplex(1 << 10);
    let (mut link, _reply, _commands) = asked_over(ours);
    link.waker = Some(Waker::noop().clone());
    let response = link.timeouts.response;
    for (alarm, budget, is_sent) in [
        (response, LONGEST_TIMEOUT, true),
        (response * 2, LONGEST_TIMEOUT, false),
        (response / 4, response / 4, true),
        (response / 2, response / 4, false),
    ] {
        link.alarm = Some(Box::pin(sleep_until(Instant::now() + alarm)));
        let (command, _reply) = asked_within(budget);
        let is_given_back = link.send_at_once(command).is_some();
        assert_eq!(!is_given_back, is_sent, "{alarm:?} for {budget:?}");
    }
}

/// Whether a link that has connected many times, and was asked nothing, pauses
/// when its connection ends after so long.
fn pauses_after(lasted: Duration) -> impl Future<Output = bool> {
    let (ours, theirs) = duplex(1 << 10);
    let (mut link, _reply, _commands) = asked_over(ours);
    link.queue.clear();
    if let Connection::Up(session) = &mut link.connection {
        session.under_way = 0;
    }
    link.attempts = 20;
    async move {
        tokio::time::sleep(lasted).await;
        drop(theirs);
        let polled = poll_fn(|cx| Poll::Ready(link.serve(&mut 0, 1, cx))).await;
        assert!(polled, "the connection has ended");
        matches!(
            link.connection,
            Connection::Down {
                next: Next::Pause(_),
                ..
            }
        )
    }
}

/// What closes idle connections would keep a program that locks seldom
/// without one for up to a second each time.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_lasted_is_replaced_at_once() {
    assert!(!pauses_after(2 * *RECONNECT_PAUSE.end()).await);
    assert!(pauses_after(*RECONNECT_PAUSE.end() / 2).await);
}

#[tokio::test]
async fn an_attempt_that_panics_is_a_refusal_and_followed_by_another() {
    let (ours, _theirs) = duplex(1 << 10);
    let (mut link, _reply, _commands) = asked_over(ours);
    let contact = link.contact.subscribe();
    link.connection = Connection::Down {
        since: Instant::now(),
        next: Next::Attempt(Box::pin(async { panic!("no thread for {}", "it") })),
    };
    let is_pending = poll_fn(|cx| Poll::Ready(link.poll(cx).is_pending())).await;
    assert!(is_pending);
    let said = contact.borrow().clone().unwrap().unwrap_err().error;
    assert_eq!(said.reason(), "a panic: no thread for it");
    assert!(matches!(
        link.connection,
        Connection::Down {
            next: Next::Pause(_),
            ..
        }
    ));
}

/// Lets the link hear that its attempt to connect came to this.
async fn hear(link: &mut Link, refused: Refused) {
    link.connection = Connection::Down {
        since: Instant::now(),
        next: Next::Attempt(Box::pin(async { Err(refused) })),
    };
    poll_fn(|cx| Poll::Ready(link.reconnect(cx))).await;
}

/// It never will: whoever asks need not wait until it is overdue.
#[tokio::test(start_paused = true)]
async fn a_server_that_can_keep_no_locks_is_bad_at_once() {
    let (mut link, mut reply, _commands) = asked_over(duplex(1).0);
    hear(&mut link, Refused::ForNow("connection refused".to_owned())).await;
    assert!(link.bad.is_none() && reply.try_recv().is_err());
    let reason = "a replica".to_owned();
    hear(&mut link, Refused::ByKind(NodeRole::Replica, reason)).await;
    let answer = reply.try_recv().unwrap();
    assert!(matches!(answer, Err(BackendError::Unavailable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_bad_node_is_bad_for_what_was_heard_last() {
    let (mut link, _reply, _commands) = asked_over(duplex(1).0);
    link.turn_bad(NodeError::new("a:6379", "no answer"));
    hear(&mut link, Refused::ForNow("connection refused".to_owned())).await;
    assert_eq!(link.bad.unwrap().reason(), "connection refused");
}

/// Its token may be asked for again, by a raise, and be granted then.
#[tokio::test(start_paused = true)]
async fn the_release_of_what_was_never_sent_is_owed_once_the_node_was_back() {
    let (mut link, _reply, _commands) = asked_over(duplex(1).0);
    link.turn_bad(NodeError::new("a:6379", "no answer"));
    let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let request = AcquireRequest::new(key.clone(), token.clone(), LONGEST_TIMEOUT);
    let (answer, _unsent) = Answer::channel();
    link.admit(Command::new(Task::acquire(request, answer), None));
    link.recover();
    link.turn_bad(NodeError::new("a:6379", "no answer"));
    link.admit(Command::owed(ReleaseRequest::new(key, token)));
    assert_eq!(link.owed.take().len(), 1);
}

/// How long a link pauses after so many attempts to connect that were refused.
async fn pause_after_refusals(refusals: usize) -> Duration {
    let (mut link, _reply, _commands) = asked_over(duplex(1).0);
    link.break_off("connection reset".to_owned());
    let mut pause = Duration::ZERO;
    for _ in 0..refusals {
        hear(&mut link, Refused::ForNow("connection refused".to_owned())).await;
        let begun = Instant::now();
        // It ends with the next attempt.
        poll_fn(|cx| {
            if link.reconnect(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        pause = begun.elapsed();
    }
    pause
}

/// Of many programs each would ask it a hundred times a second.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_is_tried_soon_and_then_more_and_more_seldom() {
    let (shortest, longest) = RECONNECT_PAUSE.into_inner();
    let first = pause_after_refusals(1).await;
    assert!(first <= 2 * shortest, "{first:?}");
    let last = pause_after_refusals(20).await;
    assert!((longest / 2..=2 * longest).contains(&last), "{last:?}");
}

#[tokio::test]
async fn a_node_that_was_owed_too_much_is_not_said_to_have_got_all() {
    let (ours, _theirs) = duplex(1 << 10);
    let (mut link, _reply, _commands) = asked_over(ours);
    let mut cx = Context::from_waker(Waker::noop());
    for (owed, closed) in [
        (MOST_OWED, CloseReply::Flushed),
        (MOST_OWED + 1, CloseReply::Closed),
    ] {
        for nth in 0..owed {
            let key = LockKey::new(format!("k:{nth}")).unwrap();
            link.owed
                .push(ReleaseRequest::new(key, OwnerToken::with_label("")));
        }
        let (waiting, mut told) = oneshot::channel();
        link.waiting.push(waiting);
        assert!(link.is_waited_for(&mut cx));
        link.owed.take();
        assert!(!link.is_waited_for(&mut cx));
        assert_eq!(told.try_recv(), Ok(closed));
    }
}

/// The connection breaks with the oldest commands on their way, again and
/// again.
fn break_often(link: &mut Link, under_way: usize, times: u32) {
    for _ in 0..times {
        let (ours, _) = duplex(1 << 10);
        let mut session = Session::new(Wire::new(ours), None, None, false);
        session.under_way = under_way;
        for command in link.queue.iter_mut().take(under_way) {
            command.sent = Some(Instant::now());
        }
        link.connection = Connection::Up(session);
        link.break_off("connection reset".to_owned());
    }
}

/// It may be what breaks them.
#[tokio::test(start_paused = true)]
async fn a_command_that_six_connections_broke_with_is_given_up_and_a_release_is_not() {
    let (ours, _theirs) = duplex(1 << 10);
    let (mut link, mut reply, _commands) = asked_over(ours);
    let release = ReleaseRequest::new(LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    link.queue.push_back(Command::owed(release));
    break_often(&mut link, 2, 5);
    assert!(reply.try_recv().is_err(), "it is answered too soon");
    break_often(&mut link, 2, 1);
    let answer = reply.try_recv().unwrap();
    assert!(matches!(answer, Err(BackendError::Unavailable { .. })));
    break_often(&mut link, 1, 10);
    assert!(link.queue.iter().all(Command::is_debt));
    assert_eq!(link.queue.len(), 1);
}

/// A link whose first command is a waiter's, with another behind it; the
/// waiter's ticket, and where it hears the answer.
fn asked_by_a_waiter() -> (
    Link,
    Ticket,
    oneshot::Receiver<Result<AcquireReply, BackendError>>,
) {
    let (ours, _) = duplex(1 << 10);
    let (mut link, ..) = asked_over(ours);
    let (key, token) = (LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let waiter = Waiter::new(Ticket::draw(), token.clone(), LONGEST_TIMEOUT);
    let ticket = waiter.ticket.clone();
    let request = AcquireRequest::new(key, token, LONGEST_TIMEOUT).waiting(waiter);
    let (answer, reply) = Answer::channel();
    let asked = Command::new(Task::acquire(request, answer), None);
    link.queue.push_front(asked);
    (link, ticket, reply)
}

/// Else it would be asked when the node is back, long after its caller was told.
#[tokio::test]
async fn what_is_to_be_asked_again_when_the_node_turns_bad_is_refused() {
    let (ours, mut theirs) = duplex(1 << 10);
    let (mut link, mut reply, _commands) = asked_over(ours);
    let release = ReleaseRequest::new(LockKey::new("k").unwrap(), OwnerToken::with_label(""));
    let mut release = Command::owed(release);
    release.sent = Some(Instant::now());
    link.queue.push_back(release);
    if let Connection::Up(session) = &mut link.connection {
        session.under_way = 2;
    }
    let replies = b"-NOSCRIPT what is it?\r\n-LOADING its data\r\n";
    theirs.write_all(replies).await.unwrap();
    poll_fn(|cx| Poll::Ready(link.serve(&mut 0, 2, cx))).await;
    assert!(link.bad.is_some());
    let answer = reply.try_recv().unwrap();
    assert!(matches!(answer, Err(BackendError::Unavailable { .. })));
    assert!(link.queue.is_empty());
}

/// The ticket that it may have entered is in no place that is its own, and
/// what it asks next comes after.
#[tokio::test(start_paused = true)]
async fn a_waiter_whose_question_is_given_up_is_taken_out_of_the_line_first_of_all() {
    let (mut link, ticket, _reply) = asked_by_a_waiter();
    break_often(&mut link, 1, 6);
    let first = link.queue.pop_front().map(|command| command.task);
    let Some(Task::Release { request, .. }) = first else {
        panic!("it is asked again, or forgotten");
    };
    let Some(Standing::Leaves(left)) = request.standing else {
        panic!("{request:?}");
    };
    assert_eq!(left, ticket);
}

/// Where all are granted then, nobody takes it out.
#[tokio::test(start_paused = true)]
async fn who_asks_again_for_several_keys_is_taken_out_of_the_line_that_it_may_be_in() {
    let (ours, _) = duplex(1 << 10);
    let (mut link, ..) = asked_over(ours);
    let token = || OwnerToken::with_label("");
    let keys = ["a", "b"].map(|key| LockKey::new(key).unwrap());
    let waiter = Waiter::new(Ticket::draw(), token(), LONGEST_TIMEOUT);
    let request = AcquireRequest::new(LockKeys::new(keys).unwrap(), token(), LONGEST_TIMEOUT);
    let (answer, _reply) = Answer::channel();
    let request = request.waiting(waiter.clone());
    let asked = Command::new(Task::acquire(request, answer), None);
    let anothers = Value::BulkString(b"lg1:them:00000000000000000000000000000000".to_vec());
    let refused = Value::Array(vec![Value::Int(2), anothers, Value::Int(1000)]);
    link.queue
        .push_front(asked.accept(refused, &link.node).unwrap());
    break_often(&mut link, 1, 1);
    let first = link.queue.pop_front().map(|command| command.task);
    let Some(Task::Release { request, .. }) = first else {
        panic!("it is asked again at once");
    };
    assert_eq!(request.key.as_str(), "b");
    assert!(matches!(request.standing, Some(Standing::Leaves(left)) if left == waiter.ticket));
    assert!(
        link.queue
            .front()
            .is_some_and(|next| next.as_acquire().is_some())
    );
}

/// It has asked anew by the same ticket.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_did_not_wait_for_an_answer_keeps_its_place_in_line() {
    let (mut link, _ticket, reply) = asked_by_a_waiter();
    break_often(&mut link, 1, 5);
    drop(reply);
    break_often(&mut link, 1, 1);
    assert!(!link.queue.iter().any(Command::is_debt));
}

/// A node that is kept out takes in releases, and one of them may have entered it.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_has_gone_leaves_the_line_of_a_node_that_is_not_to_be_asked() {
    let (mut link, ticket, reply) = asked_by_a_waiter();
    drop(reply);
    ticket.close();
    let (ours, _theirs) = duplex(1 << 10);
    let mut session = Session::new(Wire::new(ours), None, None, false);
    session.send(&mut link.queue, |command| {
        command.as_acquire()?;
        Some(NodeError::new("a:6379", "restarted"))
    });
    let sent = link.queue.pop_front().map(|command| command.task);
    let Some(Task::Release { request, .. }) = sent else {
        panic!("nothing is sent");
    };
    assert!(matches!(request.standing, Some(Standing::Leaves(left)) if left == ticket));
    assert!(link.queue.is_empty());
}

/// It lets nobody write, and tells no reader.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_a_caller_finds_broken_is_left_at_once() {
    let (link, _reply, _commands) = asked_over(Broken);
    let link = SharedLink::new(link);
    tokio::spawn(link.clone().run());
    yield_now().await;
    let (command, _asked) = asked_within(Duration::from_secs(1));
    assert!(link.send_at_once(command).is_none());
    yield_now().await;
    assert_eq!(link.load(), Some((0, 2)));
}

#[test]
fn a_raise_that_was_never_sent_does_not_hide_what_the_node_has_granted() {
    let key = LockKey::new("k").unwrap();
    let second = Duration::from_secs(1);
    let token = FencingToken::new(1).unwrap();
    let first = AcquireRequest::new(key, OwnerToken::with_label(""), second);
    let first = first.fenced(token, second);
    assert_eq!(owed_after(first.clone()), 0);
    assert_eq!(owed_after(first.raised(token)), 1);
}
