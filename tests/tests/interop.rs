//! What is on the wire: plain strings that other clients can share.

use std::time::Duration;

use lockguard::{LockError, LockManager};
use lockguard_tests::{Server, Servers, eventually, over_1_3_5_nodes};

const TTL: Duration = Duration::from_secs(5);

over_1_3_5_nodes!(a_raw_set_nx_px_makes_us_busy(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for server in servers {
        assert!(server.set_nx_px("x", "another-library", TTL));
    }
    let error = manager.lock("x", TTL).try_acquire().await.unwrap_err();
    let LockError::Busy { holder, retry_after, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder, None);
    assert!(retry_after.is_some_and(|left| left <= TTL));
    for server in servers {
        assert_eq!(server.get("x").as_deref(), Some("another-library"));
    }
});

over_1_3_5_nodes!(our_lock_is_a_plain_string_with_a_ttl_on_every_node(servers) {
    let builder = LockManager::builder().nodes(servers.iter().map(Server::url));
    let manager = builder.label("billing@host-1:7").build().await.unwrap();
    let guard = manager.lock("x", TTL).acquire().await.unwrap();
    for server in servers {
        eventually(TTL, || server.get("x").is_some()).await;
        let value = server.get("x").unwrap();
        assert!(value.starts_with("lg1:billing@host-1:7:"), "{value}");
        assert_eq!(server.cli::<String>(&["TYPE", "x"]), "string");
        assert!(server.pttl("x").is_some_and(|left| left <= TTL));
        assert!(!server.set_nx_px("x", "another-library", TTL));
    }
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(a_foreign_holder_that_leaves_is_noticed(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for server in servers {
        assert!(server.set_nx_px("x", "another-library", 100 * TTL));
    }
    let waiter = tokio::spawn(manager.lock("x", TTL).wait(TTL).acquire());
    tokio::time::sleep(Duration::from_millis(50)).await;
    for server in servers {
        server.del("x");
    }
    waiter.await.unwrap().unwrap().release().await.unwrap();
});

over_1_3_5_nodes!(a_key_without_expiry_is_busy_and_the_error_says_so(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for server in servers {
        server.cli::<()>(&["SET", "x", "for ever"]);
    }
    let error = manager.lock("x", TTL).try_acquire().await.unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains("never expires"), "{error}");
});

over_1_3_5_nodes!(a_key_that_holds_a_hash_is_no_lock(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    for server in servers {
        server.cli::<()>(&["HSET", "x", "field", "value"]);
    }
    let error = manager.lock("x", TTL).acquire().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
    assert!(error.to_string().contains("hash"), "{error}");
});

#[tokio::test]
async fn a_prefix_is_part_of_the_key_on_the_server() {
    let servers = Servers::start(1);
    let builder = LockManager::builder()
        .node(servers[0].url())
        .prefix("shop:");
    let manager = builder.build().await.unwrap();
    let guard = manager.lock("x", TTL).acquire().await.unwrap();
    assert_eq!(servers[0].keys(), ["shop:x"]);
    assert_eq!(guard.keys()[0].as_str(), "shop:x");
    guard.release().await.unwrap();
}
