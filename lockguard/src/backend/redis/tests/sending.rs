//! When commands are sent and answers read, and how many may wait.

use super::*;
use crate::backend::redis::link::MOST_UNANSWERED;

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
    let freeing = node.release(ReleaseRequest::new(held.clone(), mine));
    drop(taking);
    let said = reason(refused.await);
    assert!(said.contains("too many commands are waiting"), "{said}");
    // Its answer may come late, behind so many.
    let _ = freeing.await;
    eventually("it is released", async || server.value(&held).is_none()).await;
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
    server.cont();
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
    server.cont();
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
    server.cont();
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
    server.cont();
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
    server.cont();
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
