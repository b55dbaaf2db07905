//! Locks by key and token, for those who come from Go's
//! `LockManager { Acquire; Release }`.
//!
//! `cargo run --example lock_manager` takes its locks in memory; with
//! `LOCKGUARD_URL=redis://127.0.0.1` in the environment, on that server.

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use lockguard::{LockManager, OwnerToken, Released, RetryPolicy, TokenLock};
use lockguard_examples::{Failure, Story, failed};
use tokio::time::sleep;

const KEY: &str = "demo-lock-key";
const TTL: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> ExitCode {
    tell().await.unwrap_or_else(failed)
}

async fn tell() -> Result<ExitCode, Failure> {
    let (manager, place) = manager().await?;
    let mut story = Story::begin(format!("The token interface, on {place}"));
    the_walk(&mut story, &manager).await?;
    a_wrong_token(&mut story, &manager).await?;
    after_expiry(&mut story, &manager).await?;
    a_stale_owner(&mut story, &manager).await?;
    Ok(story.end())
}

/// Three tries 100 ms apart, and a readable label.
///
/// The label is the same for everybody, and may be: ownership is proved by a
/// random part that is new for each attempt.
async fn manager() -> Result<(LockManager, String), Failure> {
    let builder = LockManager::builder()
        .token_generator(|key| format!("token-for:{key}"))
        .retry(RetryPolicy::tries(3).delay(Duration::from_millis(100)));
    Ok(match env::var("LOCKGUARD_URL") {
        Ok(urls) => (
            builder.nodes(urls.split(',')).build().await?,
            String::from("the servers of LOCKGUARD_URL"),
        ),
        Err(_) => (
            builder.memory().build().await?,
            String::from("a store in memory"),
        ),
    })
}

/// Written against the trait, as code is that wants to be tested with a mock.
async fn the_walk(story: &mut Story, locks: &dyn TokenLock) -> Result<(), Failure> {
    story.chapter(format!("Acquire `{KEY}` for {TTL:?}"));
    let token = locks.acquire(KEY, TTL).await?;
    story.tell(format!("got {token}"));
    story.promise(
        token.label() == "token-for:demo-lock-key",
        "the generator made the label from the key",
    );

    story.chapter("Acquire it again as `another-token`");
    let asked = Instant::now();
    let second = locks.acquire_as(KEY, TTL, "another-token").await;
    let waited = asked.elapsed();
    match &second {
        Ok(token) => story.tell(format!("got {token}")),
        Err(error) => story.tell(format!("failed to {error}")),
    }
    story.promise(second.is_err_and(|error| error.is_busy()), "busy");
    story.promise(
        (150..400).contains(&waited.as_millis()),
        format!("after three tries, two pauses of 100ms: {waited:.0?}"),
    );

    story.chapter("Release");
    let released = locks.release(KEY, &token).await?;
    story.promise(
        released == Released::Freed,
        format!("{released:?}: the other attempt has left the holder alone"),
    );

    story.chapter("Release again");
    let released = locks.release(KEY, &token).await?;
    story.promise(
        released == Released::NotHeld,
        format!("{released:?}: nothing to do, and no error"),
    );
    Ok(())
}

async fn a_wrong_token(story: &mut Story, manager: &LockManager) -> Result<(), Failure> {
    story.chapter("Release with a wrong token");
    let token = manager.acquire(KEY, TTL).await?;
    let forged = OwnerToken::with_label(token.label());
    let refused = manager.release(KEY, &forged).await;
    if let Err(error) = &refused {
        story.tell(format!("failed to {error}"));
    }
    story.promise(
        refused.is_err_and(|error| error.is_not_owner()),
        "refused, although the label is the same",
    );
    story.promise(
        manager.release(KEY, &token).await? == Released::Freed,
        "the lock was left to its owner",
    );
    Ok(())
}

async fn after_expiry(story: &mut Story, manager: &LockManager) -> Result<(), Failure> {
    story.chapter(format!("Acquire for {SHORT:?}, and release too late"));
    let token = manager.acquire(KEY, SHORT).await?;
    sleep(SHORT).await;
    let released = manager.release(KEY, &token).await?;
    story.promise(
        released == Released::NotHeld,
        format!("{released:?}: the key had expired"),
    );
    Ok(())
}

async fn a_stale_owner(story: &mut Story, manager: &LockManager) -> Result<(), Failure> {
    story.chapter("Release too late, when a successor holds the key");
    let stale = manager.acquire(KEY, SHORT).await?;
    sleep(SHORT).await;
    let successor = manager.acquire(KEY, TTL).await?;
    let refused = manager.release(KEY, &stale).await;
    if let Err(error) = &refused {
        story.tell(format!("failed to {error}"));
    }
    story.promise(
        refused.is_err_and(|error| error.is_not_owner()),
        "refused: the key is another owner's now",
    );
    story.promise(
        manager.release(KEY, &successor).await? == Released::Freed,
        "the successor was left alone",
    );
    Ok(())
}
