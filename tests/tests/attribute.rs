//! What a locked function does, for every shape a function can have.

#![deny(warnings)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::{
    cell::Cell,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use lockguard::{LockError, LockManager, distributed_lock, scope};

const TTL: Duration = Duration::from_secs(2);

/// Runs a test on a manager of its own, which the attribute finds.
async fn alone<T>(test: impl Future<Output = T>) -> T {
    scope(LockManager::memory(), test).await
}

/// Whether somebody holds the key, the caller included.
async fn is_held(key: &str) -> bool {
    let manager = lockguard::manager().expect("tests run in `alone`");
    is_held_on(&manager, key).await
}

async fn is_held_on(manager: &LockManager, key: &str) -> bool {
    match manager.lock(key, TTL).try_acquire().await {
        Err(_) => true,
        Ok(guard) => {
            guard.release().await.expect("a fresh guard is released");
            false
        }
    }
}

/// The same for code that cannot await: the memory manager answers at once.
fn is_held_now(manager: &LockManager, key: &str) -> bool {
    let mut attempt = pin!(manager.lock(key, TTL).try_acquire());
    let answer = attempt
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    !matches!(answer, Poll::Ready(Ok(_)))
}

#[derive(Debug)]
enum BookingError {
    Lock(LockError),
    SoldOut,
}

impl From<LockError> for BookingError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl fmt::Display for BookingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for BookingError {}

mod shapes {
    use super::*;

    #[distributed_lock(key = "seat:{seat_id}", ttl = "2s", wait = "5s")]
    async fn book(seat_id: u64, user: &str) -> Result<String, BookingError> {
        assert!(is_held("seat:17").await);
        if user.is_empty() {
            return Err(BookingError::SoldOut);
        }
        Ok(format!("{user} has {seat_id}"))
    }

    #[tokio::test]
    async fn a_free_function_runs_under_its_lock_and_gives_it_back() {
        alone(async {
            assert_eq!(book(17, "ada").await.unwrap(), "ada has 17");
            assert!(!is_held("seat:17").await);
        })
        .await;
    }

    #[tokio::test]
    async fn an_error_of_the_body_is_returned_and_the_lock_given_back() {
        alone(async {
            assert!(matches!(book(17, "").await, Err(BookingError::SoldOut)));
            assert!(!is_held("seat:17").await);
        })
        .await;
    }

    #[tokio::test]
    async fn calls_in_a_row_do_not_meet_their_own_lock() {
        #[distributed_lock(key = "row", ttl = "2s", wait = "0s")]
        async fn step() -> Result<(), LockError> {
            Ok(())
        }
        alone(async {
            for _ in 0..100 {
                step().await.unwrap();
            }
        })
        .await;
    }

    #[derive(Default)]
    struct Inside {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[distributed_lock(key = "one-at-a-time", ttl = "2s", wait = "1m")]
    async fn enter(inside: &Inside) -> Result<(), LockError> {
        let now = inside.now.fetch_add(1, Ordering::SeqCst) + 1;
        inside.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        inside.now.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_calls_run_one_at_a_time() {
        alone(async {
            let inside = Inside::default();
            let calls = (
                enter(&inside),
                enter(&inside),
                enter(&inside),
                enter(&inside),
            );
            let (a, b, c, d) = tokio::join!(calls.0, calls.1, calls.2, calls.3);
            a.and(b).and(c).and(d).unwrap();
            assert_eq!(inside.most.load(Ordering::SeqCst), 1);
        })
        .await;
    }

    struct Shop {
        id: u32,
    }

    impl Shop {
        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_reference(&self) -> Result<bool, LockError> {
            Ok(is_held("shop:7").await)
        }

        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_mutable_reference(&mut self) -> Result<bool, LockError> {
            let held = is_held("shop:7").await;
            self.id += 1;
            Ok(held)
        }

        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_value(self) -> Result<Self, LockError> {
            Ok(self)
        }

        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_mutable_value(mut self) -> Result<Self, LockError> {
            self.id += 1;
            Ok(self)
        }

        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_arc(self: Arc<Self>) -> Result<u32, LockError> {
            Ok(self.id)
        }

        #[distributed_lock(key = "shop:{self.id}", ttl = "2s")]
        async fn by_pin(self: Pin<&mut Self>) -> Result<u32, LockError> {
            Ok(self.id)
        }

        #[distributed_lock(key = "shop:{Self::KIND}:{id}", ttl = "2s")]
        async fn without_self(id: u8) -> Result<bool, LockError> {
            let _ = id;
            Ok(is_held("shop:book:3").await)
        }

        const KIND: &'static str = "book";
    }

    #[tokio::test]
    async fn methods_work_with_any_self() {
        alone(async {
            let mut shop = Shop { id: 7 };
            assert!(shop.by_reference().await.unwrap());
            assert!(shop.by_mutable_reference().await.unwrap());
            assert_eq!(Pin::new(&mut shop).by_pin().await.unwrap(), 8);
            let shop = shop.by_value().await.unwrap();
            let shop = shop.by_mutable_value().await.unwrap();
            assert_eq!(Arc::new(shop).by_arc().await.unwrap(), 9);
            assert!(Shop::without_self(3).await.unwrap());
        })
        .await;
    }

    #[distributed_lock(key = "list:{name}", ttl = "2s")]
    async fn generic<T, const N: usize>(name: &str, items: [T; N]) -> Result<Vec<T>, LockError>
    where
        T: Clone,
    {
        let _ = name;
        Ok(items.to_vec())
    }

    #[distributed_lock(key = "size:{N}", ttl = "2s")]
    async fn const_generic_in_the_key<const N: usize>() -> Result<bool, LockError> {
        Ok(is_held("size:4").await)
    }

    #[distributed_lock(key = "first:{left}", ttl = "2s")]
    async fn lifetimes<'a>(left: &'a str, _right: &str) -> Result<&'a str, LockError> {
        Ok(left)
    }

