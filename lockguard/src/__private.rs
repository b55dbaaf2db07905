//! What expansions of the attribute call; not for anybody else.
//!
//! An expansion evaluates the key and the options and calls these; whatever
//! needs an `if` is here.

use std::sync::{Arc, LazyLock};

pub use crate::template::{KeyPart, Padded, UnsignedInteger};
use crate::{
    fencing_token::FencingToken, lease::Lease, lock_error::LockError, manager::LockManager,
    point::Point, request::LockRequest, scratch::with_text, template::render,
};

pub use core::{
    concat, module_path,
    result::Result::{Err, Ok},
    time::Duration,
};

pub use crate::{
    OnLost,
    locked::{Acquired, Locked, Tried, acquire, locked, locked_since, try_locked},
};

/// A key, or why there is none.
pub type Key = Result<String, LockError>;

/// The manager that a lock point uses, or why there is none.
pub type Manager = Result<LockManager, LockError>;

/// The key of a template: `texts` around `values`.
pub fn key(texts: &[&str], values: &[&dyn KeyPart]) -> Key {
    let mut key = String::new();
    render(&mut key, texts, values)?;
    Ok(key)
}

/// A value with leading zeros.
pub fn padded<T: UnsignedInteger>(value: &T, width: usize) -> Padded<T> {
    Padded {
        value: *value,
        width,
    }
}

/// What `key = expr` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a lock key",
    label = "a key is text: `&str`, `String` or `LockKey`",
    note = "write a template, `key = \"seat:{{seat_id}}\"`, or make a `String`, \
            `key = format!(…)`"
)]
pub trait RawKey {
    /// The key's text.
    fn raw_key(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> RawKey for T {
    fn raw_key(&self) -> &str {
        self.as_ref()
    }
}

/// A key that the user has made.
pub fn raw_key<K: RawKey + ?Sized>(key: &K) -> Key {
    Ok(key.raw_key().to_owned())
}

/// Several keys, or why there are none.
pub type Keys = Result<Vec<String>, LockError>;

/// The keys of a list: the first error, if there is one.
pub fn keys<const N: usize>(keys: [Key; N]) -> Keys {
    keys.into_iter().collect()
}

/// What `keys = expr` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of lock keys",
    label = "`keys` takes an `IntoIterator` of text: `&str`, `String` or `LockKey`",
    note = "write a list, `keys = [\"seat:{{from}}\", \"seat:{{to}}\"]`, or make the keys, `keys = \
            seats.iter().map(|seat| format!(…))`"
)]
pub trait RawKeys {
    /// The keys' texts.
    fn raw_keys(self) -> Vec<String>;
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator<Item: AsRef<str>>> RawKeys for I {
    fn raw_keys(self) -> Vec<String> {
        self.into_iter()
            .map(|key| key.as_ref().to_owned())
            .collect()
    }
}

/// Keys that the user has made.
///
/// # Errors
///
/// None; it stands where [`keys`] may stand.
pub fn raw_keys<K: RawKeys>(keys: K) -> Keys {
    Ok(keys.raw_keys())
}

/// What `manager = …` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a lock manager",
    label = "`manager` takes a `LockManager`",
    note = "accepted are `LockManager`, a reference, `Arc` or `LazyLock` of it, and \
            `Result<LockManager, LockError>`, such as `lockguard::named(\"payments\")`"
)]
pub trait IntoManager {
    /// The manager, taken by reference.
    fn to_manager(&self) -> Manager;
}

impl IntoManager for LockManager {
    fn to_manager(&self) -> Manager {
        Ok(self.clone())
    }
}

impl<T: IntoManager + ?Sized> IntoManager for &T {
    fn to_manager(&self) -> Manager {
        (**self).to_manager()
    }
}

impl<T: IntoManager + ?Sized> IntoManager for Arc<T> {
    fn to_manager(&self) -> Manager {
        (**self).to_manager()
    }
}

impl<T: IntoManager, F: FnOnce() -> T> IntoManager for LazyLock<T, F> {
    fn to_manager(&self) -> Manager {
        (**self).to_manager()
    }
}

impl<T: IntoManager> IntoManager for Result<T, LockError> {
    fn to_manager(&self) -> Manager {
        match self {
            Ok(manager) => manager.to_manager(),
            Err(error) => Err(error.clone()),
        }
    }
}

/// The manager of `manager = …`.
pub fn manager_of<M: IntoManager + ?Sized>(manager: &M) -> Manager {
    manager.to_manager()
}

/// The request of a lock point with the manager of `lockguard::scope`, else
/// the registered one; never fails.
pub fn request(key: Key, ttl: Duration, point: &'static str) -> LockRequest {
    request_of(crate::manager(), key, ttl, point)
}

/// The request of a lock point whose key is a template, and its ttl so many
/// milliseconds; never fails.
pub fn request_at(
    texts: &[&str],
    values: &[&dyn KeyPart],
    ttl: u64,
    point: &'static str,
) -> LockRequest {
    let point = Point::Named(point.into());
    let target = crate::manager().and_then(|manager| {
        let key = with_text(|key| {
            render(key, texts, values)?;
            manager.core().key(key)
        });
        Ok((manager.into_core(), key?.into()))
    });
    LockRequest::new(target, Duration::from_millis(ttl), point)
}

/// The request of a lock point with a manager of its own; never fails.
pub fn request_of(manager: Manager, key: Key, ttl: Duration, point: &'static str) -> LockRequest {
    let point = Point::Named(point.into());
    let target = manager.and_then(|manager| {
        let key = manager.core().key(&key?)?;
        Ok((manager.into_core(), key.into()))
    });
    LockRequest::new(target, ttl, point)
}

