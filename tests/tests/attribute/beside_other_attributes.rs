use tracing::{Event, Metadata, Subscriber, span};

use super::*;

#[tracing::instrument]
#[distributed_lock(key = "i:{id}", ttl = "2s")]
async fn instrument_above(id: u8) -> Result<bool, LockError> {
    Ok(is_held("i:1").await)
}

#[distributed_lock(key = "i:{id}", ttl = "2s")]
#[tracing::instrument(skip_all, err)]
async fn instrument_below(id: u8) -> Result<bool, LockError> {
    let _ = id;
    Ok(is_held("i:1").await)
}

/// Notes for each span of ours whether the lock was held when it opened.
struct Spans {
    manager: LockManager,
    opened: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let name = span.metadata().name();
        if name.starts_with("order_") {
            let is_held = is_held_now(&self.manager, "order");
            self.opened.lock().unwrap().push((name, is_held));
        }
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tracing::instrument(skip_all)]
#[distributed_lock(key = "order", ttl = "2s", manager = manager)]
async fn order_above(manager: &LockManager) -> Result<(), LockError> {
    let _ = manager;
    Ok(())
}

#[distributed_lock(key = "order", ttl = "2s", manager = manager)]
#[tracing::instrument(skip_all)]
async fn order_below(manager: &LockManager) -> Result<(), LockError> {
    let _ = manager;
    Ok(())
}

#[tokio::test]
async fn instrument_above_is_under_the_lock_and_below_it_is_around_the_wait() {
    let manager = LockManager::memory();
    let opened = Arc::default();
    let _subscriber = tracing::subscriber::set_default(Spans {
        manager: manager.clone(),
        opened: Arc::clone(&opened),
    });
    order_above(&manager).await.unwrap();
    order_below(&manager).await.unwrap();
    let opened = opened.lock().unwrap().clone();
    assert_eq!(opened, [("order_above", true), ("order_below", false)]);
}

#[cfg_attr(all(), distributed_lock(key = "cfg:{id}", ttl = "2s"))]
async fn by_cfg_attr(id: u8) -> Result<bool, LockError> {
    let _ = id;
    Ok(is_held("cfg:1").await)
}

#[cfg_attr(any(), distributed_lock(key = "cfg:{id}", ttl = "2s"))]
async fn not_by_cfg_attr(id: u8) -> bool {
    let _ = id;
    is_held("cfg:1").await
}

#[cfg_attr(all(), tracing::instrument(skip_all, ret, fields(seat = id)))]
#[cfg_attr(all(), distributed_lock(key = "cfg:{id}", ttl = "2s", bind = lease))]
async fn instrumented_by_cfg_attr(id: u8) -> Result<bool, LockError> {
    Ok(lease.is_held() && id == 1)
}

#[cfg_attr(all(), distributed_lock(key = "cfg:{id}", ttl = "2s", bind = lease))]
#[cfg_attr(all(), tracing::instrument(err, level = "debug"))]
async fn instrumented_by_cfg_attr_below(id: u8) -> Result<bool, LockError> {
    Ok(lease.is_held() && id == 1)
}

#[tokio::test]
async fn cfg_attr_works_in_either_order_with_instrument() {
    alone(async {
        assert!(instrumented_by_cfg_attr(1).await.unwrap());
        assert!(instrumented_by_cfg_attr_below(1).await.unwrap());
    })
    .await;
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[cached::macros::cached]
#[distributed_lock(key = "cached:{id}", ttl = "2s", wait = "0s")]
async fn cached_above(id: u8) -> Result<bool, LockError> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    Ok(is_held(&format!("cached:{id}")).await)
}

#[distributed_lock(key = "cached:{id}", ttl = "2s", wait = "0s")]
#[cached::macros::cached]
async fn cached_below(id: u8) -> Result<bool, LockError> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    Ok(is_held(&format!("cached:{id}")).await)
}

#[tokio::test]
async fn a_caching_attribute_works_above_and_below() {
    alone(async {
        for _ in 0..2 {
            assert!(cached_above(1).await.unwrap());
            assert!(cached_below(2).await.unwrap());
        }
        assert_eq!(RUNS.load(Ordering::SeqCst), 2);
        assert!(!is_held("cached:1").await);
        assert!(!is_held("cached:2").await);
    })
    .await;
}

struct Traced {
    id: u8,
}

#[async_trait::async_trait]
trait Work {
    async fn above(&self, order: String) -> Result<String, LockError>;
    async fn below(&self, order: String) -> Result<String, LockError>;
}

#[async_trait::async_trait]
impl Work for Traced {
    #[tracing::instrument(skip(self))]
    #[distributed_lock(key = "traced:{self.id}", ttl = "2s")]
    async fn above(&self, order: String) -> Result<String, LockError> {
        Ok(order)
    }

    #[distributed_lock(key = "traced:{self.id}", ttl = "2s")]
    #[tracing::instrument(skip(self), err)]
    async fn below(&self, order: String) -> Result<String, LockError> {
        Ok(order)
    }
}

#[tokio::test]
async fn async_trait_instrument_and_the_lock_work_together() {
    alone(async {
        let traced = Traced { id: 1 };
        assert_eq!(traced.above("a".into()).await.unwrap(), "a");
        assert_eq!(traced.below("b".into()).await.unwrap(), "b");
    })
    .await;
}

/// Public as far as the crate's root.
pub mod attributes_are_kept {
    #![deny(missing_docs, clippy::too_many_arguments)]

    use super::*;

    /// Documented, which `missing_docs` would tell.
    #[deprecated = "the claim is that this is said at the call"]
    #[distributed_lock(key = "old", ttl = "2s")]
    pub async fn deprecated() -> Result<u8, LockError> {
        Ok(1)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the claim is that lints reach the function"
    )]
    #[distributed_lock(key = "many:{a}", ttl = "2s")]
    async fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8, LockError> {
        Ok(a + b + c + d + e + f + g + h)
    }

    #[tokio::test]
    async fn documentation_deprecation_and_lints_are_those_of_the_function() {
        alone(async {
            #[expect(deprecated, reason = "the claim")]
            let called = deprecated().await;
            assert_eq!(called.unwrap(), 1);
            assert_eq!(many(1, 1, 1, 1, 1, 1, 1, 1).await.unwrap(), 8);
        })
        .await;
    }
}

#[must_use = "the answer matters"]
#[distributed_lock(key = "must", ttl = "2s")]
#[inline]
async fn lint_attributes() -> Result<bool, LockError> {
    Ok(is_held("must").await)
}

#[tokio::test]
async fn other_attributes_work_above_and_below() {
    alone(async {
        assert!(instrument_above(1).await.unwrap());
        assert!(instrument_below(1).await.unwrap());
        assert!(by_cfg_attr(1).await.unwrap());
        assert!(!not_by_cfg_attr(1).await);
        assert!(lint_attributes().await.unwrap());
    })
    .await;
}

#[distributed_lock(key = "test", ttl = "2s", manager = LockManager::memory())]
#[tokio::test]
async fn a_test_is_locked_by_the_attribute_above_it() -> Result<(), LockError> {
    Ok(())
}
