//! What stands in a signature stays as it is.
#![deny(warnings)]

use std::{fmt::Display, future::Future, pin::Pin};

use lockguard::{LockError, distributed_lock};

pub struct Store<T>(T);

impl<T> Store<T>
where
    T: Display,
{
    #[distributed_lock(key = "store:{self.0}:{Self::NAME}", ttl = "2s")]
    pub async fn with<'a, U, const N: usize>(
        &'a self,
        others: [U; N],
        mut each: impl FnMut(&U),
    ) -> Result<&'a T, LockError>
    where
        U: Clone + 'a,
    {
        others.iter().for_each(&mut each);
        Ok(&self.0)
    }

    const NAME: &'static str = "name";
}

pub trait Job {
    fn run(&self, id: u64) -> impl Future<Output = Result<u64, LockError>> + Send;
}

impl Job for Store<u8> {
    #[distributed_lock(key = "job:{id}", ttl = "2s")]
    async fn run(&self, id: u64) -> Result<u64, LockError> {
        Ok(id)
    }
}

#[distributed_lock(key = "walk:{depth}", ttl = "2s")]
pub fn recursive(depth: u8) -> Pin<Box<dyn Future<Output = Result<u8, LockError>> + Send>> {
    Box::pin(async move {
        match depth {
            0 => Ok(0),
            _ => recursive(depth - 1).await,
        }
    })
}

fn main() {
    let store = Store(1);
    drop(store.with([1], |_| {}));
    drop((store.run(1), recursive(1)));
}
