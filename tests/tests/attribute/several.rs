use std::collections::BTreeSet;

use super::*;

#[distributed_lock(keys = ["account:{from}", "account:{to}"], ttl = "2s")]
async fn transfer(from: u8, to: u8) -> Result<(bool, bool), LockError> {
    let from = is_held(&format!("account:{from}")).await;
    Ok((from, is_held(&format!("account:{to}")).await))
}

#[tokio::test]
async fn a_list_of_templates_locks_all_and_gives_all_back() {
    alone(async {
        assert_eq!(transfer(7, 3).await.unwrap(), (true, true));
        assert!(!is_held("account:7").await);
        assert!(!is_held("account:3").await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_name_the_same_keys_in_other_orders_do_not_block_each_other() {
    alone(async {
        let (left, right) = tokio::join!(transfer(1, 2), transfer(2, 1));
        left.and(right).unwrap();
    })
    .await;
}

#[tokio::test]
async fn two_values_of_one_key_are_one_lock() {
    // Only the caller knows that they are the same.
    alone(async { assert_eq!(transfer(5, 5).await.unwrap(), (true, true)) }).await;
}

#[distributed_lock(keys = ["account:{from}", "account:{to}"], ttl = "2s", wait = "0s")]
async fn try_transfer(from: u8, to: u8) -> Result<(), LockError> {
    let _ = (from, to);
    panic!("the body must not run")
}

#[tokio::test]
async fn one_busy_key_keeps_all_of_them_free() {
    alone(async {
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("account:3", TTL).acquire().await.unwrap();
        let error = try_transfer(7, 3).await.unwrap_err();
        assert!(error.is_busy());
        assert_eq!(error.key(), Some("account:3"));
        assert!(!is_held("account:7").await);
    })
    .await;
}

const SHOP: &str = "shop";

#[distributed_lock(
    keys = [SHOP, "seat:{}".replace("{}", &number.to_string()), &name, "day:{day:>03}"],
    ttl = "2s",
    bind = lease
)]
async fn mixed(number: u8, name: String, day: u16) -> Result<(String, String), LockError> {
    Ok((name, format!("{:?}", lease.keys())))
}

#[tokio::test]
async fn a_list_mixes_templates_and_expressions() {
    alone(async {
        let (name, keys) = mixed(4, "n".into(), 7).await.unwrap();
        assert_eq!(name, "n");
        assert_eq!(keys, r#"["day:007", "n", "seat:4", "shop"]"#);
    })
    .await;
}

struct Service {
    names: Mutex<(String, String)>,
}

impl Service {
    // Two guards of one mutex in one statement would wait for each other.
    #[distributed_lock(
        keys = [self.names.lock().unwrap().0, self.names.lock().unwrap().1, "fixed"],
        ttl = "2s",
        bind = lease
    )]
    async fn from_a_mutex(&self) -> Result<usize, LockError> {
        Ok(lease.keys().len())
    }
}

#[tokio::test]
async fn each_element_is_evaluated_in_its_own_statement() {
    alone(async {
        let service = Service {
            names: Mutex::new(("a".into(), "b".into())),
        };
        assert_eq!(service.from_a_mutex().await.unwrap(), 3);
    })
    .await;
}

#[distributed_lock(keys = seats.iter().map(|seat| format!("seat:{seat}")), ttl = "2s")]
async fn iterator(seats: &[u8]) -> Result<bool, LockError> {
    Ok(seats.len() == 2 && is_held("seat:1").await && is_held("seat:2").await)
}

#[distributed_lock(keys = seats, ttl = "2s")]
async fn owned(seats: Vec<String>) -> Result<Vec<String>, LockError> {
    assert!(is_held("a").await && is_held("b").await);
    Ok(seats)
}

#[distributed_lock(keys = seats, ttl = "2s")]
async fn borrowed(seats: &BTreeSet<String>) -> Result<usize, LockError> {
    Ok(seats.len())
}

#[distributed_lock(keys = seats, ttl = "2s")]
async fn array<const N: usize>(seats: [&str; N]) -> Result<usize, LockError> {
    Ok(seats.len())
}

#[distributed_lock(keys = seats, ttl = "2s", bind = lease)]
async fn any(seats: impl IntoIterator<Item: AsRef<str>>) -> Result<usize, LockError> {
    Ok(lease.keys().len())
}

#[distributed_lock(keys = self::keys_of(count), ttl = "2s", bind = lease)]
async fn call(count: u8) -> Result<usize, LockError> {
    let _ = count;
    Ok(lease.keys().len())
}

fn keys_of(count: u8) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("k:{number}"))
}

#[tokio::test]
async fn an_expression_yields_the_keys_and_a_collection_stays_the_bodys() {
    alone(async {
        assert!(iterator(&[1, 2]).await.unwrap());
        let seats = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(owned(seats.clone()).await.unwrap(), seats);
        assert_eq!(borrowed(&seats.into_iter().collect()).await.unwrap(), 2);
        assert_eq!(array(["x", "y", "z"]).await.unwrap(), 3);
        assert_eq!(any(["x", "y"]).await.unwrap(), 2);
        assert_eq!(call(5).await.unwrap(), 5);
    })
    .await;
}

#[tokio::test]
async fn no_key_at_all_is_an_error_of_the_call() {
    alone(async {
        let error = call(0).await.unwrap_err();
        assert!(matches!(error, LockError::InvalidOptions { .. }), "{error}");
    })
    .await;
}

#[distributed_lock(keys = ["tenant:{tenant}", "shop:{shop}"], ttl = "2s")]
async fn tenants(tenant: &str, shop: &str) -> Result<(), LockError> {
    let _ = (tenant, shop);
    panic!("the body must not run")
}

#[tokio::test]
async fn an_empty_value_in_a_list_is_refused() {
    alone(async {
        for (tenant, shop) in [("", "a"), ("a", "")] {
            let error = tenants(tenant, shop).await.unwrap_err();
            assert!(matches!(error, LockError::InvalidKey { .. }), "{error}");
        }
        assert!(!is_held("tenant:a").await);
    })
    .await;
}

#[distributed_lock(keys = ["a", "b"], ttl = "2s", on_busy = skip)]
async fn skipped() -> Result<Option<u8>, LockError> {
    Ok(Some(1))
}

#[tokio::test]
async fn several_keys_are_skipped_when_one_is_busy() {
    alone(async {
        assert_eq!(skipped().await.unwrap(), Some(1));
        let manager = lockguard::manager().unwrap();
        let _guard = manager.lock("b", TTL).acquire().await.unwrap();
        assert_eq!(skipped().await.unwrap(), None);
    })
    .await;
}

#[distributed_lock(keys = ["a", "c"], ttl = "2s", name = "inner")]
async fn overlapping() -> Result<(), LockError> {
    panic!("the body must not run")
}

#[tokio::test]
async fn a_list_that_shares_a_key_with_its_caller_is_reentrant() {
    #[distributed_lock(keys = ["a", "b"], ttl = "2s", name = "outer")]
    async fn outer() -> Result<(), LockError> {
        overlapping().await
    }
    alone(async {
        let error = outer().await.unwrap_err();
        assert!(matches!(error, LockError::Reentrant { .. }), "{error}");
        assert_eq!(error.key(), Some("a"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_of_several_keys_frees_all() {
    #[distributed_lock(keys = ["a", "b"], ttl = "2s")]
    async fn slow() -> Result<(), LockError> {
        std::future::pending().await
    }
    alone(async {
        assert!(slow().await.unwrap_err().is_lost());
        assert!(!is_held("a").await && !is_held("b").await);
    })
    .await;
}
