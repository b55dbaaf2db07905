//! Client processes that are killed or paused in the middle of a body.

use std::time::{Duration, Instant};

use lockguard::LockManager;
use lockguard_tests::{Server, Worker, over_1_3_5_nodes};

const TTL: Duration = Duration::from_secs(1);

fn hold(urls: &str) -> Worker {
    let ttl = TTL.as_millis().to_string();
    let worker = Worker::start(
        env!("CARGO_BIN_EXE_worker"),
        &["hold", urls, "seat:1", &ttl],
    );
    worker.line_with("held");
    worker
}

over_1_3_5_nodes!(a_killed_process_leaves_its_lock_for_a_ttl_and_not_longer(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let worker = hold(&servers.urls());
    let start = Instant::now();
    worker.kill();
    let busy = manager.lock("seat:1", TTL).try_acquire().await.unwrap_err();
    assert!(busy.is_busy(), "{busy}");
    let guard = manager.lock("seat:1", TTL).wait(10 * TTL).acquire().await.unwrap();
    // What was left of the ttl, the longest pause between two looks, and what
    // a busy machine takes.
    assert!(start.elapsed() < 2 * TTL, "{:?}", start.elapsed());
    guard.release().await.unwrap();
});

over_1_3_5_nodes!(a_paused_process_does_not_go_on_with_a_lock_that_it_lost(servers) {
    let manager = LockManager::connect(servers.urls()).await.unwrap();
    let worker = hold(&servers.urls());
    worker.line_with("tick");
    worker.stop();
    // The lock is free by its ttl, and another client gets it.
    let guard = manager.lock("seat:1", 10 * TTL).wait(10 * TTL).acquire().await.unwrap();
    let _ = worker.lines_so_far();
    worker.cont();
    // It may have been stopped in the middle of a poll, which ends; no more.
    let mut ticks = 0;
    loop {
        match worker.next_line().as_deref() {
            Some("tick") => ticks += 1,
            Some("lost") => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ticks <= 1, "{ticks} polls of a body whose lock was lost");
    assert!(guard.is_held());
    // What it gives back is not what the other client holds.
    assert_eq!(worker.next_line(), None);
    guard.release().await.unwrap();
});

/// They had one token, and so one lock, and one channel by which each heard that
/// the other was granted it.
#[test]
fn workers_that_are_forked_from_one_process_draw_tokens_and_channels_of_their_own() {
    let server = Server::start();
    let forked = Worker::start(env!("CARGO_BIN_EXE_forked"), &[&server.url()]);
    let tokens = [(); 2].map(|()| forked.line_with("lg1:worker:"));
    assert_ne!(tokens[0], tokens[1]);
    let channels: Vec<String> = server.cli(&["PUBSUB", "CHANNELS", "lockguard:*"]);
    assert_eq!(channels.len(), 2, "{channels:?}");
}
