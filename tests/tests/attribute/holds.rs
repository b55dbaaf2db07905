use super::*;

const MINUTE: Duration = Duration::from_secs(60);

#[distributed_lock(key = "import", ttl = "2s", max_hold = "1m", bind = lease)]
async fn import(seconds: u64) -> Result<Duration, LockError> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    lease.check()?;
    Ok(lease.remaining())
}

#[tokio::test(start_paused = true)]
async fn max_hold_renews_the_lease_while_the_body_runs() {
    alone(async {
        // Many ttls later the lease is as good as new.
        assert!(import(30).await.unwrap() > TTL / 4);
        assert!(!is_held("import").await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn max_hold_ends_a_body_that_takes_longer() {
    alone(async {
        let start = tokio::time::Instant::now();
        let error = import(10 * 60).await.unwrap_err();
        assert!(error.is_lost(), "{error}");
        assert!(error.to_string().contains("max_hold"), "{error}");
        assert!(start.elapsed() <= MINUTE, "{:?}", start.elapsed());
        assert!(!is_held("import").await);
    })
    .await;
}

#[distributed_lock(key = "nightly", ttl = "10s", min_hold = "5s", on_busy = skip)]
async fn nightly() -> Result<Option<()>, LockError> {
    Ok(Some(()))
}

#[tokio::test(start_paused = true)]
async fn min_hold_keeps_the_lock_after_a_short_body() {
    alone(async {
        let start = tokio::time::Instant::now();
        assert!(nightly().await.unwrap().is_some());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "the call returns at once"
        );
        // A pod whose clock is late finds the job done.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(nightly().await.unwrap().is_none());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(nightly().await.unwrap().is_some());
    })
    .await;
}

#[distributed_lock(
    keys = ["a", "b"],
    ttl = "2s",
    max_hold = longest,
    min_hold = longest / 2,
    fence = _token
)]
async fn expressions(longest: Duration) -> Result<u8, LockError> {
    Ok(1)
}

#[tokio::test]
async fn holds_are_expressions_and_compared_when_they_are_known() {
    alone(async {
        assert_eq!(expressions(MINUTE).await.unwrap(), 1);
    })
    .await;
    alone(async {
        let error = expressions(TTL / 2).await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    })
    .await;
}

#[distributed_lock(key = "slow", ttl = "2s", on_lost = finish, bind = lease)]
async fn finishes(value: u8) -> Result<(u8, bool), LockError> {
    tokio::time::sleep(2 * TTL).await;
    Ok((value, lease.is_held()))
}

#[tokio::test(start_paused = true)]
async fn on_lost_finish_lets_the_body_end_and_returns_its_value() {
    alone(async { assert_eq!(finishes(7).await.unwrap(), (7, false)) }).await;
}

#[distributed_lock(key = "slow", ttl = "2s", on_lost = cancel)]
async fn cancels() -> Result<(), LockError> {
    tokio::time::sleep(2 * TTL).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn on_lost_cancel_is_what_happens_without_it() {
    alone(async { assert!(cancels().await.unwrap_err().is_lost()) }).await;
}
