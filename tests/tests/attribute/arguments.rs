use super::*;

#[distributed_lock(key = "moved:{name}", ttl = "2s")]
async fn moved(name: String, items: Vec<u8>) -> Result<(String, Vec<u8>), LockError> {
    Ok((name, items))
}

#[tokio::test]
async fn an_argument_is_in_the_key_and_moved_by_the_body() {
    alone(async {
        let (name, items) = moved("a".into(), vec![1]).await.unwrap();
        assert_eq!((name.as_str(), items.len()), ("a", 1));
    })
    .await;
}

#[distributed_lock(key = "changed:{count}", ttl = "2s")]
async fn changed(mut count: u8, list: &mut Vec<u8>) -> Result<u8, LockError> {
    count += 1;
    list.push(count);
    Ok(count)
}

#[tokio::test]
async fn an_argument_is_changed_by_the_body() {
    alone(async {
        let mut list = vec![];
        assert_eq!(changed(1, &mut list).await.unwrap(), 2);
        assert_eq!(list, [2]);
    })
    .await;
}

#[distributed_lock(key = "unused", ttl = "2s")]
async fn unused(_: String, _name: Rc<u8>, (_left, _): (u8, u8)) -> Result<(), LockError> {
    Ok(())
}

#[tokio::test]
async fn arguments_need_not_be_used() {
    alone(async { unused(String::new(), Rc::new(1), (1, 2)).await.unwrap() }).await;
}

#[distributed_lock(key = "pattern:{a}:{b}:{c}:{tail}", ttl = "2s")]
async fn patterns(
    &(a, ref b): &(u8, String),
    [c, .., _]: [u8; 3],
    Wrapped(tail @ 1..=9 | tail, ..): Wrapped,
) -> Result<String, LockError> {
    Ok(format!("{a}{b}{c}{tail}"))
}

struct Wrapped(u8, #[expect(dead_code, reason = "a pattern skips it")] u8);

#[tokio::test]
async fn an_argument_is_any_pattern() {
    alone(async {
        let made = patterns(&(1, "x".into()), [2, 0, 0], Wrapped(3, 0)).await;
        assert_eq!(made.unwrap(), "1x23");
    })
    .await;
}

#[distributed_lock(key = "called:{id}", ttl = "2s")]
async fn closures<F>(
    id: u8,
    once: impl FnOnce(u8) -> u8,
    mut often: F,
    object: &(dyn Fn(u8) -> u8 + Sync),
) -> Result<u8, LockError>
where
    F: FnMut(u8) -> u8,
{
    Ok(object(often(once(id)) + often(0)))
}

#[tokio::test]
async fn closures_are_arguments() {
    alone(async {
        let mut calls = 0;
        let count = |x| {
            calls += 1;
            x + calls
        };
        let made = closures(1, |x| x * 10, count, &|x| x * 2).await;
        assert_eq!(made.unwrap(), 26);
    })
    .await;
}

#[distributed_lock(key = "asynchronous:{id}", ttl = "2s")]
async fn async_closure(id: u8, body: impl AsyncFnOnce(u8) -> u8) -> Result<u8, LockError> {
    Ok(body(id).await)
}

#[tokio::test]
async fn an_async_closure_is_an_argument() {
    alone(async {
        let made = async_closure(1, async |x| {
            tokio::task::yield_now().await;
            x + 1
        });
        assert_eq!(made.await.unwrap(), 2);
    })
    .await;
}

#[distributed_lock(key = "future", ttl = "2s")]
async fn future<T>(work: impl Future<Output = T>) -> Result<T, LockError> {
    Ok(work.await)
}

#[tokio::test]
async fn a_future_is_an_argument_and_runs_under_the_lock() {
    Box::pin(alone(async {
        assert!(future(is_held("future")).await.unwrap());
    }))
    .await;
}

#[distributed_lock(key = "arrays:{N}:{NAMED}", ttl = "2s")]
async fn const_generics<const N: usize, const NAMED: bool>(
    bytes: [u8; N],
) -> Result<([u8; N], bool), LockError> {
    Ok((bytes, NAMED))
}

#[tokio::test]
async fn const_generics_are_in_the_key_and_the_body() {
    alone(async {
        assert_eq!(
            const_generics::<2, true>([1, 2]).await.unwrap(),
            ([1, 2], true)
        );
    })
    .await;
}

trait Keyed {
    const KIND: &'static str;
    fn id(&self) -> u64;
}

impl Keyed for u64 {
    const KIND: &'static str = "number";
    fn id(&self) -> u64 {
        *self
    }
}

#[distributed_lock(key = "{T::KIND}:{item.id()}", ttl = "2s", bind = lease)]
async fn bounded<'a, T>(item: &'a T, _more: &[T]) -> Result<(&'a T, String), LockError>
where
    T: Keyed + 'a,
{
    Ok((item, format!("{:?}", lease.keys())))
}

#[tokio::test]
async fn a_key_names_what_a_type_parameter_knows() {
    alone(async {
        let (item, key) = bounded(&7, &[]).await.unwrap();
        assert_eq!((*item, key.as_str()), (7, "[\"number:7\"]"));
    })
    .await;
}

#[distributed_lock(key = "opaque", ttl = "2s")]
async fn opaque_in_a_tuple(
    id: u8,
) -> Result<(impl Fn(u8) -> u8, impl Iterator<Item = u8>), LockError> {
    Ok((move |x| x + id, std::iter::once(id)))
}

#[tokio::test]
async fn opaque_types_stand_anywhere_in_the_return_type() {
    alone(async {
        let (add, mut ids) = opaque_in_a_tuple(1).await.unwrap();
        assert_eq!((add(1), ids.next()), (2, Some(1)));
    })
    .await;
}

#[distributed_lock(key = "loop", ttl = "2s")]
async fn leaves_early(numbers: &[i8]) -> Result<i8, BookingError> {
    'rows: for number in numbers {
        match number {
            0 => {}
            -1 => break 'rows,
            -2 => return Err(BookingError::SoldOut),
            number => return Ok(*number),
        }
    }
    Ok(0)
}

#[tokio::test]
async fn the_body_leaves_wherever_it_likes() {
    alone(async {
        assert_eq!(leaves_early(&[0, 3]).await.unwrap(), 3);
        assert_eq!(leaves_early(&[0, -1, 3]).await.unwrap(), 0);
        leaves_early(&[-2]).await.unwrap_err();
        assert!(!is_held("loop").await);
    })
    .await;
}

#[distributed_lock(key = "select", ttl = "2s")]
async fn selects(fast: bool) -> Result<&'static str, LockError> {
    tokio::select! {
        biased;
        () = std::future::ready(()), if fast => Ok("fast"),
        () = tokio::time::sleep(Duration::from_millis(1)) => Ok("slow"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_uses_macros_that_return() {
    alone(async {
        assert_eq!(selects(true).await.unwrap(), "fast");
        assert_eq!(selects(false).await.unwrap(), "slow");
    })
    .await;
}

#[distributed_lock(key = "shadow:{key}", ttl = "2s")]
async fn shadows(key: u8) -> Result<String, LockError> {
    let key = format!("{key}{key}");
    let (lease, guard, body, value, error) = (1, 2, 3, 4, 5);
    Ok(format!("{key}{}", lease + guard + body + value + error))
}

#[tokio::test]
async fn the_body_may_use_any_name() {
    alone(async { assert_eq!(shadows(1).await.unwrap(), "1115") }).await;
}
