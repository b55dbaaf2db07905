//! What is traced: spans around the wait and the body, and events.

use std::{fmt, sync::Arc, time::Duration};

use lockguard::{LockError, LockManager, distributed_lock};
use lockguard_tests::{Scripted, Step, Traces, hear};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{
    Level,
    field::{Field, Visit},
    info, instrument,
    level_filters::LevelFilter,
};

const TTL: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn an_acquire_is_a_span_with_key_point_outcome_and_wait() {
    let traces = Traces::collect(Level::DEBUG);
    let manager = LockManager::memory();
    let request = manager
        .lock("k", TTL)
        .named("p")
        .wait(Duration::from_millis(250));
    let _held = request.clone().acquire().await.unwrap();
    request.acquire().await.unwrap_err();
    let [acquired, busy] = &traces.spans("lock.acquire")[..] else {
        panic!("{traces:?}");
    };
    for span in [acquired, busy] {
        assert_eq!((span.field("key"), span.field("point")), ("k", "p"));
        assert_eq!(span.level, Level::DEBUG);
    }
    assert_eq!(acquired.field("outcome"), "acquired");
    assert_eq!(busy.field("outcome"), "busy");
    assert_eq!(busy.field("waited"), "250ms");
}

#[tokio::test(start_paused = true)]
async fn the_span_of_an_acquire_whose_caller_leaves_says_so() {
    let traces = Traces::collect(Level::DEBUG);
    let manager = LockManager::memory();
    let _held = manager.lock("k", TTL).acquire().await.unwrap();
    let left = timeout(Duration::from_millis(50), manager.lock("k", TTL).acquire());
    assert!(left.await.is_err());
    let spans = traces.spans("lock.acquire");
    assert_eq!(spans.last().unwrap().field("outcome"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_busy_and_released_is_told_at_debug() {
    let traces = Traces::collect(Level::DEBUG);
    let manager = LockManager::builder().memory().label("till-7");
    let manager = manager.build().await.unwrap();
    let request = manager.lock("k", TTL).named("p");
    let guard = request.clone().acquire().await.unwrap();
    request.try_acquire().await.unwrap_err();
    guard.release().await.unwrap();
    for (message, field, value) in [
        ("granted", "waited", "0ns"),
        ("busy", "holder", "till-7"),
        ("released", "reply", "Ok(Freed)"),
    ] {
        let [event] = &traces.events(message)[..] else {
            panic!("{message} in {traces:?}");
        };
        assert_eq!(event.level, Level::DEBUG);
        assert_eq!(
            (event.field("key"), event.field("point")),
            ("k", "p"),
            "{message}"
        );
        assert_eq!(event.field(field), value, "{message}");
    }
}

/// What a log shows of fields: those that are strings, in quotes.
struct Shown(Vec<String>);

impl Visit for Shown {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }
}

/// A search for `key=k` in a log missed those that were busy.
#[tokio::test(start_paused = true)]
async fn a_key_is_shown_alike_by_all_events() {
    let lines: Arc<Mutex<Vec<_>>> = Arc::default();
    let told = Arc::clone(&lines);
    let heard = hear(LevelFilter::DEBUG, move |event| {
        let mut shown = Shown(Vec::new());
        event.record(&mut shown);
        told.lock().push(shown.0);
    });
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL);
    let guard = request.clone().acquire().await.unwrap();
    lockguard::log(request.try_acquire().await.unwrap_err());
    guard.release().await.unwrap();
    drop(heard);
    let lines = lines.lock();
    for message in ["granted", "busy", "failed to", "released"] {
        let beginning = format!("message={message}");
        let is_it = |field: &String| field.starts_with(&beginning);
        let line = lines.iter().find(|line| line.iter().any(is_it)).unwrap();
        assert!(line.contains(&"key=k".to_owned()), "{line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_runs_in_a_span_of_its_own() {
    let traces = Traces::collect(Level::DEBUG);
    let manager = LockManager::memory();
    let request = manager.lock("k", TTL).named("p");
    let body = async |_| {
        sleep(TTL / 4).await;
        info!("working");
    };
    request.run(body).await.unwrap();
    let [span] = &traces.spans("lock.body")[..] else {
        panic!("{traces:?}");
    };
    assert_eq!((span.field("key"), span.field("point")), ("k", "p"));
    assert_eq!(traces.events("working")[0].within, ["lock.body"]);
    assert!(traces.events("released")[0].within.is_empty());
}

#[instrument]
#[distributed_lock(key = "above", ttl = "2s")]
async fn above() -> Result<(), LockError> {
    Ok(())
}

#[distributed_lock(key = "below", ttl = "2s")]
#[instrument]
async fn below() -> Result<(), LockError> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn instrument_above_is_inside_the_bodys_span_and_below_is_around_both() {
    let traces = Traces::collect(Level::DEBUG);
    lockguard::scope(LockManager::memory(), async {
        above().await.unwrap();
        below().await.unwrap();
    })
    .await;
    assert_eq!(traces.spans("above")[0].within, ["lock.body"]);
    assert!(traces.spans("below")[0].within.is_empty());
    for (name, key) in [("lock.acquire", "below"), ("lock.body", "below")] {
        let spans = traces.spans(name);
        let span = spans.iter().find(|span| span.field("key") == key).unwrap();
        assert_eq!(span.within, ["below"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_traced_above_debug_where_all_is_well() {
    let traces = Traces::collect(Level::INFO);
    let manager = LockManager::memory();
    manager
        .lock("k", TTL)
        .run(async |_| sleep(TTL / 4).await)
        .await
        .unwrap();
    assert_eq!(
        format!("{traces:?}"),
        "Traces { spans: [], events: [], .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn no_trace_holds_the_random_part_of_an_owner_token() {
    let traces = Traces::collect(Level::TRACE);
    let node = Scripted::new();
    let manager = LockManager::new(node.clone());
    let token = manager.acquire("k", 10 * TTL).await.unwrap();
    let request = manager.lock("k", TTL).wait(TTL);
    request.clone().acquire().await.unwrap_err();
    node.on_every_release(Step::fail());
    manager.release("k", &token).await.unwrap_err();
    drop(manager.lock("other", TTL).acquire().await.unwrap());
    sleep(TTL).await;
    let secrets: Vec<_> = node.calls().into_iter().map(|call| call.token).collect();
    assert!(secrets.len() >= 4, "{secrets:?}");
    let told = format!("{traces:?}");
    assert!(told.contains("granted"), "{told}");
    for token in secrets {
        let random = token.expose().rsplit(':').next().unwrap().to_owned();
        assert!(random.len() >= 32 && !told.contains(&random), "{told}");
    }
}
