//! What a locked function does, for every shape a function can have.

#![deny(warnings)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod arguments;
/// Public, so that `missing_docs` looks at what is in it.
pub mod beside_other_attributes;
mod bindings;
mod busy;
/// Whoever rolls back in a destructor does it under the lock.
mod drops;
mod error_types;
mod futures;
mod holds;
mod keys;
mod methods;
mod nested;
mod options;
mod returns;
/// Nothing demands `Send`, and nothing takes it away.
mod send;
mod services;
mod several;
mod shapes;
mod sizes;

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
