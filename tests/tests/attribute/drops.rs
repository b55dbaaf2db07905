use super::*;

/// What was dropped, and whether the lock was still held then.
#[derive(Clone)]
struct Log {
    manager: LockManager,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn new() -> Self {
        Self {
            manager: LockManager::memory(),
            lines: Arc::default(),
        }
    }

    fn witness(&self, name: &'static str) -> Witness {
        Witness {
            name,
            log: self.clone(),
        }
    }

    async fn lines(&self) -> Vec<String> {
        // Whatever ended the call, the key comes free.
        let request = self.manager.lock("k", TTL).wait(TTL / 4);
        let guard = request.acquire().await.expect("the lock is given back");
        guard.release().await.expect("a fresh guard is released");
        self.lines.lock().unwrap().clone()
    }
}

struct Witness {
    name: &'static str,
    log: Log,
}

impl Drop for Witness {
    fn drop(&mut self) {
        let is_held = is_held_now(&self.log.manager, "k");
        let line = format!("{} {}", self.name, if is_held { "held" } else { "free" });
        self.log.lines.lock().unwrap().push(line);
    }
}

#[derive(Clone, Copy)]
enum End {
    Return,
    Error,
    Panic,
    Never,
}

#[distributed_lock(key = "k", ttl = "2s", manager = log.manager)]
async fn work(log: &Log, end: End, first: Witness, _second: Witness) -> Result<(), BookingError> {
    let _local = log.witness("local");
    let _ = first.name;
    match end {
        End::Return => Ok(()),
        End::Error => Err(BookingError::SoldOut),
        End::Panic => panic!("on purpose"),
        End::Never => std::future::pending().await,
    }
}

async fn start(log: &Log, end: End) -> Result<(), BookingError> {
    work(log, end, log.witness("first"), log.witness("second")).await
}

const UNDER_THE_LOCK: [&str; 3] = ["local held", "second held", "first held"];

#[tokio::test]
async fn on_return_the_body_and_its_arguments_go_before_the_lock() {
    let log = Log::new();
    start(&log, End::Return).await.unwrap();
    assert!(!is_held_now(&log.manager, "k"));
    assert_eq!(log.lines().await, UNDER_THE_LOCK);
}

#[tokio::test]
async fn on_error_the_body_and_its_arguments_go_before_the_lock() {
    let log = Log::new();
    start(&log, End::Error).await.unwrap_err();
    assert!(!is_held_now(&log.manager, "k"));
    assert_eq!(log.lines().await, UNDER_THE_LOCK);
}

#[tokio::test]
async fn on_panic_the_body_and_its_arguments_go_before_the_lock() {
    let log = Log::new();
    let task = tokio::spawn({
        let log = log.clone();
        async move { start(&log, End::Panic).await }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(log.lines().await, UNDER_THE_LOCK);
}

#[tokio::test]
async fn on_cancellation_the_body_and_its_arguments_go_before_the_lock() {
    let log = Log::new();
    {
        let mut call = pin!(start(&log, End::Never));
        while log.manager.lock("k", TTL).try_acquire().await.is_ok() {
            let pending = tokio::time::timeout(Duration::from_millis(1), call.as_mut()).await;
            assert!(pending.is_err());
        }
    }
    assert_eq!(log.lines().await, UNDER_THE_LOCK);
}

#[tokio::test(start_paused = true)]
async fn on_loss_the_body_and_its_arguments_go_before_the_lock() {
    let log = Log::new();
    let error = start(&log, End::Never).await.unwrap_err();
    assert!(matches!(error, BookingError::Lock(error) if error.is_lost()));
    assert_eq!(log.lines().await, UNDER_THE_LOCK);
}

struct Owner {
    _witness: Witness,
    log: Log,
    id: u8,
}

impl Owner {
    // The body mentions one field; the rest belongs to it all the same.
    #[distributed_lock(key = "k", ttl = "2s", manager = self.log.manager)]
    async fn consume(self, order: Owner) -> Result<u8, LockError> {
        Ok(self.id + order.id)
    }

    // What it does is what its drop does.
    #[distributed_lock(key = "k", ttl = "2s", manager = self.log.manager)]
    async fn finish(self) -> Result<(), LockError> {
        Ok(())
    }

    #[distributed_lock(key = "k", ttl = "2s", manager = self.log.manager)]
    async fn finish_boxed(self: Box<Self>) -> Result<(), LockError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_value_of_which_one_field_is_used_goes_whole_and_before_the_lock() {
    let log = Log::new();
    let owner = |name| Owner {
        _witness: log.witness(name),
        log: log.clone(),
        id: 1,
    };
    assert_eq!(owner("self").consume(owner("order")).await.unwrap(), 2);
    assert_eq!(log.lines().await, ["order held", "self held"]);
}

#[tokio::test]
async fn a_self_that_the_body_does_not_mention_goes_before_the_lock() {
    let log = Log::new();
    let owner = |name| Owner {
        _witness: log.witness(name),
        log: log.clone(),
        id: 1,
    };
    owner("self").finish().await.unwrap();
    Box::new(owner("boxed")).finish_boxed().await.unwrap();
    assert_eq!(log.lines().await, ["self held", "boxed held"]);
}

#[distributed_lock(key = "k", ttl = "2s", manager = owner.log.manager)]
async fn raw_identifier(r#owner: Owner) -> Result<u8, LockError> {
    Ok(owner.id)
}

#[tokio::test]
async fn a_value_whose_name_is_a_raw_identifier_goes_whole_and_before_the_lock() {
    let log = Log::new();
    let owner = Owner {
        _witness: log.witness("owner"),
        log: log.clone(),
        id: 1,
    };
    assert_eq!(raw_identifier(owner).await.unwrap(), 1);
    assert_eq!(log.lines().await, ["owner held"]);
}
