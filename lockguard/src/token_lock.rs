//! Locks by key and token: the shape of Go's `LockManager`.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    acquire::{Want, take},
    backend::{BoxFuture, ReleaseReply},
    backend_error::release_error,
    clock::until_unless,
    lock_error::LockError,
    manager::LockManager,
    observe,
    point::Point,
    queue::Places,
    release_error::ReleaseError,
    retry::{Patience, RetryPolicy},
    terms::Terms,
    token::OwnerToken,
    validity::LONGEST_NODE_BUDGET,
};

/// Takes and gives back locks by key and owner token.
///
/// For code that comes from Go's `LockManager { Acquire; Release }`, and for
/// callers that cannot keep a guard; [`LockManager`] implements it.
/// Nothing stops code whose lock has expired: prefer the attribute or
/// [`LockRequest::run`](crate::LockRequest::run).
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use lockguard::{LockManager, Released, TokenLock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let locks: Arc<dyn TokenLock> = Arc::new(LockManager::memory());
/// let token = locks.acquire("job:nightly", Duration::from_secs(2)).await?;
/// assert_eq!(locks.release("job:nightly", &token).await?, Released::Freed);
/// assert_eq!(locks.release("job:nightly", &token).await?, Released::NotHeld);
/// # Ok(())
/// # }
/// ```
///
/// A mock whose keys are always busy:
///
/// ```
/// use std::time::Duration;
///
/// use lockguard::{BoxFuture, LockError, OwnerToken, ReleaseError, Released, TokenLock};
///
/// struct AlwaysBusy;
///
/// impl TokenLock for AlwaysBusy {
///     fn acquire(
///         &self,
///         key: &str,
///         ttl: Duration,
///     ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
///         self.acquire_as(key, ttl, "")
///     }
///
///     fn acquire_as(
///         &self,
///         key: &str,
///         _: Duration,
///         _: &str,
///     ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
///         let error = LockError::busy(key, Duration::ZERO);
///         Box::pin(async { Err(error) })
///     }
///
///     fn release(
///         &self,
///         _: &str,
///         _: &OwnerToken,
///     ) -> BoxFuture<'_, Result<Released, ReleaseError>> {
///         Box::pin(async { Ok(Released::NotHeld) })
///     }
/// }
/// ```
pub trait TokenLock: Send + Sync {
    /// Takes the key for `ttl`, and returns what proves the ownership.
    ///
    /// The ttl, 10 ms to 24 h, counts from before the first server was asked;
    /// nothing tells the caller that it has passed.
    /// A busy key is tried again as the manager's
    /// [`RetryPolicy`](crate::RetryPolicy) says.
    /// The token's label comes from the manager's token generator, which is
    /// called once with the key.
    ///
    /// # Errors
    ///
    /// As [`LockRequest::acquire`](crate::LockRequest::acquire).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what a server may have granted is given
    /// back in the background.
    fn acquire(&self, key: &str, ttl: Duration) -> BoxFuture<'_, Result<OwnerToken, LockError>>;

    /// As [`acquire`](Self::acquire), with a label of the caller's; an empty
    /// one falls back to the token generator.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    fn acquire_as(
        &self,
        key: &str,
        ttl: Duration,
        label: &str,
    ) -> BoxFuture<'_, Result<OwnerToken, LockError>>;

    /// Gives the key back, if this token holds it.
    ///
    /// Never held, expired and released twice are [`Released::NotHeld`].
    /// Waits for a quorum of servers, and at most one second.
    ///
    /// # Errors
    ///
    /// - [`ReleaseError::NotOwner`] when another owner holds the key, which is
    ///   left alone;
    /// - [`ReleaseError::Unavailable`] when too few servers answered; the key
    ///   is free by its ttl at the latest.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the release goes on in the background.
    fn release(
        &self,
        key: &str,
        token: &OwnerToken,
    ) -> BoxFuture<'_, Result<Released, ReleaseError>>;
}

/// What a release by token came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// The token held the key, and it is free now.
    Freed,
    /// Nobody held the key: it had expired, been released, or never been held.
    NotHeld,
}

/// The token interface, without the trait.
impl LockManager {
    /// See [`TokenLock::acquire`].
    ///
    /// # Errors
    ///
    /// See [`TokenLock::acquire`].
    ///
    /// # Cancel safety
    ///
    /// See [`TokenLock::acquire`].
    pub fn acquire(
        &self,
        key: &str,
        ttl: Duration,
    ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        self.acquire_as(key, ttl, "")
    }

    /// See [`TokenLock::acquire_as`].
    ///
    /// # Errors
    ///
    /// See [`TokenLock::acquire_as`].
    ///
    /// # Cancel safety
    ///
    /// See [`TokenLock::acquire_as`].
    pub fn acquire_as(
        &self,
        key: &str,
        ttl: Duration,
        label: &str,
    ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        let (key, label) = (key.to_owned(), label.to_owned());
        Box::pin(async move { self.take_by_token(&key, ttl, &label).await })
    }

