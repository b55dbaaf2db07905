//! What a backend says about itself.

use std::{
    task::{Context, Poll, Waker},
    thread,
};

use lockguard::{
    BoxFuture,
    backend::{AcquireReply, AcquireRequest, ExtendRequest, ReleaseReply, ReleaseRequest},
};

use super::fixture::{Fixture, LONG, fresh_key, fresh_token};

pub async fn an_immediate_backend_answers_at_the_first_poll(on: Fixture) {
    if !on.backend.is_immediate() {
        return;
    }
    let without_a_runtime = thread::spawn(move || {
        let (key, token) = (fresh_key(), fresh_token());
        let acquire = AcquireRequest::new(key.clone(), token.clone(), LONG);
        let extend = ExtendRequest::new(key.clone(), token.clone(), LONG);
        let release = ReleaseRequest::new(key, token);
        let acquired = at_once(on.backend.acquire(acquire.clone()));
        assert_eq!(acquired.expect("an answer"), AcquireReply::Granted);
        let refused = AcquireRequest::new(acquire.keys, fresh_token(), LONG);
        let refused = at_once(on.backend.acquire(refused)).expect("an answer");
        assert!(matches!(refused, AcquireReply::Busy(_)), "{refused:?}");
        assert_eq!(at_once(on.backend.extend(vec![extend])).len(), 1);
        let released = at_once(on.backend.release(release));
        assert_eq!(released.expect("an answer"), ReleaseReply::Freed);
    });
    without_a_runtime.join().expect("no panic");
}

pub async fn closing_ends_however_often(on: Fixture) {
    let key = fresh_key();
    let token = on.take(&key, LONG).await;
    let released = on.release(&key, &token).await;
    assert_eq!(released, ReleaseReply::Freed);
    on.backend.close().await.expect("the servers answer");
    // Closed already is as good an answer as any.
    let _ = on.backend.close().await;
}

pub async fn the_address_names_the_backend(on: Fixture) {
    let address = on.backend.address();
    assert!(!address.is_empty() && !address.contains('@'), "{address}");
}

pub async fn a_look_at_the_nodes_names_each_of_them(on: Fixture) {
    let nodes = on.backend.nodes().await;
    assert!(!nodes.is_empty());
    for node in nodes {
        let address = node.address();
        assert!(on.backend.address().contains(address), "{address}");
        assert!(node.is_reachable(), "{node:?}");
    }
}

fn at_once<T>(mut future: BoxFuture<'static, T>) -> T {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an immediate backend was not ready at the first poll"),
    }
}
