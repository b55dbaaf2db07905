use super::*;

#[distributed_lock(key = "outer:{id}", ttl = "2s")]
async fn outer(id: u8) -> Result<(bool, bool), LockError> {
    let inner = inner(id).await?;
    Ok((is_held(&format!("outer:{id}")).await, inner))
}

#[distributed_lock(key = "inner:{id}", ttl = "2s")]
async fn inner(id: u8) -> Result<bool, LockError> {
    Ok(is_held(&format!("outer:{id}")).await && is_held(&format!("inner:{id}")).await)
}

#[tokio::test]
async fn a_locked_function_calls_another() {
    alone(async {
        assert_eq!(outer(1).await.unwrap(), (true, true));
        assert!(!is_held("outer:1").await);
        assert!(!is_held("inner:1").await);
    })
    .await;
}

#[distributed_lock(key = "seat:{seat}", ttl = "2s", wait = "1m", name = "book")]
async fn book(seat: u8) -> Result<(), LockError> {
    rebook(seat).await
}

#[distributed_lock(key = "seat:{seat}", ttl = "2s", wait = "1m", name = "rebook")]
async fn rebook(seat: u8) -> Result<(), LockError> {
    let _ = seat;
    panic!("the body must not run")
}

#[tokio::test(start_paused = true)]
async fn calling_into_ones_own_key_fails_at_once_and_names_both() {
    alone(async {
        let start = tokio::time::Instant::now();
        let error = book(17).await.unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "it waited for itself"
        );
        assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
        assert_eq!(error.key(), Some("seat:17"));
        let text = error.to_string();
        assert!(
            text.contains("`book`") && text.contains("`rebook`"),
            "{text}"
        );
        assert!(!is_held("seat:17").await);
    })
    .await;
}

#[distributed_lock(key = "seat:{seat}", ttl = "2s")]
async fn book_two(seat: u8) -> Result<(), LockError> {
    let (left, right) = tokio::join!(rebook(seat), rebook(seat));
    left.and(right)
}

#[tokio::test(start_paused = true)]
async fn joined_calls_into_ones_own_key_fail_too() {
    alone(async {
        let error = book_two(1).await.unwrap_err();
        assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
    })
    .await;
}

#[distributed_lock(key = "seat:{seat}", ttl = "2s", manager = other)]
async fn on_another_manager(seat: u8, other: &LockManager) -> Result<bool, LockError> {
    Ok(is_held_on(other, &format!("seat:{seat}")).await)
}

#[distributed_lock(key = "seat:{seat}", ttl = "2s")]
async fn book_elsewhere_too(seat: u8, other: &LockManager) -> Result<bool, LockError> {
    on_another_manager(seat, other).await
}

#[tokio::test]
async fn the_same_key_of_another_manager_is_another_lock() {
    alone(async {
        let other = LockManager::memory();
        assert!(book_elsewhere_too(1, &other).await.unwrap());
    })
    .await;
}

#[distributed_lock(key = "walk:{depth}", ttl = "2s")]
async fn walk(depth: u8) -> Result<u32, LockError> {
    if depth == 0 {
        return Ok(0);
    }
    Ok(u32::from(depth) + Box::pin(walk(depth - 1)).await?)
}

#[tokio::test]
async fn recursion_through_a_box_locks_each_level() {
    alone(async { assert_eq!(walk(4).await.unwrap(), 10) }).await;
}

#[distributed_lock(key = "climb:{depth}", ttl = "2s")]
fn climb(depth: u8) -> Pin<Box<dyn Future<Output = Result<u32, LockError>> + Send>> {
    Box::pin(async move {
        match depth {
            0 => Ok(0),
            _ => Ok(u32::from(depth) + climb(depth - 1).await?),
        }
    })
}

#[tokio::test]
async fn recursion_of_a_boxed_future_locks_each_level() {
    alone(async { assert_eq!(climb(4).await.unwrap(), 10) }).await;
}

#[distributed_lock(key = "same", ttl = "2s")]
async fn forever(depth: u8) -> Result<u8, LockError> {
    Box::pin(forever(depth + 1)).await
}

#[tokio::test]
async fn recursion_on_one_key_is_reentrant() {
    alone(async {
        let error = forever(0).await.unwrap_err();
        assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
    })
    .await;
}

#[distributed_lock(key = "lease", ttl = "2s", bind = lease)]
async fn current_is_the_bound_lease() -> Result<bool, LockError> {
    let current = lockguard::current().expect("the body holds a lease");
    Ok(current.deadline() == lease.deadline() && current.keys() == lease.keys())
}

#[distributed_lock(key = "around", ttl = "2s")]
async fn current_is_the_innermost() -> Result<[String; 3], LockError> {
    let key = || lockguard::current().map(|lease| format!("{:?}", lease.keys()));
    let before = key().unwrap_or_default();
    let inside = inner_key().await?;
    Ok([before, inside, key().unwrap_or_default()])
}

#[distributed_lock(key = "within", ttl = "2s")]
async fn inner_key() -> Result<String, LockError> {
    Ok(lockguard::current().map_or_else(String::new, |lease| format!("{:?}", lease.keys())))
}

#[tokio::test]
async fn current_follows_the_bodies() {
    alone(async {
        assert!(current_is_the_bound_lease().await.unwrap());
        let keys = current_is_the_innermost().await.unwrap();
        assert_eq!(keys, ["[\"around\"]", "[\"within\"]", "[\"around\"]"]);
        assert!(lockguard::current().is_none());
    })
    .await;
}

#[distributed_lock(key = "spawn", ttl = "2s", wait = "0s")]
async fn spawns_itself(again: bool) -> Result<(), LockError> {
    if !again {
        return Ok(());
    }
    let manager = lockguard::manager()?;
    let spawned = tokio::spawn(scope(manager, spawns_once_more()));
    spawned.await.expect("the task does not panic")
}

fn spawns_once_more() -> Pin<Box<dyn Future<Output = Result<(), LockError>> + Send>> {
    Box::pin(spawns_itself(false))
}

#[tokio::test]
async fn a_spawned_task_is_another_owner() {
    alone(async {
        // Busy, not reentrant: the task does not hold what its parent holds.
        assert!(spawns_itself(true).await.unwrap_err().is_busy());
    })
    .await;
}