/// As [`request`], for several keys.
pub fn request_all(keys: Keys, ttl: Duration, point: &'static str) -> LockRequest {
    request_all_of(crate::manager(), keys, ttl, point)
}

/// As [`request_of`], for several keys.
pub fn request_all_of(
    manager: Manager,
    keys: Keys,
    ttl: Duration,
    point: &'static str,
) -> LockRequest {
    let point = Point::Named(point.into());
    let target = manager.and_then(|manager| {
        let keys = manager.core().keys(keys?)?;
        Ok((manager.into_core(), keys))
    });
    LockRequest::new(target, ttl, point)
}

/// Tells a busy key, `Err`, from what `on_busy` is not asked about, `Ok`.
///
/// # Errors
///
/// [`LockError::Busy`].
pub fn unless_busy(acquired: Acquired) -> Result<Acquired, LockError> {
    match acquired {
        Err(error) => if_not_busy(error).map(Err),
        acquired => Ok(acquired),
    }
}

/// Tells a busy key, `Err`, from what `on_busy` is not asked about, `Ok`.
///
/// # Errors
///
/// [`LockError::Busy`].
pub fn if_not_busy(error: LockError) -> Result<LockError, LockError> {
    if error.is_busy() {
        Err(error)
    } else {
        Ok(error)
    }
}

/// A return type that can say that the function did not run.
///
/// Never a default value, which the caller could take for a real one.
#[diagnostic::on_unimplemented(
    message = "`on_busy = skip` cannot make a `{Self}` for a function that did not run",
    label = "the caller could not tell this `{Self}` from a real one",
    note = "return `Result<(), _>` or `Result<Option<_>, _>`, or say what to return when the key \
            is busy: `on_busy = …`"
)]
pub trait SkipOutput {
    /// The value that says so.
    fn skipped() -> Self;
}

impl SkipOutput for () {
    fn skipped() {}
}

impl<T> SkipOutput for Option<T> {
    fn skipped() -> Self {
        None
    }
}

impl<T: SkipValue, E> SkipOutput for Result<T, E> {
    fn skipped() -> Self {
        Ok(T::skipped())
    }
}

/// What a [`Result`] holds that can say that the function did not run.
#[diagnostic::on_unimplemented(
    message = "`on_busy = skip` cannot make a `{Self}` for a function that did not run",
    label = "the caller could not tell this `{Self}` from a real one",
    note = "return `Result<Option<{Self}>, _>`, or say what to return when the key is busy: \
            `on_busy = Ok(…)`"
)]
pub trait SkipValue {
    /// The value that says so.
    fn skipped() -> Self;
}

impl SkipValue for () {
    fn skipped() {}
}

impl<T> SkipValue for Option<T> {
    fn skipped() -> Self {
        None
    }
}

/// What a block returns, for the compiler to know: it is named, and never called.
#[expect(clippy::empty_loop, reason = "nothing waits in it")]
pub fn never<R>() -> R {
    loop {}
}

/// What a function returns that was skipped.
pub fn skipped<R: SkipOutput>() -> R {
    R::skipped()
}

/// The lease of `bind = …`, in the body that it belongs to.
///
/// # Panics
///
/// Never: a body is polled as the innermost of its task.
#[expect(
    clippy::expect_used,
    reason = "expansions call it where the body begins"
)]
pub fn lease() -> Lease {
    crate::current().expect("a body that runs has a lease")
}

/// The fencing token of `fence = …`, in the body that it belongs to.
///
/// # Panics
///
/// Never: the expansion has asked for a fenced lease.
#[expect(
    clippy::expect_used,
    reason = "a fenced request is granted with a token, or not at all"
)]
pub fn fence() -> FencingToken {
    lease()
        .fencing_token()
        .expect("a fenced lease has a fencing token")
}

/// A return type that can carry a lock error.
#[diagnostic::on_unimplemented(
    message = "a function that returns `{Self}` cannot report a lock error",
    label = "this return type has no place for a `lockguard::LockError`",
    note = "return a `Result<_, E>` where `E: From<lockguard::LockError>`, or add \
            `on_error = |error| …` to `#[distributed_lock]` to say what the function returns \
            when it could not run under its lock"
)]
pub trait LockOutput {
    /// The value that carries this error.
    fn from_lock_error(error: LockError) -> Self;
}

impl<T, E: FromLockError> LockOutput for Result<T, E> {
    fn from_lock_error(error: LockError) -> Self {
        Err(E::from_lock_error(error))
    }
}

/// An error type that a lock error can become.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot be built from a lock error",
    label = "`{Self}` does not implement `From<lockguard::LockError>`",
    note = "write `impl From<lockguard::LockError> for {Self}` (with thiserror: a variant \
            `Lock(#[from] lockguard::LockError)`), or add `on_error = |error| Err(…)` to \
            `#[distributed_lock]`"
)]
pub trait FromLockError {
    /// The error as the function's own.
    fn from_lock_error(error: LockError) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<LockError>> FromLockError for E {
    fn from_lock_error(error: LockError) -> Self {
        E::from(error)
    }
}

/// What the function returns instead, by `From`.
pub fn fail<R: LockOutput>(error: LockError) -> R {
    R::from_lock_error(error)
}

/// What the function returns instead, by `on_error`; infers the type of a
/// closure's argument.
pub fn on_error<R>(handler: impl FnOnce(LockError) -> R, error: LockError) -> R {
    handler(error)
}
