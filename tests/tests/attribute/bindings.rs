use lockguard::{FencingToken, Lease, LostCause};

use super::*;

#[distributed_lock(key = "seat:{id}", ttl = "2s", bind = lease)]
async fn bound(id: u8) -> Result<Lease, LockError> {
    let _ = id;
    lease.check()?;
    Ok(lease)
}

#[tokio::test]
async fn bind_gives_the_body_its_lease_by_value() {
    alone(async {
        let lease = bound(7).await.unwrap();
        assert_eq!(lease.keys()[0].as_str(), "seat:7");
        // The lease has ended with the body, and says so.
        assert!(!lease.is_held());
    })
    .await;
}

#[distributed_lock(key = "slow", ttl = "2s", bind = lease)]
async fn slow(seen: &Mutex<Option<Lease>>) -> Result<(), LockError> {
    *seen.lock().unwrap() = Some(lease);
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_bound_lease_outlives_a_body_that_is_dropped() {
    alone(async {
        let seen = Mutex::default();
        assert!(slow(&seen).await.unwrap_err().is_lost());
        let lease = seen.into_inner().unwrap().expect("the body has left it");
        assert_eq!(lease.lost().await, LostCause::Expired);
    })
    .await;
}

struct Shop {
    id: u8,
}

impl Shop {
    #[distributed_lock(key = "shop:{self.id}", ttl = "2s", bind = lease, on_error = |_| None)]
    async fn open(self) -> Option<String> {
        lease.is_held().then(|| format!("{:?}", lease.keys()))
    }

    #[distributed_lock(key = "unused", ttl = "2s", bind = _lease)]
    async fn ignored(&self) -> Result<u8, LockError> {
        Ok(self.id)
    }
}

#[async_trait::async_trait]
trait Job {
    async fn run(&self) -> Result<bool, LockError>;
}

#[async_trait::async_trait]
impl Job for Shop {
    #[distributed_lock(key = "job:{self.id}", ttl = "2s", bind = r#type)]
    async fn run(&self) -> Result<bool, LockError> {
        Ok(r#type.is_held())
    }
}

#[distributed_lock(key = "boxed", ttl = "2s", bind = lease)]
fn boxed() -> Pin<Box<dyn Future<Output = Result<bool, LockError>> + Send>> {
    Box::pin(async { Ok(lease.is_held()) })
}

#[tokio::test]
async fn bind_works_in_every_shape() {
    alone(async {
        let shop = Shop { id: 3 };
        assert_eq!(shop.ignored().await.unwrap(), 3);
        assert!(shop.run().await.unwrap());
        assert_eq!(shop.open().await.as_deref(), Some("[\"shop:3\"]"));
        assert!(boxed().await.unwrap());
    })
    .await;
}

#[distributed_lock(key = "row:{id}", ttl = "2s", fence = token)]
async fn fenced(id: u8) -> Result<FencingToken, LockError> {
    let _ = id;
    tokio::task::yield_now().await;
    Ok(token)
}

#[tokio::test]
async fn fence_gives_the_body_a_token_that_grows() {
    alone(async {
        let mut last = fenced(1).await.unwrap();
        for _ in 0..10 {
            let token = fenced(1).await.unwrap();
            assert!(token > last, "{token} after {last}");
            last = token;
        }
    })
    .await;
}

#[distributed_lock(keys = ["row:1", "row:2"], ttl = "2s", fence = token, bind = lease)]
async fn fenced_rows() -> Result<(FencingToken, Option<FencingToken>), LockError> {
    Ok((token, lease.fencing_token()))
}

#[tokio::test]
async fn one_token_is_greater_than_those_of_all_its_keys() {
    alone(async {
        let before = fenced(1).await.unwrap().max(fenced(2).await.unwrap());
        let (token, of_the_lease) = fenced_rows().await.unwrap();
        assert_eq!(Some(token), of_the_lease);
        assert!(token > before);
        assert!(fenced(2).await.unwrap() > token);
    })
    .await;
}

#[distributed_lock(key = "row:3", ttl = "2s", bind = lease)]
async fn not_fenced() -> Result<Option<FencingToken>, LockError> {
    Ok(lease.fencing_token())
}

#[tokio::test]
async fn without_fence_a_lease_has_no_token() {
    alone(async { assert_eq!(not_fenced().await.unwrap(), None) }).await;
}