    #[distributed_lock(key = "any:{what}", ttl = "2s")]
    async fn impl_trait(
        what: impl fmt::Display + Clone,
    ) -> Result<impl Iterator<Item = String>, LockError> {
        Ok(std::iter::once(what.to_string()))
    }

    #[tokio::test]
    async fn generics_lifetimes_and_opaque_types_stay_as_they_are() {
        alone(async {
            assert_eq!(generic("a", [1, 2]).await.unwrap(), [1, 2]);
            assert!(const_generic_in_the_key::<4>().await.unwrap());
            assert_eq!(lifetimes("l", "r").await.unwrap(), "l");
            let texts: Vec<_> = impl_trait(5).await.unwrap().collect();
            assert_eq!(texts, ["5"]);
        })
        .await;
    }

    struct Order {
        id: u64,
        lines: Vec<u8>,
    }

    impl Order {
        fn customer(&self) -> &str {
            if self.lines.is_empty() { "" } else { "eve" }
        }
    }

    #[distributed_lock(key = "pair:{a}:{b}", ttl = "2s")]
    async fn tuple_pattern((a, b): (u8, u8)) -> Result<(bool, u8), LockError> {
        Ok((is_held("pair:1:2").await, a + b))
    }

    #[distributed_lock(key = "order:{id}", ttl = "2s")]
    async fn struct_pattern(Order { id, .. }: Order, _: u8) -> Result<(bool, u64), LockError> {
        Ok((is_held("order:5").await, id))
    }

