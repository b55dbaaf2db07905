use super::*;

struct Shop<T = u8> {
    id: T,
}

impl<T: fmt::Display> Shop<T> {
    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn of_a_generic_type(&self) -> Result<String, LockError> {
        Ok(format!("{}", self.id))
    }

    #[distributed_lock(key = "shop:{self.id}:{other}", ttl = "2s")]
    async fn with_a_generic_argument<U>(&self, other: U) -> Result<(&T, U), LockError>
    where
        U: fmt::Display + PartialEq<u8>,
    {
        Ok((&self.id, other))
    }
}

impl Shop {
    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_box(self: Box<Self>) -> Result<Box<Self>, LockError> {
        Ok(self)
    }

    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_rc(self: Rc<Self>) -> Result<usize, LockError> {
        Ok(Rc::strong_count(&self))
    }

    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_reference_to_an_arc(self: &Arc<Self>) -> Result<Arc<Self>, LockError> {
        Ok(Arc::clone(self))
    }

    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_pin_of_a_box(self: Pin<Box<Self>>) -> Result<u8, LockError> {
        Ok(self.id)
    }

    #[expect(clippy::needless_arbitrary_self_type, reason = "the claim")]
    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_typed_reference(self: &Self) -> Result<&u8, LockError> {
        Ok(&self.id)
    }

    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn by_lifetime<'a>(&'a mut self, add: &u8) -> Result<&'a mut u8, LockError> {
        self.id += add;
        Ok(&mut self.id)
    }

    #[distributed_lock(key = "shop", ttl = "2s")]
    async fn constructor(id: u8) -> Result<Self, LockError> {
        Ok(Self { id })
    }

    #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
    async fn unused_self(&self) -> Result<u8, LockError> {
        Ok(1)
    }
}

#[tokio::test]
async fn a_method_takes_a_box_of_self() {
    alone(async {
        let shop = Box::new(Shop { id: 1 }).by_box().await.unwrap();
        assert_eq!(shop.id, 1);
    })
    .await;
}

#[tokio::test]
async fn a_method_takes_an_rc_of_self() {
    alone(async { assert_eq!(Rc::new(Shop { id: 1 }).by_rc().await.unwrap(), 1) }).await;
}

#[tokio::test]
async fn a_method_takes_a_reference_to_an_arc_of_self() {
    alone(async {
        let shop = Arc::new(Shop { id: 1 });
        let clone = shop.by_reference_to_an_arc().await.unwrap();
        assert!(Arc::ptr_eq(&shop, &clone));
    })
    .await;
}

#[tokio::test]
async fn a_method_takes_a_pinned_box_of_self() {
    alone(async { assert_eq!(Box::pin(Shop { id: 3 }).by_pin_of_a_box().await.unwrap(), 3) }).await;
}

#[tokio::test]
async fn a_method_takes_self_with_a_written_type() {
    alone(async { assert_eq!(*Shop { id: 2 }.by_typed_reference().await.unwrap(), 2) }).await;
}

#[tokio::test]
async fn a_method_returns_what_it_borrows() {
    alone(async {
        let mut shop = Shop { id: 2 };
        *shop.by_lifetime(&3).await.unwrap() += 1;
        assert_eq!(shop.id, 6);
    })
    .await;
}

#[tokio::test]
async fn an_associated_function_returns_self() {
    alone(async { assert_eq!(Shop::constructor(4).await.unwrap().id, 4) }).await;
}

#[tokio::test]
async fn a_method_need_not_use_self() {
    alone(async { assert_eq!(Shop { id: 2 }.unused_self().await.unwrap(), 1) }).await;
}

#[tokio::test]
async fn a_method_of_a_generic_type_keeps_its_bounds() {
    alone(async {
        let shop = Shop { id: "a" };
        assert_eq!(shop.of_a_generic_type().await.unwrap(), "a");
        let (id, other) = shop.with_a_generic_argument(7_u8).await.unwrap();
        assert_eq!((*id, other), ("a", 7));
    })
    .await;
}

trait Storage {
    const KIND: &str;
    type Item: fmt::Display + Clone;

    fn item(&self) -> Self::Item;

    #[distributed_lock(key = "{Self::KIND}:{self.item()}", ttl = "2s")]
    async fn of_an_associated_type(&self) -> Result<Self::Item, LockError> {
        Ok(self.item())
    }

    #[distributed_lock(key = "{Self::KIND}:{id}", ttl = "2s")]
    async fn without_self(id: u8) -> Result<bool, LockError>
    where
        Self: Sized,
    {
        Ok(is_held(&format!("shop:{id}")).await)
    }

    fn declared(&self, id: u8) -> impl Future<Output = Result<u8, LockError>> + Send;
}

impl Storage for Shop {
    const KIND: &str = "shop";
    type Item = u8;

    fn item(&self) -> u8 {
        self.id
    }

    #[distributed_lock(key = "declared:{id}", ttl = "2s")]
    async fn declared(&self, id: u8) -> Result<u8, LockError> {
        Ok(self.id + id)
    }
}

#[tokio::test]
async fn a_trait_method_uses_associated_items_in_its_key() {
    alone(async {
        assert_eq!(Shop { id: 5 }.of_an_associated_type().await.unwrap(), 5);
    })
    .await;
}

