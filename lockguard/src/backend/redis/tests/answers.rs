//! What a server is asked, and what its answers come to.

use super::*;

#[tokio::test]
async fn a_lock_is_a_plain_string_with_a_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    assert!(is_granted(&take(&node, &key, &token).await));
    assert_eq!(server.value(&key).as_deref(), Some(token.expose()));
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!((59_000..=60_000).contains(&left), "{left}");
    assert_eq!(
        free(&node, &key, &token).await.unwrap(),
        ReleaseReply::Freed
    );
    assert_eq!(server.keys(), 0);
}

#[tokio::test]
async fn another_owner_is_told_who_holds_it_and_changes_nothing() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, mine, theirs) = (key("seat:1"), token(), OwnerToken::with_label("them"));
    take(&node, &key, &theirs).await.unwrap();

    let Ok(AcquireReply::Busy(holder)) = take(&node, &key, &mine).await else {
        panic!("not busy");
    };
    assert_eq!(holder.label(), Some("them"));
    assert!(holder.expires_in().unwrap() > Duration::from_secs(50));
    let kept = keep(&node, &key, &mine, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &mine).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert_eq!(server.value(&key).as_deref(), Some(theirs.expose()));
}

#[tokio::test]
async fn a_repeated_acquire_is_granted_without_a_longer_ttl() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: i64 = server.ask(&["PEXPIRE", key.as_str(), "5000"]);
    assert!(is_granted(&take(&node, &key, &token).await));
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left <= 5000, "{left}");
}

#[tokio::test]
async fn an_extend_lengthens_and_never_shortens_or_creates() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotHeld);
    assert_eq!(server.keys(), 0);

    take(&node, &key, &token).await.unwrap();
    let kept = keep(&node, &key, &token, TTL / 2).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left > 50_000, "{left}");
    let kept = keep(&node, &key, &token, TTL * 2).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let left: i64 = server.ask(&["PTTL", key.as_str()]);
    assert!(left > 110_000, "{left}");
}

#[tokio::test]
async fn a_batch_of_extends_is_answered_in_order() {
    let server = Server::start();
    let node = server.connected().await;
    let token = token();
    take(&node, &key("a"), &token).await.unwrap();
    take(&node, &key("c"), &token).await.unwrap();
    let requests = ["a", "b", "c"]
        .map(|name| ExtendRequest::new(key(name), token.clone(), TTL))
        .into();
    let replies: Vec<_> = node.extend(requests).await;
    let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
    let expected = [
        ExtendReply::Extended,
        ExtendReply::NotHeld,
        ExtendReply::Extended,
    ];
    assert_eq!(replies, expected);
}

#[tokio::test]
async fn an_extend_that_is_refused_for_one_key_is_asked_again_for_the_others() {
    let server = Server::start();
    let mine = ["ACL", "SETUSER", "app", "on", ">pass", "+@all"];
    let grant = |keys: &[&str]| server.ask::<()>(&[&mine, keys].concat());
    grant(&["~*"]);
    let node = RedisNode::connect(&server.url_of("app")).await.unwrap();
    let token = token();
    let keys: Vec<_> = (0..70).map(|nth| key(&format!("k:{nth}"))).collect();
    for key in keys.iter().chain([&key("other")]) {
        take(&node, key, &token).await.unwrap();
    }
    grant(&["resetkeys", "~k:*"]);
    let extend = |key: LockKey| ExtendRequest::new(key, token.clone(), 2 * TTL);
    for refused in [0, 21, 63, 70] {
        let mut requests: Vec<_> = keys.iter().cloned().map(extend).collect();
        requests.insert(refused, extend(key("other")));
        let mut replies = node.extend(requests).await;
        assert!(reason(replies.remove(refused)).starts_with("NOPERM: "));
        for (nth, reply) in replies.into_iter().enumerate() {
            assert_eq!(reply.unwrap(), ExtendReply::Extended, "{nth} of {refused}");
        }
    }
}

#[tokio::test]
async fn a_release_of_a_free_key_finds_nothing() {
    let server = Server::start();
    let node = server.connected().await;
    let freed = free(&node, &key("seat:1"), &token()).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotHeld);
}

