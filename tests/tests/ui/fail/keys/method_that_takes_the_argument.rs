use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "seat:{name.into_string()}", ttl = "2s")]
async fn book(name: Box<str>) -> Result<Box<str>, LockError> {
    Ok(name)
}

fn main() {
    drop(book("".into()));
}
