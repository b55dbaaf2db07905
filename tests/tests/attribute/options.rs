use super::*;

const LONG: Duration = Duration::from_secs(3);

struct Settings {
    ttl: Mutex<Duration>,
}

// Two guards of one mutex in one statement would wait for each other.
#[distributed_lock(
    key = format!("k{}", settings.ttl.lock().unwrap().as_secs()),
    ttl = *settings.ttl.lock().unwrap(),
    wait = *settings.ttl.lock().unwrap() * 2,
)]
async fn expressions(settings: &Settings) -> Result<bool, LockError> {
    let _ = settings;
    Ok(is_held("k3").await)
}

#[distributed_lock(key = "k", ttl = LONG, wait = Duration::ZERO)]
async fn constants() -> Result<(), LockError> {
    Ok(())
}

#[distributed_lock(key = "k", ttl = ttl)]
async fn argument(ttl: Duration) -> Result<(), LockError> {
    let _ = ttl;
    Ok(())
}

#[tokio::test]
async fn durations_are_expressions_each_in_its_own_statement() {
    alone(async {
        let settings = Settings {
            ttl: Mutex::new(LONG),
        };
        assert!(expressions(&settings).await.unwrap());
        constants().await.unwrap();
        argument(LONG).await.unwrap();
        let error = argument(Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn wait_is_how_long_a_call_queues() {
    #[distributed_lock(key = "queue", ttl = "1m", wait = "3s")]
    async fn queue() -> Result<(), LockError> {
        Ok(())
    }
    alone(async {
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("queue", 30 * TTL).acquire().await.unwrap();
        let start = tokio::time::Instant::now();
        assert!(queue().await.unwrap_err().is_busy());
        let waited = start.elapsed();
        assert!(waited >= LONG && waited < 2 * LONG, "{waited:?}");
    })
    .await;
}

struct Service {
    locks: LockManager,
    shared: Arc<LockManager>,
}

impl Service {
    #[distributed_lock(key = "m", ttl = "2s", manager = self.locks)]
    async fn field(&self) -> Result<bool, LockError> {
        Ok(is_held_on(&self.locks, "m").await)
    }

    #[distributed_lock(key = "m", ttl = "2s", manager = &self.locks)]
    async fn reference(&self) -> Result<bool, LockError> {
        Ok(is_held_on(&self.locks, "m").await)
    }

    #[distributed_lock(key = "m", ttl = "2s", manager = self.shared)]
    async fn arc(&self) -> Result<bool, LockError> {
        Ok(is_held_on(&self.shared, "m").await)
    }

    #[distributed_lock(key = "m", ttl = "2s", manager = self.manager())]
    async fn method(&self) -> Result<bool, LockError> {
        Ok(is_held_on(&self.locks, "m").await)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the claim is about results")]
    fn manager(&self) -> Result<LockManager, LockError> {
        Ok(self.locks.clone())
    }
}

static GLOBAL: LazyLock<LockManager> = LazyLock::new(LockManager::memory);

#[distributed_lock(key = "m", ttl = "2s", manager = GLOBAL)]
async fn lazy() -> Result<bool, LockError> {
    Ok(is_held_on(&GLOBAL, "m").await)
}

#[distributed_lock(key = "m", ttl = "2s", manager = locks)]
async fn argument_by_value(locks: LockManager) -> Result<LockManager, LockError> {
    assert!(is_held_on(&locks, "m").await);
    Ok(locks)
}

#[distributed_lock(key = "m", ttl = "2s", manager = lockguard::named("nowhere"))]
async fn unnamed() -> Result<bool, LockError> {
    Ok(true)
}

#[tokio::test]
async fn a_manager_is_any_expression_and_is_not_moved() {
    let service = Service {
        locks: LockManager::memory(),
        shared: Arc::new(LockManager::memory()),
    };
    assert!(service.field().await.unwrap());
    assert!(service.reference().await.unwrap());
    assert!(service.arc().await.unwrap());
    assert!(service.method().await.unwrap());
    assert!(lazy().await.unwrap());
    argument_by_value(service.locks).await.unwrap();
    let error = unnamed().await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

mod framework {
    pub(super) use ::lockguard as locks;
}

#[distributed_lock(key = "c", ttl = "2s", crate = framework::locks)]
async fn renamed() -> Result<bool, LockError> {
    Ok(is_held("c").await)
}

#[distributed_lock(key = "n", ttl = "2s", name = "booking")]
async fn with_a_name() -> Result<bool, LockError> {
    Ok(is_held("n").await)
}

#[tokio::test]
async fn the_crate_and_the_lock_point_can_be_named() {
    alone(async {
        assert!(renamed().await.unwrap());
        assert!(with_a_name().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn of_two_attributes_the_lower_is_taken_first() {
    #[distributed_lock(key = "upper", ttl = "2s")]
    #[distributed_lock(key = "lower", ttl = "2s", wait = "0s")]
    async fn both() -> Result<bool, LockError> {
        Ok(is_held("upper").await && is_held("lower").await)
    }
    alone(async {
        assert!(both().await.unwrap());
        let manager = lockguard::manager().unwrap();
        let _upper = manager.lock("upper", TTL).acquire().await.unwrap();
        let _lower = manager.lock("lower", TTL).acquire().await.unwrap();
        assert_eq!(both().await.unwrap_err().key(), Some("lower"));
    })
    .await;
}