#[tokio::test]
async fn an_associated_function_of_a_trait_is_locked() {
    alone(async { assert!(Shop::without_self(6).await.unwrap()) }).await;
}

#[tokio::test]
async fn an_async_method_is_what_a_trait_declares_as_a_send_future() {
    async fn spawned<S: Storage + Send + 'static>(storage: S) -> Result<u8, LockError> {
        let manager = lockguard::manager()?;
        let task = scope(manager, async move { storage.declared(1).await });
        tokio::spawn(task).await.expect("the task does not panic")
    }
    alone(async { assert_eq!(spawned(Shop { id: 1 }).await.unwrap(), 2) }).await;
}

#[async_trait::async_trait]
trait Repository: Send + Sync {
    async fn by_arc(self: Arc<Self>, id: u8) -> Result<u8, LockError>;
    async fn by_mutable_reference(&mut self, id: &u8) -> Result<u8, LockError>;
    async fn by_generic<T: fmt::Display + Send>(&self, id: T) -> Result<T, LockError>
    where
        Self: Sized;
    async fn by_name<'a>(&self, name: &'a str) -> Result<&'a str, LockError>;
    async fn nothing(&self);
}

#[async_trait::async_trait]
impl Repository for Shop {
    #[distributed_lock(key = "repo:{self.id}:{id}", ttl = "2s")]
    async fn by_arc(self: Arc<Self>, id: u8) -> Result<u8, LockError> {
        Ok(self.id + id)
    }

    #[distributed_lock(key = "repo:{self.id}:{id}", ttl = "2s")]
    async fn by_mutable_reference(&mut self, id: &u8) -> Result<u8, LockError> {
        self.id += id;
        Ok(self.id)
    }

    #[distributed_lock(key = "repo:{id}", ttl = "2s")]
    async fn by_generic<T: fmt::Display + Send>(&self, id: T) -> Result<T, LockError> {
        Ok(id)
    }

    #[distributed_lock(key = "repo:{name}", ttl = "2s")]
    async fn by_name<'a>(&self, name: &'a str) -> Result<&'a str, LockError> {
        Ok(name)
    }

    #[distributed_lock(key = "repo", ttl = "2s", on_busy = skip, on_error = lockguard::log)]
    async fn nothing(&self) {}
}

#[tokio::test]
async fn async_trait_methods_take_any_self_and_arguments() {
    alone(async {
        let mut shop = Shop { id: 1 };
        assert_eq!(shop.by_mutable_reference(&2).await.unwrap(), 3);
        assert_eq!(shop.by_generic("x").await.unwrap(), "x");
        assert_eq!(shop.by_name("y").await.unwrap(), "y");
        shop.nothing().await;
        assert_eq!(Arc::new(shop).by_arc(1).await.unwrap(), 4);
    })
    .await;
}

/// The compiler called it unused.
#[tokio::test]
async fn an_argument_that_the_options_alone_name_is_used() {
    #![deny(unused_variables)]
    #[async_trait::async_trait]
    trait Sweep {
        async fn sweep(&self, id: u8, r#type: u8, ttl: Duration) -> Result<u8, LockError>;
    }
    #[async_trait::async_trait]
    impl Sweep for Shop {
        #[distributed_lock(keys = ["sweep:{id}", format!("{type}", type = r#type)], ttl = ttl)]
        async fn sweep(&self, id: u8, r#type: u8, ttl: Duration) -> Result<u8, LockError> {
            Ok(self.id)
        }
    }
    alone(async {
        let swept = Shop { id: 1 }.sweep(2, 3, Duration::from_secs(2));
        assert_eq!(swept.await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn async_trait_methods_work_behind_a_trait_object() {
    #[async_trait::async_trait]
    trait Sweep: Send + Sync {
        async fn sweep(&self, id: u8) -> Result<bool, LockError>;
    }
    #[async_trait::async_trait]
    impl Sweep for Shop {
        #[distributed_lock(key = "sweep:{id}", ttl = "2s")]
        async fn sweep(&self, id: u8) -> Result<bool, LockError> {
            Ok(is_held(&format!("sweep:{id}")).await)
        }
    }
    alone(async {
        let sweeps: Vec<Arc<dyn Sweep>> = vec![Arc::new(Shop { id: 1 })];
        for sweep in sweeps {
            assert!(sweep.sweep(1).await.unwrap());
        }
    })
    .await;
}

macro_rules! methods {
    ($($name:ident => $key:literal),*) => {
        impl Shop {
            $(
                #[distributed_lock(key = $key, ttl = "2s", bind = lease)]
                async fn $name(&self, id: u8) -> Result<String, LockError> {
                    let _ = id;
                    Ok(format!("{:?}", lease.keys()))
                }
            )*
        }
    };
}

methods!(left => "left:{self.id}:{id}", right => "right:{id}:{self.id}");

#[tokio::test]
async fn methods_made_by_macro_rules_are_locked() {
    alone(async {
        let shop = Shop { id: 1 };
        assert_eq!(shop.left(2).await.unwrap(), "[\"left:1:2\"]");
        assert_eq!(shop.right(2).await.unwrap(), "[\"right:2:1\"]");
    })
    .await;
}
