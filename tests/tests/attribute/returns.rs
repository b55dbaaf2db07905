use lockguard::backend::ReleaseReply;
use lockguard_tests::{Scripted, Step, Warnings};

use super::*;

type Answer<T> = std::result::Result<T, BookingError>;

#[distributed_lock(key = "r", ttl = "2s")]
async fn alias() -> Answer<u8> {
    Ok(1)
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn io_result() -> std::io::Result<u8> {
    Ok(2)
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn boxed_error() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    "3".parse::<u8>()?;
    if is_held("elsewhere").await {
        return Err("a text becomes an error".into());
    }
    Ok(3)
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn trait_object() -> Result<Box<dyn Fn(u8) -> u8 + Send>, LockError> {
    Ok(Box::new(|x| x + 1))
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn slice() -> Result<&'static [u8], LockError> {
    Ok(&[1, 2])
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn function_pointer() -> Result<fn(u8) -> u8, LockError> {
    Ok(|x| x + 2)
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn collected() -> Result<Vec<u8>, LockError> {
    Ok((0..3).collect())
}

#[distributed_lock(key = "r", ttl = "2s")]
async fn converted() -> Result<String, BookingError> {
    let text = Err::<&str, _>(BookingError::SoldOut).or(Ok::<_, BookingError>("text"))?;
    Ok(text.into())
}

#[tokio::test]
async fn inference_and_coercion_work_as_without_the_attribute() {
    alone(async {
        assert_eq!(alias().await.unwrap(), 1);
        assert_eq!(io_result().await.unwrap(), 2);
        assert_eq!(boxed_error().await.unwrap(), 3);
        assert_eq!(trait_object().await.unwrap()(1), 2);
        assert_eq!(slice().await.unwrap(), [1, 2]);
        assert_eq!(function_pointer().await.unwrap()(1), 3);
        assert_eq!(collected().await.unwrap(), [0, 1, 2]);
        assert_eq!(converted().await.unwrap(), "text");
    })
    .await;
}

#[tokio::test]
async fn a_busy_lock_is_the_error_of_the_return_type() {
    #[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
    async fn own() -> Result<(), BookingError> {
        panic!("the body must not run")
    }
    #[distributed_lock(key = "busy", ttl = "2s", wait = "0s")]
    async fn io() -> std::io::Result<()> {
        panic!("the body must not run")
    }
    alone(async {
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("busy", TTL).acquire().await.unwrap();
        let error = own().await.unwrap_err();
        assert!(matches!(error, BookingError::Lock(error) if error.is_busy()));
        let error = io().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    })
    .await;
}

#[tokio::test]
async fn without_a_manager_the_error_says_how_to_register() {
    #[distributed_lock(key = "k", ttl = "2s")]
    async fn lonely() -> Result<(), LockError> {
        Ok(())
    }
    let error = lonely().await.unwrap_err();
    assert!(error.to_string().contains("lockguard::register"), "{error}");
}

#[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = |error| error.is_busy())]
async fn closure() -> bool {
    false
}

#[expect(clippy::needless_pass_by_value, reason = "what `on_error` asks for")]
fn describe(error: LockError) -> String {
    error.key().unwrap_or("none").to_owned()
}

#[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = describe)]
async fn path() -> String {
    "ran".to_owned()
}

#[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = |_| {})]
async fn unit() {}

#[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = |_: LockError| None)]
async fn option() -> Option<u8> {
    Some(1)
}

#[distributed_lock(
    key = "h",
    ttl = "2s",
    wait = "0s",
    on_error = |error| Err(format!("{name}: {error}").into()),
)]
async fn sees_borrowed_arguments(name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let _ = name;
    Ok(())
}

struct Service {
    fallback: u8,
}

impl Service {
    #[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = |_| self.fallback)]
    async fn sees_self(&self) -> u8 {
        0
    }

    #[distributed_lock(key = "h", ttl = "2s", wait = "0s", on_error = Self::rescue)]
    async fn associated(&self) -> u8 {
        self.fallback
    }

    fn rescue(_: LockError) -> u8 {
        9
    }
}

#[tokio::test]
async fn on_error_says_what_a_function_returns_that_did_not_run() {
    alone(async {
        let service = Service { fallback: 8 };
        assert!(!closure().await);
        assert_eq!(path().await, "ran");
        assert_eq!(option().await, Some(1));
        assert_eq!(service.sees_self().await, 0);
        assert_eq!(service.associated().await, 8);
        unit().await;

        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("h", TTL).acquire().await.unwrap();
        assert!(closure().await);
        assert_eq!(path().await, "h");
        assert_eq!(option().await, None);
        assert_eq!(service.sees_self().await, 8);
        assert_eq!(service.associated().await, 9);
        unit().await;
        let error = sees_borrowed_arguments("caller").await.unwrap_err();
        assert!(error.to_string().starts_with("caller: "), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_the_body_and_is_the_error() {
    #[distributed_lock(key = "slow", ttl = "2s")]
    async fn slow() -> Result<(), LockError> {
        std::future::pending().await
    }
    #[distributed_lock(key = "slow", ttl = "2s", on_error = |error| error.is_lost())]
    async fn slow_with_handler() -> bool {
        std::future::pending().await
    }
    alone(async {
        assert!(slow().await.unwrap_err().is_lost());
        assert!(slow_with_handler().await);
        assert!(!is_held("slow").await);
    })
    .await;
}

#[tokio::test]
async fn a_value_whose_lock_was_lost_before_its_release_is_returned_with_a_warning() {
    let (node, warnings) = (Scripted::new(), Warnings::collect());
    node.on_release([Step::reply(ReleaseReply::NotHeld)]);
    let manager = LockManager::new(node);
    assert_eq!(scope(manager, alias()).await.unwrap(), 1);
    assert_eq!(warnings.containing("the body had ended").len(), 1);
}
