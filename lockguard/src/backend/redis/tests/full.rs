//! A server whose memory is full, and which evicts nothing.

use super::{line::InLine, *};

/// Lets the server store nothing more.
fn fill(server: &Server) {
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = server.try_cli::<()>(&["SET", "more", "value"]).unwrap_err();
    assert_eq!(refused.code(), Some("OOM"));
}

fn release(key: &LockKey, token: &OwnerToken) -> ReleaseRequest {
    ReleaseRequest::new(key.clone(), token.clone())
}

#[tokio::test]
async fn a_full_server_frees_what_it_keeps_however_it_is_released() {
    let server = Server::start();
    let node = server.connected_beside_others().await;
    let mut waiter = InLine::enter(&node, "wanted", |waiter| waiter).await;
    let opened = InLine::enter(&node, "opened", |waiter| waiter).await;
    let mut held = Vec::new();
    for name in ["a", "b", "kept"] {
        held.push((key(name), token()));
    }
    for (key, token) in &held {
        assert!(is_granted(&take(&node, key, token).await));
    }
    fill(&server);
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let kept = release(&held[2].0, &held[2].1).keeping(TTL / 2);
    let freeing = [
        release(&held[0].0, &held[0].1),
        release(&held[1].0, &held[1].1),
        kept,
        release(&waiter.key, &waiter.holder),
        release(&opened.key, &opened.holder).opening(),
    ]
    .map(|request| node.release(request));
    for freed in freeing {
        assert_eq!(freed.await.unwrap(), ReleaseReply::Freed);
    }
    waiter.heard().await;
    assert_eq!(server.value(&waiter.key), Some(waiter.reserved()));
    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]);
    keys.sort_unstable();
    assert_eq!(keys, ["kept", "wanted", "{opened} line"]);
}

#[tokio::test]
async fn a_full_server_keeps_a_lock_for_longer() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("k"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    fill(&server);
    let kept = keep(&node, &key, &token, 2 * TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left > 60_000, "{left}");
}

/// A hand-back that is refused would leave the lock to nobody until its ttl.
#[tokio::test]
async fn a_full_server_hands_a_lock_on_and_back() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, former, next) = (key("k"), token(), token());
    assert!(is_granted(&take(&node, &key, &former).await));
    fill(&server);
    let extend = |token: &OwnerToken| ExtendRequest::new(key.clone(), token.clone(), TTL);
    let on = node.extend(vec![extend(&former).to(next.clone())]).await;
    assert_eq!(on[0].clone().unwrap(), ExtendReply::Extended);
    assert_eq!(server.value(&key).as_deref(), Some(next.expose()));
    let back = node
        .extend(vec![extend(&next).back_to(former.clone())])
        .await;
    assert_eq!(back[0].clone().unwrap(), ExtendReply::Extended);
    assert_eq!(server.value(&key).as_deref(), Some(former.expose()));
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!((1..=60_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_full_server_lets_nobody_in_and_says_why() {
    let server = Server::start();
    let node = server.connected().await;
    fill(&server);
    let refused = take(&node, &key("k"), &token()).await;
    assert!(reason(refused).starts_with("OOM: the server is out of memory"));
    assert_eq!(server.keys(), 0);
}