    #[distributed_lock(
        key = "order:{order.id}:{order.lines[0]}:{order.customer()}",
        ttl = "2s"
    )]
    async fn places(order: &Order) -> Result<bool, LockError> {
        let _ = order;
        Ok(is_held("order:5:9:eve").await)
    }

    #[tokio::test]
    async fn patterns_fields_indices_and_methods_make_keys() {
        alone(async {
            let order = || Order {
                id: 5,
                lines: vec![9],
            };
            assert_eq!(tuple_pattern((1, 2)).await.unwrap(), (true, 3));
            assert_eq!(struct_pattern(order(), 0).await.unwrap(), (true, 5));
            assert!(places(&order()).await.unwrap());
        })
        .await;
    }

    trait Job {
        fn id(&self) -> u8;
        async fn by_default(&self) -> Result<bool, LockError>;
    }

    struct Nightly;

    impl Job for Nightly {
        fn id(&self) -> u8 {
            2
        }

        #[distributed_lock(key = "job:{self.id()}", ttl = "2s")]
        async fn by_default(&self) -> Result<bool, LockError> {
            Ok(is_held("job:2").await)
        }
    }

    trait WithBody: Sized {
        const ID: u8;

        #[distributed_lock(key = "job:{Self::ID}", ttl = "2s")]
        async fn run(self) -> Result<bool, LockError> {
            let _this = self;
            Ok(is_held("job:3").await)
        }
    }

    impl WithBody for Nightly {
        const ID: u8 = 3;
    }

    #[tokio::test]
    async fn trait_methods_are_locked_in_the_trait_and_in_the_impl() {
        alone(async {
            assert!(Nightly.by_default().await.unwrap());
            assert!(Nightly.run().await.unwrap());
        })
        .await;
    }

    #[async_trait::async_trait]
    trait Boxed {
        fn number(&self) -> u8;

        #[distributed_lock(key = "boxed:{self.number()}:{part}", ttl = "2s")]
        async fn in_the_trait(&self, part: &str) -> Result<bool, LockError> {
            let _ = part;
            Ok(is_held("boxed:4:a").await)
        }

        async fn in_the_impl(&self, part: String) -> Result<bool, BookingError>;
    }

    #[async_trait::async_trait]
    impl Boxed for Nightly {
        fn number(&self) -> u8 {
            4
        }

        #[distributed_lock(key = "boxed:{self.number()}:{part}", ttl = "2s")]
        async fn in_the_impl(&self, part: String) -> Result<bool, BookingError> {
            drop(part);
            Ok(is_held("boxed:4:b").await)
        }
    }

    #[async_trait::async_trait(?Send)]
    trait BoxedLocal {
        async fn run(&self, id: Rc<u8>) -> Result<bool, LockError>;
    }

    #[async_trait::async_trait(?Send)]
    impl BoxedLocal for Nightly {
        #[distributed_lock(key = "local:{id}", ttl = "2s")]
        async fn run(&self, id: Rc<u8>) -> Result<bool, LockError> {
            drop(id);
            Ok(is_held("local:1").await)
        }
    }

    #[tokio::test]
    async fn async_trait_methods_are_locked() {
        alone(async {
            assert!(Nightly.in_the_trait("a").await.unwrap());
            assert!(Nightly.in_the_impl("b".to_owned()).await.unwrap());
            assert!(BoxedLocal::run(&Nightly, Rc::new(1)).await.unwrap());
        })
        .await;
    }

    type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

    #[distributed_lock(key = "boxed:{id}", ttl = "2s")]
    fn boxed(id: u8) -> Pin<Box<dyn Future<Output = Result<bool, LockError>> + Send>> {
        let id = id + 1;
        Box::pin(async move {
            assert_eq!(id, 2);
            Ok(is_held("boxed:2").await)
        })
    }

    #[distributed_lock(key = "alias:{name}", ttl = "2s")]
    fn aliased(name: &str) -> BoxFuture<'_, Result<bool, LockError>> {
        Box::pin(async move { Ok(is_held(&format!("alias:{name}")).await) })
    }

    #[distributed_lock(key = "opaque:{id}", ttl = "2s")]
    fn opaque(id: u8) -> impl Future<Output = Result<bool, LockError>> + Send {
        async move {
            let _ = id;
            Ok(is_held("opaque:1").await)
        }
    }

    #[tokio::test]
    async fn functions_that_return_a_future_of_an_async_block_are_locked() {
        alone(async {
            assert!(boxed(1).await.unwrap());
            assert!(aliased("x").await.unwrap());
            assert!(opaque(1).await.unwrap());
        })
        .await;
    }

    macro_rules! locked {
        ($name:ident, $key:literal, $ttl:expr, $ok:ty, $body:block) => {
            #[distributed_lock(key = $key, ttl = $ttl)]
            async fn $name(id: u8) -> Result<$ok, LockError> {
                let _ = id;
                $body
            }
        };
    }

    locked!(from_a_macro, "macro:{id}", "2s", bool, {
        Ok(is_held("macro:6").await)
    });
    locked!(from_a_macro_by_expression, "macro:{id}", TTL, bool, {
        Ok(is_held("macro:6").await)
    });

    #[tokio::test]
    async fn functions_made_by_macro_rules_are_locked() {
        alone(async {
            assert!(from_a_macro(6).await.unwrap());
            assert!(from_a_macro_by_expression(6).await.unwrap());
        })
        .await;
    }

    #[distributed_lock(key = "raw:{r#type}", ttl = "2s")]
    async fn r#async(r#type: u8) -> Result<bool, LockError> {
        let _ = r#type;
        Ok(is_held("raw:1").await)
    }

    #[tokio::test]
    async fn names_that_are_keywords_are_locked() {
        alone(async {
            assert!(r#async(1).await.unwrap());
        })
        .await;
    }

    #[distributed_lock(key = "inner", ttl = "2s")]
    async fn inner_attributes() -> Result<u8, LockError> {
        #![expect(unused_variables, reason = "the claim is that this attribute holds")]
        let unused = 1;
        Ok(1)
    }

    #[distributed_lock(key = "items", ttl = "2s")]
    async fn items_in_the_body() -> Result<u8, BookingError> {
        // Shadows the name in the return type, inside the body only.
        #[expect(dead_code, reason = "the claim is that this name shadows nothing")]
        struct BookingError;
        const POINT: u8 = 3;
        fn helper() -> u8 {
            POINT
        }
        Ok(helper())
    }

    #[distributed_lock(key = "cfg:{kept}", ttl = "2s")]
    async fn conditional_arguments(
        kept: u8,
        #[cfg(any())] _removed: u8,
    ) -> Result<bool, LockError> {
        let _ = kept;
        Ok(is_held("cfg:1").await)
    }

    #[tokio::test]
    async fn the_body_keeps_its_attributes_and_items() {
        alone(async {
            assert_eq!(inner_attributes().await.unwrap(), 1);
            assert_eq!(items_in_the_body().await.unwrap(), 3);
            assert!(conditional_arguments(1).await.unwrap());
        })
        .await;
    }
}

