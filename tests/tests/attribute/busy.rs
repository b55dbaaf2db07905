use super::*;

/// Runs the test while another owner holds `busy`.
async fn while_busy<T>(test: impl Future<Output = T>) -> T {
    alone(async {
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("busy", 30 * TTL).acquire().await.unwrap();
        test.await
    })
    .await
}

#[distributed_lock(key = "busy", ttl = "2s", on_busy = skip, on_error = lockguard::log)]
async fn nothing(runs: &AtomicUsize) {
    runs.fetch_add(1, Ordering::SeqCst);
}

#[distributed_lock(key = "busy", ttl = "2s", on_busy = skip, on_error = |_| None)]
async fn option() -> Option<u8> {
    Some(1)
}

#[distributed_lock(key = "busy", ttl = "2s", on_busy = skip)]
async fn result_of_nothing() -> Result<(), LockError> {
    panic!("the body must not run")
}

#[distributed_lock(key = "busy", ttl = "2s", on_busy = skip)]
async fn result_of_an_option() -> Result<Option<u8>, BookingError> {
    Ok(Some(2))
}

type Maybe<T> = std::io::Result<Option<T>>;

#[distributed_lock(key = "busy", ttl = "2s", on_busy = (skip))]
async fn result_behind_an_alias() -> Maybe<u8> {
    Ok(Some(3))
}

#[tokio::test(start_paused = true)]
async fn skip_returns_what_cannot_be_taken_for_a_value() {
    while_busy(async {
        let runs = AtomicUsize::new(0);
        let start = tokio::time::Instant::now();
        nothing(&runs).await;
        assert_eq!(option().await, None);
        result_of_nothing().await.unwrap();
        assert_eq!(result_of_an_option().await.unwrap(), None);
        assert_eq!(result_behind_an_alias().await.unwrap(), None);
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        // Whoever skips does not wait for the other holder first.
        assert!(start.elapsed() < TTL / 2, "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn skip_runs_the_body_when_the_key_is_free() {
    alone(async {
        let runs = AtomicUsize::new(0);
        nothing(&runs).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(option().await, Some(1));
        assert_eq!(result_of_an_option().await.unwrap(), Some(2));
        assert_eq!(result_behind_an_alias().await.unwrap(), Some(3));
    })
    .await;
}

#[tokio::test]
async fn skip_is_for_busy_alone() {
    #[distributed_lock(key = String::new(), ttl = TTL, on_busy = skip, manager = LockManager::memory())]
    async fn invalid() -> Result<(), LockError> {
        Ok(())
    }
    // No manager is registered.
    let error = result_of_nothing().await.unwrap_err();
    assert!(matches!(error, LockError::NotRegistered { .. }), "{error}");
    let error = invalid().await.unwrap_err();
    assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_not_skipped() {
    #[distributed_lock(key = "slow", ttl = "2s", on_busy = skip)]
    async fn slow() -> Result<Option<u8>, LockError> {
        std::future::pending().await
    }
    alone(async { assert!(slow().await.unwrap_err().is_lost()) }).await;
}

#[tokio::test(start_paused = true)]
async fn skip_with_a_wait_queues_first() {
    #[distributed_lock(key = "busy", ttl = "2s", wait = "3s", on_busy = skip)]
    async fn patient() -> Result<(), LockError> {
        panic!("the body must not run")
    }
    while_busy(async {
        let start = tokio::time::Instant::now();
        patient().await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(3));
    })
    .await;
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = error)]
async fn as_an_error() -> Result<u8, LockError> {
    Ok(1)
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(name))]
async fn gives_an_argument_back(name: String) -> Result<String, LockError> {
    Ok(name + " ran")
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = "busy", on_error = |_| "error")]
async fn text() -> &'static str {
    "ran"
}

async fn queue(order: u8) -> Result<u8, BookingError> {
    tokio::task::yield_now().await;
    if order == 0 {
        return Err(BookingError::SoldOut);
    }
    Ok(order)
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(queue(order).await? + 100))]
async fn awaits(order: u8) -> Result<u8, BookingError> {
    Ok(order)
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(Box::new(|x| x + 1)))]
async fn coerces() -> Result<Box<dyn Fn(u8) -> u8 + Send>, LockError> {
    Ok(Box::new(|x| x))
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(Vec::new().into_iter()))]
async fn opaque() -> Result<impl Iterator<Item = u8>, LockError> {
    Ok(vec![1].into_iter())
}

struct Service {
    fallback: u8,
}

impl Service {
    #[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(self.fallback))]
    async fn sees_self(&mut self) -> Result<u8, LockError> {
        self.fallback = 0;
        Ok(self.fallback)
    }

    #[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = {
        let Self { fallback } = self;
        Ok(fallback)
    })]
    async fn takes_self_apart(self) -> Result<u8, LockError> {
        Ok(self.fallback + 1)
    }
}

#[async_trait::async_trait]
trait Job {
    async fn run(&self, order: String) -> Result<String, LockError>;
}

#[async_trait::async_trait]
impl Job for Service {
    #[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(format!("{order} {}", self.fallback)))]
    async fn run(&self, order: String) -> Result<String, LockError> {
        Ok(order)
    }
}

#[distributed_lock(key = "busy", ttl = "2s", wait = "0s", on_busy = Ok(id))]
fn boxed(id: u8) -> Pin<Box<dyn Future<Output = Result<u8, LockError>> + Send>> {
    Box::pin(async move { Ok(id + 1) })
}

#[tokio::test]
async fn a_value_for_busy_is_any_expression_of_the_return_type() {
    while_busy(async {
        assert!(as_an_error().await.unwrap_err().is_busy());
        assert_eq!(gives_an_argument_back("a".into()).await.unwrap(), "a");
        assert_eq!(text().await, "busy");
        assert_eq!(awaits(3).await.unwrap(), 103);
        assert!(matches!(awaits(0).await, Err(BookingError::SoldOut)));
        assert_eq!(coerces().await.unwrap()(1), 2);
        assert_eq!(opaque().await.unwrap().count(), 0);
        let mut service = Service { fallback: 8 };
        assert_eq!(service.run("b".into()).await.unwrap(), "b 8");
        assert_eq!(service.sees_self().await.unwrap(), 8);
        assert_eq!(service.takes_self_apart().await.unwrap(), 8);
        assert_eq!(boxed(1).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_value_for_busy_is_not_evaluated_when_the_key_is_free() {
    alone(async {
        assert_eq!(as_an_error().await.unwrap(), 1);
        assert_eq!(gives_an_argument_back("a".into()).await.unwrap(), "a ran");
        assert_eq!(text().await, "ran");
        assert_eq!(awaits(3).await.unwrap(), 3);
        assert_eq!(coerces().await.unwrap()(1), 1);
        assert_eq!(opaque().await.unwrap().count(), 1);
        let mut service = Service { fallback: 8 };
        assert_eq!(service.run("b".into()).await.unwrap(), "b");
        assert_eq!(service.sees_self().await.unwrap(), 0);
        assert_eq!(service.takes_self_apart().await.unwrap(), 1);
        assert_eq!(boxed(1).await.unwrap(), 2);
    })
    .await;
}
