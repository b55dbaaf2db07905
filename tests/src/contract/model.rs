//! Random operations, compared with a model of one key.

use std::{env, time::Duration};

use lockguard::{
    LockKey, OwnerToken,
    backend::{AcquireReply, ExtendReply, ReleaseReply},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until};

use super::fixture::{Fixture, LONG, fresh_key, fresh_token, is_held_by};

const OWNERS: usize = 4;

/// Around an expiry nothing is expected: clocks round, and each node of a set
/// counts from when it was asked.
const UNSURE: Duration = Duration::from_millis(5);

pub async fn random_operations_agree_with_the_model(on: Fixture) {
    let mut trial = Trial::new(on, seed());
    for _ in 0..400 {
        let ttl = LONG + Duration::from_millis(trial.random.random_range(0..1000));
        trial.step(ttl).await;
    }
}

pub async fn random_operations_and_expiries_agree_with_the_model(on: Fixture) {
    operations_and_expiries(on, seed()).await;
}

/// The case above, with the operations that this seed makes.
pub async fn operations_and_expiries(on: Fixture, seed: u64) {
    let mut trial = Trial::new(on, seed);
    for _ in 0..40 {
        let ttl = Duration::from_millis(trial.random.random_range(1000..1500));
        trial.step(ttl).await;
        if trial.random.random_ratio(1, 4) {
            let pause = Duration::from_millis(trial.random.random_range(0..1000));
            sleep(pause).await;
        }
    }
}

/// `LOCKGUARD_TEST_SEED` repeats the trial that a failure has named.
fn seed() -> u64 {
    match env::var("LOCKGUARD_TEST_SEED") {
        Ok(seed) => seed.parse().expect("LOCKGUARD_TEST_SEED is a number"),
        Err(_) => rand::rng().random(),
    }
}

/// What the model knows about the key.
struct Lease {
    token: OwnerToken,
    /// Held before this instant.
    earliest_end: Instant,
    /// Free after this instant.
    latest_end: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Acquired,
    Refused { by_the_holder: bool },
    Extend(ExtendReply),
    Release(ReleaseReply),
    Unexpected(AcquireReply),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    AcquireAnew,
    AcquireAgain,
    Extend,
    Release,
}

struct Trial {
    on: Fixture,
    key: LockKey,
    owners: [OwnerToken; OWNERS],
    lease: Option<Lease>,
    seed: u64,
    random: StdRng,
    history: Vec<String>,
}

impl Trial {
    fn new(on: Fixture, seed: u64) -> Self {
        Self {
            on,
            key: fresh_key(),
            owners: std::array::from_fn(|_| fresh_token()),
            lease: None,
            seed,
            random: StdRng::seed_from_u64(seed),
            history: Vec::new(),
        }
    }

    async fn step(&mut self, ttl: Duration) {
        self.pass_an_unsure_expiry().await;
        let owner = self.random.random_range(0..OWNERS);
        let step = match self.random.random_range(0..4) {
            0 => Step::AcquireAnew,
            1 => Step::AcquireAgain,
            2 => Step::Extend,
            _ => Step::Release,
        };
        if matches!(step, Step::AcquireAnew) {
            self.owners[owner] = fresh_token();
        }
        let token = self.owners[owner].clone();
        let asked = Instant::now();
        let reply = self.perform(step, &token, ttl).await;
        let answered = Instant::now();
        self.history
            .push(format!("owner {owner} {step:?}: {reply:?}"));
        if self.is_unsure(answered) {
            // The key may have expired while it was asked for.
            let latest = self.latest_end().max(Some(answered + ttl));
            self.forget_after(latest).await;
            return;
        }
        let expected = self.expect(step, &token, asked + ttl, answered + ttl);
        assert!(
            reply == expected,
            "expected {expected:?}, with LOCKGUARD_TEST_SEED={}, after:\n{}",
            self.seed,
            self.history.join("\n")
        );
    }

    async fn perform(&self, step: Step, token: &OwnerToken, ttl: Duration) -> Reply {
        let Self { on, key, .. } = self;
        match step {
            Step::AcquireAnew | Step::AcquireAgain => match on.acquire(key, token, ttl).await {
                AcquireReply::Granted => Reply::Acquired,
                AcquireReply::Busy(holder) => Reply::Refused {
                    by_the_holder: self
                        .lease
                        .as_ref()
                        .is_some_and(|lease| is_held_by(&holder, &lease.token)),
                },
                other => Reply::Unexpected(other),
            },
            Step::Extend => Reply::Extend(on.extend(key, token, ttl).await),
            Step::Release => Reply::Release(on.release(key, token).await),
        }
    }

    /// The model: what the reply must be, and what is true afterwards.
    fn expect(
        &mut self,
        step: Step,
        token: &OwnerToken,
        earliest_end: Instant,
        latest_end: Instant,
    ) -> Reply {
        let is_holder = self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.token == *token);
        match (step, &mut self.lease) {
            (Step::AcquireAnew | Step::AcquireAgain, lease @ None) => {
                *lease = Some(Lease {
                    token: token.clone(),
                    earliest_end,
                    latest_end,
                });
                Reply::Acquired
            }
            (Step::AcquireAnew | Step::AcquireAgain, Some(_)) if is_holder => Reply::Acquired,
            (Step::AcquireAnew | Step::AcquireAgain, Some(_)) => Reply::Refused {
                by_the_holder: true,
            },
            (Step::Extend, None) => Reply::Extend(ExtendReply::NotHeld),
            (Step::Extend, Some(lease)) if is_holder => {
                lease.earliest_end = lease.earliest_end.max(earliest_end);
                lease.latest_end = lease.latest_end.max(latest_end);
                Reply::Extend(ExtendReply::Extended)
            }
            (Step::Extend, Some(_)) => Reply::Extend(ExtendReply::NotOwner),
            (Step::Release, None) => Reply::Release(ReleaseReply::NotHeld),
            (Step::Release, lease @ Some(_)) if is_holder => {
                *lease = None;
                Reply::Release(ReleaseReply::Freed)
            }
            (Step::Release, Some(_)) => Reply::Release(ReleaseReply::NotOwner),
        }
    }

    /// Whether the key may have expired by now.
    fn is_unsure(&self, now: Instant) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| now + UNSURE >= lease.earliest_end)
    }

    fn latest_end(&self) -> Option<Instant> {
        self.lease.as_ref().map(|lease| lease.latest_end)
    }

    /// Waits until it is known whether the key has expired.
    async fn pass_an_unsure_expiry(&mut self) {
        if self.is_unsure(Instant::now()) {
            self.forget_after(self.latest_end()).await;
        }
    }

    async fn forget_after(&mut self, latest: Option<Instant>) {
        if let Some(latest) = latest {
            sleep_until(latest + UNSURE).await;
        }
        self.lease = None;
        self.history.push("the key has expired".to_owned());
    }
}
