//! Callers that go away or have no runtime, and the order in which they ask.

use super::*;

#[test]
fn after_its_runtime_every_operation_says_that_it_is_gone() {
    let server = Server::start();
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(server.connected());
    server.stop();
    let (key, token) = (key("seat:1"), token());
    let pending = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    drop(runtime);
    server.cont();
    // Here there is no runtime at all, and there another.
    let later = Runtime::new().unwrap();
    for outcome in [
        block_on(pending),
        block_on(take(&node, &key, &token)),
        later.block_on(take(&node, &key, &token)),
    ] {
        assert!(
            matches!(outcome, Err(BackendError::RuntimeGone)),
            "{outcome:?}"
        );
    }
    let freed = block_on(free(&node, &key, &token));
    assert!(matches!(freed, Err(BackendError::RuntimeGone)), "{freed:?}");
    let kept = block_on(keep(&node, &key, &token, TTL));
    assert!(matches!(kept, Err(BackendError::RuntimeGone)), "{kept:?}");
    let contact = block_on(node.first_contact());
    assert!(contact.is_ok(), "what was learned stays known: {contact:?}");
}

#[test]
fn without_a_runtime_nothing_is_opened_and_nothing_panics() {
    let node = RedisNode::open(Address::parse("redis://127.0.0.1:1").unwrap(), SHORT);
    let outcome = block_on(take(&node, &key("seat:1"), &token()));
    assert!(
        matches!(outcome, Err(BackendError::RuntimeGone)),
        "{outcome:?}"
    );
    let error = block_on(node.first_contact()).unwrap_err().error;
    assert!(error.reason().contains("runtime"), "{error}");
}

#[test]
fn calls_work_from_a_thread_without_a_runtime() {
    let server = Server::start();
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(server.connected());
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&block_on(take(&node, &key, &token))));
    assert_eq!(
        block_on(free(&node, &key, &token)).unwrap(),
        ReleaseReply::Freed
    );
}

/// Drives a future without any runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park_timeout(PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_dropped_at_any_stage_leave_no_key() {
    let server = Server::start();
    let node = server.connected().await;
    for micros in 0..400 {
        let (key, token) = (key(&format!("k:{micros}")), token());
        // Zero is never polled, or polled once; the rest end anywhere.
        let limit = Duration::from_micros(micros * 2);
        if micros == 0 {
            drop(node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL)));
        } else {
            let _ = timeout(limit, take(&node, &key, &token)).await;
        }
        let releasing = node.release(ReleaseRequest::new(key, token));
        if micros % 2 == 0 {
            drop(releasing);
        } else {
            let _ = timeout(limit, releasing).await;
        }
    }
    // Everything before it is done when this is.
    let _ = free(&node, &key("last"), &token()).await.unwrap();
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn a_release_takes_effect_after_the_acquire_before_it() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    // Nothing is polled until both are on their way.
    let taking = node.acquire(AcquireRequest::new(key.clone(), token.clone(), TTL));
    let freeing = node.release(ReleaseRequest::new(key.clone(), token.clone()));
    assert_eq!(freeing.await.unwrap(), ReleaseReply::Freed);
    assert!(is_granted(&taking.await));
    assert_eq!(server.keys(), 0);
}

/// Its caller sends the release, and the link's task the acquire, whose time is
/// over before the alarm that is set.
#[tokio::test]
async fn a_release_overtakes_no_acquire_that_the_link_has_yet_to_take_in() {
    let server = Server::start();
    let node = server.connected().await;
    take(&node, &key("other"), &token()).await.unwrap();
    let (key, token) = (key("seat:1"), token());
    let ttl = Duration::from_secs(2);
    let acquire = node.acquire(AcquireRequest::new(key.clone(), token.clone(), ttl));
    let release = node.release(ReleaseRequest::new(key, token));
    assert!(is_granted(&acquire.await));
    assert_eq!(release.await.unwrap(), ReleaseReply::Freed);
}

#[tokio::test]
async fn what_was_asked_is_sent_after_the_last_node_is_dropped() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let freeing = node.release(ReleaseRequest::new(key.clone(), token.clone()));
    drop(node);
    drop(freeing);
    eventually("the key is gone", async || server.keys() == 0).await;
    eventually("the connection is closed", async || {
        let clients: String = server.ask(&["CLIENT", "LIST"]);
        clients.lines().count() == 1
    })
    .await;
}

#[tokio::test]
async fn a_node_dropped_while_its_server_is_stopped_answers_within_the_timeout() {
    let server = Server::start();
    let node = server.impatient().await;
    server.stop();
    let freeing = node.release(ReleaseRequest::new(key("seat:1"), token()));
    drop(node);
    let said = reason(freeing.await);
    assert!(said.starts_with("no answer for "), "{said}");
}

#[tokio::test]
async fn a_timeout_without_end_is_accepted() {
    let server = Server::start();
    let timeouts = Timeouts {
        connect: Duration::MAX,
        response: Duration::MAX,
    };
    let node = server.node(timeouts);
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    server.stop();
    let said = reason(free(&node, &key, &token).await);
    assert!(said.contains("no answer within 1s"), "{said}");
}
