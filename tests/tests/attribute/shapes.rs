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

#[distributed_lock(key = "raw:{id}:{r#row}", ttl = "2s")]
async fn raw_without_need(r#id: u8, row: u8) -> Result<bool, LockError> {
    Ok(is_held(&format!("raw:{id}:{row}")).await)
}

#[tokio::test]
async fn a_raw_identifier_is_the_name_without_its_prefix() {
    alone(async {
        assert!(raw_without_need(1, 2).await.unwrap());
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
async fn conditional_arguments(kept: u8, #[cfg(any())] _removed: u8) -> Result<bool, LockError> {
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
