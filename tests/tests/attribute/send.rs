use super::*;

fn assert_send<T: Send>(future: T) -> T {
    future
}

#[distributed_lock(key = "seat:{id}", ttl = "2s", wait = "1s", on_error = Err)]
async fn plain(id: u64, name: &str) -> Result<String, LockError> {
    tokio::task::yield_now().await;
    Ok(format!("{id}{name}"))
}

// `Send`, and not `Sync`: the body owns it, nobody borrows it over an await.
#[distributed_lock(key = "cell", ttl = "2s")]
async fn not_sync(cell: Cell<u8>, _other: Cell<u8>) -> Result<u8, LockError> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[distributed_lock(key = format!("k{}", Rc::new(1)), ttl = *Rc::new(TTL), manager = *Rc::new(LockManager::memory()))]
async fn options_are_gone_before_the_await() -> Result<(), LockError> {
    Ok(())
}

#[distributed_lock(key = "generic:{id}", ttl = "2s")]
async fn generic<T: fmt::Display + Send>(id: T) -> Result<T, LockError> {
    tokio::task::yield_now().await;
    Ok(id)
}

#[tokio::test]
async fn a_locked_function_is_send_where_the_plain_one_is() {
    alone(async {
        assert_send(plain(1, "a")).await.unwrap();
        assert_send(not_sync(Cell::new(1), Cell::new(2)))
            .await
            .unwrap();
        assert_send(options_are_gone_before_the_await())
            .await
            .unwrap();
        assert_send(generic(Cell::new(1).get())).await.unwrap();
    })
    .await;
}

#[distributed_lock(key = "local:{id}:{name}", ttl = "2s")]
async fn not_send(id: Rc<u8>, name: Rc<str>) -> Result<Rc<u8>, LockError> {
    let _ = name;
    Ok(id)
}

/// Asks whether a value is `Send`: an inherent method goes before a trait's,
/// and this one is there for what is `Send` alone.
struct Ask<T>(PhantomData<T>);

impl<T: Send> Ask<T> {
    #[expect(clippy::unused_self, reason = "methods are what is looked up so")]
    fn is_send(&self) -> bool {
        true
    }
}

trait IsNotSend {
    fn is_send(&self) -> bool {
        false
    }
}

impl<T> IsNotSend for Ask<T> {}

fn ask<T>(_: &T) -> Ask<T> {
    Ask(PhantomData)
}

#[distributed_lock(key = "over-an-await", ttl = "2s")]
async fn holds_an_rc_over_an_await() -> Result<u8, LockError> {
    let id = Rc::new(1);
    tokio::task::yield_now().await;
    Ok(*id)
}

#[distributed_lock(key = "over-no-await", ttl = "2s")]
async fn has_an_rc_between_awaits() -> Result<u8, LockError> {
    let id = *Rc::new(1);
    tokio::task::yield_now().await;
    Ok(id)
}

#[test]
fn a_locked_function_is_not_send_where_the_plain_one_is_not() {
    assert!(!ask(&holds_an_rc_over_an_await()).is_send());
    assert!(!ask(&not_send(Rc::new(1), "n".into())).is_send());
    assert!(ask(&has_an_rc_between_awaits()).is_send());
    assert!(ask(&plain(1, "a")).is_send());
}

#[tokio::test]
async fn arguments_and_results_need_not_be_send() {
    alone(async {
        let id = not_send(Rc::new(1), "n".into()).await.unwrap();
        assert_eq!(*id, 1);
    })
    .await;
}

#[distributed_lock(key = "phantom", ttl = "2s")]
async fn owns_nothing(_marker: PhantomData<fn(Rc<u8>)>) -> Result<(), LockError> {
    Ok(())
}

#[test]
fn a_marker_of_what_is_not_send_is_send() {
    drop(assert_send(owns_nothing(PhantomData)));
}