#[tokio::test]
async fn a_key_of_another_type_is_no_lock_and_is_left_alone() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: i64 = server.ask(&["HSET", key.as_str(), "field", "value"]);
    match take(&node, &key, &token).await {
        Err(BackendError::InvalidKey { reason, .. }) => {
            assert_eq!(&*reason, "holds a hash, not a lock");
        }
        other => panic!("{other:?}"),
    }
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert_eq!(server.ask::<String>(&["TYPE", key.as_str()]), "hash");
}

#[tokio::test]
async fn a_release_that_may_not_free_the_key_is_an_error_whatever_it_says_beside() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["ACL", "SETUSER", "default", "-del", "-pexpire"]);
    let release = || ReleaseRequest::new(key.clone(), token.clone());
    for request in [
        release(),
        release().leaving(Ticket::draw()),
        release().opening(),
        release().keeping(Duration::from_millis(10)),
    ] {
        let error = node.release(request).await.unwrap_err();
        assert!(format!("{error:?}").contains("NOPERM"), "{error:?}");
    }
}

#[tokio::test]
async fn rights_that_single_keys_of_an_extend_lack_are_told() {
    let server = Server::start();
    let node = server.connected().await;
    let token = token();
    let keys = ["a:1", "b:1", "c:1"].map(key);
    for key in &keys {
        take(&node, key, &token).await.unwrap();
    }
    let _: () = server.ask(&["ACL", "SETUSER", "default", "-pexpire", "(+pexpire ~b:*)"]);
    let extend = |key: LockKey| ExtendRequest::new(key, token.clone(), 2 * TTL);
    let replies = node.extend(keys.map(extend).into()).await;
    assert!(is_unavailable(&replies[0]) && is_unavailable(&replies[2]));
    assert!(matches!(replies[1], Ok(ExtendReply::Extended)));
    let status = node.nodes().await.remove(0);
    let told: Vec<_> = status.warnings().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("NOPERM: "), "{told:?}");
}

#[tokio::test]
async fn a_transfer_that_is_asked_for_twice_keeps_the_key_for_the_whole_time_again() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, one, other) = (key("seat:1"), token(), token());
    take(&node, &key, &one).await.unwrap();
    let transfer = AcquireRequest::new(key.clone(), other, 2 * TTL).replacing(one);
    for _ in 0..2 {
        let granted = node.acquire(transfer.clone()).await;
        assert_eq!(granted.unwrap(), AcquireReply::Granted);
        let left: u64 = server.ask(&["PTTL", key.as_str()]);
        assert!(Duration::from_millis(left) > TTL, "{left} ms left");
        let _: i64 = server.ask(&["PEXPIRE", key.as_str(), "1000"]);
    }
}

#[tokio::test]
async fn a_key_without_expiry_that_goes_to_a_successor_stays_without() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, one, other) = (key("seat:1"), token(), token());
    let _: () = server.ask(&["SET", key.as_str(), one.expose()]);
    let extend = ExtendRequest::new(key.clone(), one, TTL).to(other.clone());
    let replies = node.extend(vec![extend]).await;
    assert!(matches!(replies[..], [Ok(ExtendReply::Extended)]));
    assert_eq!(server.ask::<i64>(&["PTTL", key.as_str()]), -1);
    assert_eq!(server.ask::<String>(&["GET", key.as_str()]), other.expose());
}

/// A selector gives the right to the first and the last.
#[tokio::test]
async fn who_may_not_take_one_of_several_keys_keeps_none() {
    let server = Server::start();
    let node = server.connected().await;
    let _: () = server.ask(&["ACL", "SETUSER", "default", "-set", "(+set ~a:* ~c:* ~{*)"]);
    let keys = LockKeys::new(["a:1", "b:1", "c:1"].map(key)).unwrap();
    let plain = AcquireRequest::new(keys, token(), TTL);
    let fenced = plain.clone().fenced(FencingToken::new(1).unwrap(), TTL);
    for request in [plain, fenced] {
        let error = node.acquire(request).await.unwrap_err();
        assert!(format!("{error:?}").contains("NOPERM"), "{error:?}");
        assert_eq!(server.ask::<u8>(&["EXISTS", "a:1", "b:1", "c:1"]), 0);
    }
}

