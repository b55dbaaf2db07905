use super::*;

/// What `futures::FutureExt::boxed` is.
trait Boxing: Future + Sized {
    fn boxed<'a>(self) -> Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>
    where
        Self: Send + 'a,
    {
        Box::pin(self)
    }
}

impl<F: Future> Boxing for F {}

#[distributed_lock(key = "boxed:{name}", ttl = "2s")]
fn by_method(name: &str) -> Pin<Box<dyn Future<Output = Result<usize, LockError>> + Send + '_>> {
    async move { Ok(name.len()) }.boxed()
}

#[tokio::test]
async fn an_async_block_with_a_method_that_boxes_it_is_locked() {
    alone(async { assert_eq!(by_method("abc").await.unwrap(), 3) }).await;
}

#[distributed_lock(key = "lent:{name}", ttl = "2s")]
fn lent(name: &str) -> impl Future<Output = Result<usize, LockError>> {
    async { Ok(name.len()) }
}

#[tokio::test]
async fn an_async_block_that_borrows_is_locked() {
    alone(async { assert_eq!(lent("ab").await.unwrap(), 2) }).await;
}

#[distributed_lock(key = "owned:{id}", ttl = "2s")]
fn captures_nothing(id: u8, _name: &str) -> impl Future<Output = Result<u8, LockError>> + use<> {
    async move { Ok(id) }
}

#[tokio::test]
async fn precise_capturing_stays_as_it_is() {
    alone(async {
        let future = {
            let name = String::from("gone before the future runs");
            captures_nothing(1, &name)
        };
        assert_eq!(future.await.unwrap(), 1);
    })
    .await;
}

#[distributed_lock(key = "early:{id}", ttl = "2s")]
fn at_once(id: u8, calls: &AtomicUsize) -> impl Future<Output = Result<u8, LockError>> + use<> {
    calls.fetch_add(1, Ordering::SeqCst);
    let twice = id * 2;
    async move { Ok(twice) }
}

#[tokio::test]
async fn statements_before_the_block_run_when_the_function_is_called() {
    alone(async {
        let calls = AtomicUsize::new(0);
        let future = at_once(2, &calls);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(!is_held("early:2").await);
        assert_eq!(future.await.unwrap(), 4);
    })
    .await;
}

#[distributed_lock(key = "all:{id}", ttl = "2s", on_busy = Ok(0), bind = lease, wait = "0s")]
fn with_options(id: u8) -> Pin<Box<dyn Future<Output = Result<u64, LockError>> + Send>> {
    Box::pin(async move {
        lease.check()?;
        Ok(u64::from(id))
    })
}

#[tokio::test]
async fn options_work_on_a_returned_future() {
    alone(async {
        assert_eq!(with_options(3).await.unwrap(), 3);
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("all:3", TTL).acquire().await.unwrap();
        assert_eq!(with_options(3).await.unwrap(), 0);
    })
    .await;
}

#[distributed_lock(key = "local", ttl = "2s")]
fn not_send(id: Rc<u8>) -> Pin<Box<dyn Future<Output = Result<Rc<u8>, LockError>>>> {
    Box::pin(async move { Ok(id) })
}

#[tokio::test]
async fn a_returned_future_need_not_be_send() {
    alone(async { assert_eq!(*not_send(Rc::new(1)).await.unwrap(), 1) }).await;
}

#[tokio::test]
async fn a_future_that_is_never_awaited_takes_no_lock() {
    alone(async {
        let future = with_options(4);
        assert!(!is_held("all:4").await);
        drop(future);
        assert!(!is_held("all:4").await);
    })
    .await;
}

macro_rules! returning {
    ($name:ident, $id:ident, $future:expr) => {
        #[distributed_lock(key = "expression:{id}", ttl = "2s")]
        fn $name($id: u8) -> Pin<Box<dyn Future<Output = Result<bool, LockError>> + Send>> {
            $future
        }
    };
}

returning!(
    from_a_macro,
    id,
    Box::pin(async move { Ok(is_held(&format!("expression:{id}")).await) })
);

#[tokio::test]
async fn a_future_that_a_macro_was_given_is_locked() {
    alone(async { assert!(from_a_macro(1).await.unwrap()) }).await;
}