mod returns {
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
}

mod keys {
    use super::*;

    #[distributed_lock(key = "doc:{path}:{version}", ttl = "2s")]
    async fn save(path: &str, version: u8) -> Result<bool, LockError> {
        let _ = (path, version);
        Ok(is_held("doc:a%2Fb%3Ac%25:1").await)
    }

    #[tokio::test]
    async fn values_are_escaped() {
        alone(async { assert!(save("a/b:c%", 1).await.unwrap()) }).await;
    }

    #[distributed_lock(key = "pair:{left}:{right}", ttl = "2s")]
    async fn pair(left: &str, right: &str, other: &str) -> Result<bool, LockError> {
        let _ = (left, right);
        Ok(is_held(other).await)
    }

    #[tokio::test]
    async fn different_arguments_never_make_the_same_key() {
        alone(async {
            assert!(!pair("a:b", "c", "pair:a:b:c").await.unwrap());
            assert!(!pair("a", "b:c", "pair:a:b:c").await.unwrap());
            assert!(pair("a", "c", "pair:a:c").await.unwrap());
        })
        .await;
    }

    #[distributed_lock(key = "{{tag}}:{id}", ttl = "2s")]
    async fn hash_tag(id: u8) -> Result<bool, LockError> {
        let _ = id;
        Ok(is_held("{tag}:1").await)
    }

    #[tokio::test]
    async fn doubled_braces_are_braces() {
        alone(async { assert!(hash_tag(1).await.unwrap()) }).await;
    }

    #[distributed_lock(key = "day:{day:>04}:{hour:02}", ttl = "2s")]
    async fn padded(day: u16, hour: &u8) -> Result<bool, LockError> {
        let _ = (day, hour);
        Ok(is_held("day:0042:07").await)
    }

    #[tokio::test]
    async fn a_width_pads_unsigned_integers_with_zeros() {
        alone(async { assert!(padded(42, &7).await.unwrap()) }).await;
    }

    #[distributed_lock(key = "tenant:{tenant}", ttl = "2s")]
    async fn tenant(tenant: &str) -> Result<(), LockError> {
        let _ = tenant;
        panic!("the body must not run")
    }

    #[tokio::test]
    async fn an_empty_value_is_refused() {
        alone(async {
            let error = tenant("").await.unwrap_err();
            assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
        })
        .await;
    }

    struct Name(String);

    impl AsRef<str> for Name {
        fn as_ref(&self) -> &str {
            &self.0
        }
    }

    const KEY: &str = "constant";

    #[distributed_lock(key = KEY, ttl = "2s")]
    async fn constant() -> Result<bool, LockError> {
        Ok(is_held("constant").await)
    }

    #[distributed_lock(key = name, ttl = "2s")]
    async fn argument(name: String) -> Result<String, LockError> {
        assert!(is_held("a/b").await);
        Ok(name)
    }

    #[distributed_lock(key = name.0, ttl = "2s")]
    async fn field(name: Name) -> Result<bool, LockError> {
        Ok(is_held(&name.0).await)
    }

    #[distributed_lock(key = name, ttl = "2s")]
    async fn as_ref(name: &Name) -> Result<bool, LockError> {
        Ok(is_held(&name.0).await)
    }

    #[distributed_lock(key = format!("seat:{}", id + 1), ttl = "2s")]
    async fn formatted(id: u8) -> Result<bool, LockError> {
        let _ = id;
        Ok(is_held("seat:2").await)
    }

    #[tokio::test]
    async fn an_expression_is_the_whole_key_and_stays_the_callers() {
        alone(async {
            assert!(constant().await.unwrap());
            assert_eq!(argument("a/b".to_owned()).await.unwrap(), "a/b");
            assert!(field(Name("n".to_owned())).await.unwrap());
            assert!(as_ref(&Name("m".to_owned())).await.unwrap());
            assert!(formatted(1).await.unwrap());
        })
        .await;
    }
}

mod options {
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
}

/// Whoever rolls back in a destructor does it under the lock.
mod drops {
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
    async fn work(
        log: &Log,
        end: End,
        first: Witness,
        _second: Witness,
    ) -> Result<(), BookingError> {
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
}

/// Nothing demands `Send`, and nothing takes it away.
mod send {
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
    fn a_locked_function_adds_little_to_the_future() {
        #[distributed_lock(key = "size", ttl = "2s")]
        async fn empty() -> Result<(), LockError> {
            Ok(())
        }
        drop(assert_send(owns_nothing(PhantomData)));
        let bytes = size_of_val(&empty());
        assert!(bytes <= 200, "{bytes} bytes");
    }
}

mod beside_other_attributes {
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
}