    /// See [`TokenLock::release`].
    ///
    /// # Errors
    ///
    /// See [`TokenLock::release`].
    ///
    /// # Cancel safety
    ///
    /// See [`TokenLock::release`].
    pub fn release(
        &self,
        key: &str,
        token: &OwnerToken,
    ) -> BoxFuture<'_, Result<Released, ReleaseError>> {
        let (key, token) = (key.to_owned(), token.clone());
        Box::pin(async move { self.give_back_by_token(&key, &token).await })
    }

    async fn take_by_token(
        &self,
        key: &str,
        ttl: Duration,
        label: &str,
    ) -> Result<OwnerToken, LockError> {
        let core = self.core();
        let settings = &core.settings;
        let label = match &settings.token_generator {
            _ if !label.is_empty() => Some(label.to_owned()),
            Some(generate) => Some(generate(key)),
            None => None,
        };
        let policy = settings.retry.map(RetryPolicy::patience);
        let patience = policy.unwrap_or_else(|| Patience::Wait(core.default_wait(ttl)));
        let point = Point::Named("LockManager::acquire".into());
        let refused = |error: &LockError| observe::refused(&point, error);
        let want = Want {
            keys: core.key(key).inspect_err(refused)?.into(),
            ttl,
            terms: Terms::default(),
            patience,
            label,
            point,
            is_fenced: false,
        };
        let mut places = Places::none();
        let grant = take(core, &want, &mut places).await?;
        Ok(grant.undo.into_token())
    }

    async fn give_back_by_token(
        &self,
        key: &str,
        token: &OwnerToken,
    ) -> Result<Released, ReleaseError> {
        let core = self.core();
        // What is no key was never held.
        let Ok(key) = core.key(key) else {
            return Ok(Released::NotHeld);
        };
        let release = core.release(key.clone(), token.clone());
        let keeps_time = core.backend.keeps_time();
        let deadline = || Instant::now() + LONGEST_NODE_BUDGET;
        let reply = until_unless(keeps_time, deadline, release).await;
        let reply = reply.unwrap_or_else(|| Err(core.no_answer(LONGEST_NODE_BUDGET)));
        if matches!(reply, Ok(ReleaseReply::Freed | ReleaseReply::NotHeld)) {
            // Those who wait in this process need not wait for their next look.
            core.queue.place(&key).free(token);
        }
        match reply {
            Ok(ReleaseReply::Freed) => Ok(Released::Freed),
            Ok(ReleaseReply::NotHeld) => Ok(Released::NotHeld),
            Ok(ReleaseReply::NotOwner) => Err(ReleaseError::not_owner(&key)),
            Err(error) => Err(release_error(&key, error)),
        }
    }
}

impl TokenLock for LockManager {
    fn acquire(&self, key: &str, ttl: Duration) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        self.acquire(key, ttl)
    }

    fn acquire_as(
        &self,
        key: &str,
        ttl: Duration,
        label: &str,
    ) -> BoxFuture<'_, Result<OwnerToken, LockError>> {
        self.acquire_as(key, ttl, label)
    }

    fn release(
        &self,
        key: &str,
        token: &OwnerToken,
    ) -> BoxFuture<'_, Result<Released, ReleaseError>> {
        self.release(key, token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::time::timeout;

    use super::*;
    use crate::{
        backend::{
            AcquireReply, AcquireRequest, Backend, BackendError, ExtendReply, ExtendRequest,
            Holder, ReleaseRequest,
        },
        core::Settings,
    };

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A lock store that answers every question alike, after so long.
    struct Answers {
        reply: AcquireReply,
        after: Duration,
        asked: Arc<AtomicUsize>,
    }

    impl Backend for Answers {
        fn acquire(
            &self,
            _: AcquireRequest,
        ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (reply, after) = (self.reply.clone(), self.after);
            Box::pin(async move {
                tokio::time::sleep(after).await;
                Ok(reply)
            })
        }

        fn extend(
            &self,
            _: Vec<ExtendRequest>,
        ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
            Box::pin(async { Vec::new() })
        }

        fn release(
            &self,
            _: ReleaseRequest,
        ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
            Box::pin(async { Ok(ReleaseReply::NotHeld) })
        }
    }

    /// After how long a key is busy to whoever tries like this, and how often it
    /// was asked for.
    async fn busy_after(
        reply: AcquireReply,
        after: Duration,
        policy: RetryPolicy,
    ) -> (Duration, usize) {
        let asked = Arc::default();
        let store = Answers {
            reply,
            after,
            asked: Arc::clone(&asked),
        };
        let settings = Settings {
            retry: Some(policy),
            ..Settings::default()
        };
        let manager = LockManager::with_settings(Arc::new(store), settings);
        let start = Instant::now();
        let acquire = timeout(ms(10_000), manager.acquire("k", ms(2000)));
        let error = acquire.await.expect("an end").unwrap_err();
        assert!(error.is_busy(), "{error}");
        (start.elapsed(), asked.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn tries_keep_their_number_and_delay_where_answers_are_slow() {
        let policy = RetryPolicy::tries(3).delay(ms(100));
        let busy = AcquireReply::Busy(Holder::unknown());
        let (waited, asked) = busy_after(busy, ms(300), policy).await;
        assert_eq!(asked, 3);
        assert!((ms(1100)..ms(1110)).contains(&waited), "{waited:?}");
    }

    /// Which are no tries: whoever asks at the same time splits them.
    #[tokio::test(start_paused = true)]
    async fn votes_that_stay_split_are_settled_for_as_long_as_tries_wait_and_a_second() {
        for (tries, longest) in [(1, ms(1000)), (30, ms(3000))] {
            let policy = RetryPolicy::tries(tries).delay(ms(100));
            let (waited, _) = busy_after(AcquireReply::Split, ms(1), policy).await;
            let last = longest..longest + ms(110);
            assert!(last.contains(&waited), "{waited:?} for {tries}");
        }
    }
}