#[tokio::test]
async fn a_waiter_is_told_that_a_key_of_another_type_is_no_lock() {
    let server = Server::start();
    let node = server.connected().await;
    let key = key("seat:1");
    let _: i64 = server.ask(&["HSET", key.as_str(), "field", "value"]);
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let request = AcquireRequest::new(key, token(), TTL).waiting(waiter);
    match node.acquire(request).await {
        Err(BackendError::InvalidKey { reason, .. }) => {
            assert_eq!(&*reason, "holds a hash, not a lock");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_without_expiry_is_busy_without_end() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: () = server.ask(&["SET", key.as_str(), "by hand"]);
    let Ok(AcquireReply::Busy(holder)) = take(&node, &key, &token).await else {
        panic!("not busy");
    };
    assert_eq!(holder.expires_in(), None);

    let _: () = server.ask(&["SET", key.as_str(), token.expose()]);
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    assert_eq!(server.ask::<i64>(&["PTTL", key.as_str()]), -1);
}

#[tokio::test]
async fn an_empty_value_of_another_is_neither_extended_nor_released() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    let _: () = server.ask(&["SET", key.as_str(), "", "PX", "60000"]);
    let kept = keep(&node, &key, &token, 10 * TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::NotOwner);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::NotOwner);
    assert!(server.ask::<i64>(&["PTTL", key.as_str()]) <= 60_000);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_in_full() {
    let server = Server::start();
    let node = server.connected().await;
    let (key, token) = (key("seat:1"), token());
    take(&node, &key, &token).await.unwrap();
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let outcome = take(&node, &key, &self::token()).await;
    assert!(matches!(outcome, Ok(AcquireReply::Busy(_))), "{outcome:?}");
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let kept = keep(&node, &key, &token, TTL).await;
    assert_eq!(kept.unwrap(), ExtendReply::Extended);
    let _: () = server.ask(&["SCRIPT", "FLUSH"]);
    let freed = free(&node, &key, &token).await;
    assert_eq!(freed.unwrap(), ReleaseReply::Freed);
}

/// A reply that is too long ends the connection, for everybody.
#[tokio::test]
async fn a_value_that_is_longer_than_any_token_is_another_holders() {
    let server = Server::start();
    let node = server.connected().await;
    let long = "x".repeat(5 << 20);
    let _: () = server.ask(&["SET", "k", &long, "PX", "60000"]);
    let greetings = || -> String {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let greetings = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_hello:"));
        greetings.unwrap().split(',').next().unwrap().to_owned()
    };
    let before = greetings();
    let request = || AcquireRequest::new(key("k"), token(), TTL);
    let several = LockKeys::new([key("k"), key("other")]).unwrap();
    let waiter = Waiter::new(Ticket::draw(), token(), TTL);
    let fence = FencingToken::new(1).unwrap();
    for request in [
        request(),
        request().waiting(waiter),
        request().replacing(token()),
        request().fenced(fence, TTL),
        AcquireRequest::new(several, token(), TTL),
    ] {
        let reply = node.acquire(request).await;
        assert!(matches!(reply, Ok(AcquireReply::Busy(_))), "{reply:?}");
    }
    assert_eq!(greetings(), before);
}

/// A fenced acquire on a server that refuses to store fences.
const ACQUIRE_WITHOUT_FENCE: &str = concat!(
    "local redis = {
       call = redis.call,
       pcall = function(command, key, ...)
         local is_refused = command == 'SET' and key == 'fence'
         return is_refused and {err = 'ERR'} or redis.pcall(command, key, ...)
       end
     }\n",
    include_str!("../scripts/line.lua"),
    include_str!("../scripts/acquire_fenced.lua"),
);

/// The next owner would get its fencing token.
#[tokio::test]
async fn a_lock_whose_fence_cannot_be_stored_is_neither_taken_nor_lost() {
    let server = Server::start();
    let (key, before, token) = (key("k"), token(), token());
    let keys = ["EVAL", ACQUIRE_WITHOUT_FENCE, "2", "k", "fence"];
    let arguments = [token.expose(), before.expose(), "60000", "1", "60000"];
    let acquire = [keys, arguments].concat();
    assert!(server.try_cli::<String>(&acquire).is_err());
    assert_eq!(server.keys(), 0);
    for owner in [&before, &token] {
        let _: () = server.ask(&["SET", "k", owner.expose()]);
        assert!(server.try_cli::<String>(&acquire).is_err());
        assert_eq!(server.value(&key).as_deref(), Some(owner.expose()));
    }
}
