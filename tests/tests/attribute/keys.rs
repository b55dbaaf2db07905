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

#[distributed_lock(key = KEY.to_owned() + ":" + name, ttl = "2s")]
async fn added(name: &str) -> Result<bool, LockError> {
    Ok(is_held("constant:a").await)
}

#[distributed_lock(keys = [name.clone() + "1", &*name as &str], ttl = "2s")]
async fn added_in_a_list(name: String) -> Result<bool, LockError> {
    Ok(is_held("a").await && is_held("a1").await)
}

macro_rules! keyed_by {
    ($name:ident, $key:expr) => {
        #[distributed_lock(key = $key, ttl = "2s")]
        async fn $name() -> Result<bool, LockError> {
            Ok(is_held("constant:b").await)
        }
    };
}

keyed_by!(added_in_a_macro, KEY.to_owned() + ":b");

#[tokio::test]
async fn an_expression_is_taken_whole_whatever_its_operators() {
    alone(async {
        assert!(added_in_a_macro().await.unwrap());
        assert!(added("a").await.unwrap());
        assert!(added_in_a_list("a".to_owned()).await.unwrap());
    })
    .await;
}
