//! The contract suite catches backends that break it.

use std::{
    collections::HashMap,
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lockguard::{
    BoxFuture, FencingToken, LockKey, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, ExtendReply, ExtendRequest, Holder,
        ReleaseReply, ReleaseRequest,
    },
};
use lockguard_tests::{
    contract::{
        Fixture, acquire, cancellation, contention, expiry, extend, fencing, model, release, run,
        several, wake,
    },
    contract_tests, tokens_over_random_quorums,
};
use parking_lot::Mutex;
use tokio::{
    task::spawn,
    time::{Instant, sleep},
};

/// One way to break the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    GrantsToEverybody,
    RefusesTheHolder,
    LengthensOnRepeat,
    NamesAnother,
    TellsNoRest,
    CutsKeys,
    TakesSome,
    NamesTheFirstKey,
    /// One more for each grant on each node, and the greatest of a quorum.
    FenceIsCountedAlone,
    FenceIsKeptOnAGrant,
    FenceIgnoresTheRaise,
    FenceTrustsAnyClock,
    FenceRisesForTheRefused,
    FenceEndsWithTheLock,
    FenceIsNeverSpoilt,
    IgnoresTheTtl,
    HalvesTheTtl,
    ExtendCreates,
    ExtendIgnoresTheToken,
    ExtendShortens,
    ExtendReversesAnswers,
    ExtendDoesNothing,
    HandsNothingOn,
    HandsOnOnce,
    ReleaseIgnoresTheToken,
    ReleaseDoesNothing,
    ReleaseSaysFreed,
    ReleaseKeepsNothing,
    ReleaseKeepsAll,
    ReleaseLengthens,
    ReleaseKeepIgnoresTheToken,
    NeverWakes,
    AcquiresAfterTheDrop,
}

macro_rules! caught {
    ($($test:ident: $fault:ident by $group:ident::$case:ident;)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                assert_caught(Fault::$fault, $group::$case).await;
            }
        )*
    };
}

caught! {
    two_holders: GrantsToEverybody by contention::of_contenders_at_once_exactly_one_is_granted;
    overlapping_owners: GrantsToEverybody by contention::owners_in_parallel_never_overlap;
    a_holder_refused: RefusesTheHolder by acquire::acquire_repeated_by_the_holder_grants_again;
    a_lengthening_repeat: LengthensOnRepeat by acquire::acquire_repeated_by_the_holder_gives_no_longer_ttl;
    a_wrong_name: NamesAnother by acquire::busy_names_the_holder;
    no_rest_of_the_ttl: TellsNoRest by acquire::busy_tells_what_is_left_of_the_ttl;
    keys_cut_short: CutsKeys by acquire::every_valid_key_is_a_lock_of_its_own;
    some_of_several_keys: TakesSome by several::one_held_key_refuses_all_of_them;
    a_wrong_key_named: NamesTheFirstKey by several::busy_names_which_of_several_keys_is_held;
    a_fence_of_its_own: FenceIsCountedAlone by fencing::a_fenced_acquire_is_granted_with_the_proposal;
    a_fence_that_stands_still: FenceIsKeptOnAGrant by fencing::fencing_tokens_rise_from_owner_to_owner;
    a_raise_ignored: FenceIgnoresTheRaise by fencing::a_raise_reaches_the_proposal_and_stays;
    a_clock_trusted: FenceTrustsAnyClock by fencing::a_leading_proposal_is_cut_an_hour_ahead;
    a_fence_moved_by_the_refused: FenceRisesForTheRefused by fencing::a_refused_fenced_acquire_is_told_the_fence_and_leaves_it;
    a_fence_that_ends_with_its_lock: FenceEndsWithTheLock by fencing::only_fenced_acquires_change_a_fence;
    a_fence_without_end: FenceIsNeverSpoilt by fencing::a_spoilt_fence_refuses_fenced_owners_and_no_others;
    no_expiry: IgnoresTheTtl by expiry::a_key_is_free_after_its_ttl;
    an_early_expiry: HalvesTheTtl by expiry::a_key_is_held_for_its_whole_ttl;
    an_extend_that_creates: ExtendCreates by extend::extend_never_creates_a_key;
    an_extend_that_revives: ExtendCreates by extend::extend_after_expiry_revives_nothing;
    an_extend_of_anothers: ExtendIgnoresTheToken by extend::extend_with_anothers_token_changes_nothing;
    an_extend_that_shortens: ExtendShortens by extend::extend_never_shortens_a_ttl;
    answers_out_of_order: ExtendReversesAnswers by extend::extend_answers_each_request_in_order;
    a_key_that_is_not_handed_on: HandsNothingOn by extend::extend_to_another_token_hands_the_key_over;
    a_key_handed_on_only_once: HandsOnOnce by extend::extend_to_another_token_is_extended_again_when_repeated;
    an_extend_in_words_only: ExtendDoesNothing by expiry::an_extended_key_outlives_its_first_ttl;
    a_release_of_anothers: ReleaseIgnoresTheToken by release::release_with_anothers_token_leaves_the_lock;
    a_late_release_of_the_next_owner: ReleaseIgnoresTheToken by release::release_after_expiry_leaves_the_next_owner;
    a_release_in_words_only: ReleaseDoesNothing by release::release_frees_the_key;
    a_release_that_always_succeeds: ReleaseSaysFreed by release::a_second_release_is_not_held;
    a_rest_that_is_not_kept: ReleaseKeepsNothing by release::release_keeping_a_rest_twice_is_the_same;
    a_rest_that_is_the_whole_ttl: ReleaseKeepsAll by release::release_keeping_a_rest_holds_the_key_for_it_and_not_longer;
    a_rest_longer_than_the_ttl: ReleaseLengthens by release::release_keeping_a_rest_never_lengthens_a_ttl;
    a_rest_of_anothers: ReleaseKeepIgnoresTheToken by release::release_keeping_a_rest_with_anothers_token_leaves_the_lock;
    no_wake: NeverWakes by wake::a_release_wakes_a_waiter;
    an_acquire_after_its_drop: AcquiresAfterTheDrop by cancellation::release_after_a_dropped_acquire_leaves_nothing;
}

/// Each node of a quorum may be right by itself, and the tokens wrong.
#[tokio::test(start_paused = true)]
async fn random_quorums_find_fences_that_do_not_agree() {
    for (fault, is_broken) in [
        (Fault::FenceIsCountedAlone, true),
        (Fault::FenceIsKeptOnAGrant, true),
        (Fault::FenceEndsWithTheLock, true),
        (Fault::None, false),
    ] {
        let mut caught = 0;
        for seed in 0..20 {
            let nodes = (0..3).map(|_| Arc::new(Broken::new(fault)) as Arc<dyn Backend>);
            let tokens = tokens_over_random_quorums(nodes.collect(), 50, seed).await;
            caught += u8::from(tokens.is_err());
        }
        assert_eq!(caught > 0, is_broken, "{fault:?} caught {caught} times");
    }
}

// What is caught is the fault, and not the backend around it.
contract_tests!(without_a_fault, paused, super::without_a_fault);

#[expect(clippy::unused_async, reason = "as the macro calls it")]
async fn without_a_fault() -> Fixture {
    Fixture::new(Broken::new(Fault::None))
}

#[tokio::test(start_paused = true)]
async fn random_operations_find_faults_that_they_were_not_made_for() {
    for fault in [
        Fault::GrantsToEverybody,
        Fault::IgnoresTheTtl,
        Fault::ExtendCreates,
        Fault::ExtendIgnoresTheToken,
        Fault::ReleaseIgnoresTheToken,
    ] {
        let mut caught = 0;
        // With the clock paused, a seed decides everything.
        for seed in 0..50 {
            let case = |on| model::operations_and_expiries(on, seed);
            caught += u8::from(is_caught(fault, case).await);
        }
        assert_ne!(caught, 0, "never caught: {fault:?}");
    }
}

/// Fails unless the case fails.
async fn assert_caught<C>(fault: Fault, case: impl FnOnce(Fixture) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let is_caught = is_caught(fault, case).await;
    assert!(is_caught, "a backend that is broken passes: {fault:?}");
}

async fn is_caught<C>(fault: Fault, case: impl FnOnce(Fixture) -> C) -> bool
where
    C: Future<Output = ()> + Send + 'static,
{
    let case = case(Fixture::new(Broken::new(fault)));
    spawn(run(case)).await.is_err()
}

fn spoilt(key: &LockKey) -> BackendError {
    BackendError::invalid_key_of(key.clone(), "has a spoilt fence")
}

/// A backend that keeps the contract but for its one fault.
struct Broken(Arc<Mutex<Store>>);

impl Broken {
    fn new(fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(Store {
            fault,
            held: HashMap::new(),
            fences: HashMap::new(),
        })))
    }
}

struct Store {
    fault: Fault,
    held: HashMap<LockKey, (OwnerToken, Instant)>,
    fences: HashMap<LockKey, u64>,
}

impl Store {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn key(&self, key: &LockKey) -> LockKey {
        let cut = key.as_str().get(..64).filter(|_| self.has(Fault::CutsKeys));
        cut.map_or_else(|| key.clone(), |cut| LockKey::new(cut).unwrap())
    }

    fn live(&self, key: &LockKey) -> Option<&(OwnerToken, Instant)> {
        let forever = self.has(Fault::IgnoresTheTtl);
        let held = self.held.get(&self.key(key));
        held.filter(|(_, end)| forever || Instant::now() < *end)
    }

    fn put(&mut self, key: &LockKey, token: &OwnerToken, ttl: Duration) {
        let held = (token.clone(), Instant::now() + ttl);
        self.held.insert(self.key(key), held);
    }

    fn acquire(&mut self, request: &AcquireRequest) -> Result<AcquireReply, BackendError> {
        let refused = request.keys.iter().find_map(|key| {
            let refused = self.acquire_one(key, request, true);
            (refused != AcquireReply::Granted).then_some(refused)
        });
        if let (Some(refused), false) = (&refused, self.has(Fault::TakesSome)) {
            let fences = request.keys.iter().filter_map(|key| self.fences.get(key));
            let fence = fences.max().copied().filter(|_| request.fence.is_some());
            if self.has(Fault::FenceRisesForTheRefused) {
                self.raise(
                    request,
                    request.fence.map_or(0, |fence| fence.proposal.get()),
                );
            }
            return Ok(match refused.clone() {
                AcquireReply::Busy(holder) => {
                    AcquireReply::Busy(holder.with_fence(fence.and_then(FencingToken::new)))
                }
                other => other,
            });
        }
        let granted = match request.fence {
            None => AcquireReply::Granted,
            Some(fence) => match self.raise(request, fence.proposal.get()) {
                Some(reached) => AcquireReply::GrantedWith(reached),
                None => return Err(spoilt(request.keys.first())),
            },
        };
        for key in &request.keys {
            self.acquire_one(key, request, false);
            let is_mine = self
                .live(key)
                .is_some_and(|(owner, _)| *owner == request.token);
            if request.fence.is_some() && is_mine {
                self.put(key, &request.token, request.ttl);
            }
        }
        Ok(refused.unwrap_or(granted))
    }

    /// Raises the fences of keys that are free or the caller's own.
    fn raise(&mut self, request: &AcquireRequest, proposal: u64) -> Option<FencingToken> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let cap = match self.fault {
            Fault::FenceTrustsAnyClock => u64::MAX,
            _ => u64::try_from(now.as_micros()).unwrap() + 3_600_000_000,
        };
        let (mut reached, mut stored) = (0, 0);
        for key in &request.keys {
            let fence = self.fences.get(key).copied().unwrap_or_default();
            let is_mine = self.live(key).is_some();
            let next = match self.fault {
                Fault::FenceIsCountedAlone | Fault::FenceIgnoresTheRaise if is_mine => fence,
                Fault::FenceIsCountedAlone => fence + 1,
                Fault::FenceIsKeptOnAGrant if !is_mine => fence.max(proposal.min(cap)),
                _ if is_mine => fence.max(proposal),
                _ => (fence + 1).max(proposal.min(cap)),
            };
            stored = stored.max(next);
            let says_more = is_mine && self.has(Fault::FenceIsCountedAlone);
            reached = reached.max(if says_more { next.max(proposal) } else { next });
        }
        if reached > (1 << 53) - 992 && !self.has(Fault::FenceIsNeverSpoilt) {
            return None;
        }
        for key in &request.keys {
            self.fences.insert(key.clone(), stored);
        }
        FencingToken::new(reached)
    }

    fn acquire_one(
        &mut self,
        key: &LockKey,
        request: &AcquireRequest,
        is_a_look: bool,
    ) -> AcquireReply {
        let AcquireRequest { token, ttl, .. } = request;
        let ttl = if self.has(Fault::HalvesTheTtl) {
            *ttl / 2
        } else {
            *ttl
        };
        match self.live(key).cloned() {
            None if is_a_look => AcquireReply::Granted,
            None => {
                self.put(key, token, ttl);
                AcquireReply::Granted
            }
            Some((holder, _)) if holder == *token => {
                if self.has(Fault::LengthensOnRepeat) {
                    self.put(key, token, ttl);
                }
                if self.has(Fault::RefusesTheHolder) {
                    return AcquireReply::Split;
                }
                AcquireReply::Granted
            }
            Some(_) if self.has(Fault::GrantsToEverybody) => AcquireReply::Granted,
            Some((holder, end)) => {
                let name = match self.fault {
                    Fault::NamesAnother => "another",
                    _ => holder.expose(),
                };
                let left = match self.fault {
                    Fault::TellsNoRest => Duration::from_secs(1),
                    _ => end.saturating_duration_since(Instant::now()),
                };
                let holder = Holder::new(name.as_bytes(), Some(left));
                AcquireReply::Busy(match self.fault {
                    Fault::NamesTheFirstKey => holder.of_key(request.keys.first().clone()),
                    _ => holder.of_key(key.clone()),
                })
            }
        }
    }

    fn extend(&mut self, request: &ExtendRequest) -> ExtendReply {
        let ExtendRequest {
            key,
            token,
            ttl,
            successor,
            ..
        } = request;
        match self.live(key).cloned() {
            None if self.has(Fault::ExtendCreates) => {
                self.put(key, token, *ttl);
                ExtendReply::NotHeld
            }
            None => ExtendReply::NotHeld,
            Some((holder, end)) => {
                let is_repeated = Some(&holder) == successor.as_ref();
                let is_holder = holder == *token || is_repeated && !self.has(Fault::HandsOnOnce);
                let holder = match successor {
                    Some(successor) if is_holder && !self.has(Fault::HandsNothingOn) => successor,
                    _ => &holder,
                };
                if is_holder || self.has(Fault::ExtendIgnoresTheToken) {
                    let left = end.saturating_duration_since(Instant::now());
                    let ttl = match self.fault {
                        Fault::ExtendShortens => *ttl,
                        Fault::ExtendDoesNothing => left,
                        _ => left.max(*ttl),
                    };
                    self.put(key, holder, ttl);
                }
                if is_holder {
                    ExtendReply::Extended
                } else {
                    ExtendReply::NotOwner
                }
            }
        }
    }

    fn release(&mut self, request: &ReleaseRequest) -> ReleaseReply {
        let ReleaseRequest {
            key, token, keep, ..
        } = request;
        let held = self.live(key).cloned();
        let is_holder = held.as_ref().map(|(holder, _)| holder == token);
        if let Some((holder, end)) = held
            && let Some(rest) = *keep
            && !self.has(Fault::ReleaseKeepsNothing)
        {
            if is_holder == Some(true) || self.has(Fault::ReleaseKeepIgnoresTheToken) {
                let left = end.saturating_duration_since(Instant::now());
                let rest = match self.fault {
                    Fault::ReleaseKeepsAll => left,
                    Fault::ReleaseLengthens => rest,
                    _ => rest.min(left),
                };
                self.put(key, &holder, rest);
            }
            return if is_holder == Some(true) {
                ReleaseReply::Freed
            } else {
                ReleaseReply::NotOwner
            };
        }
        let removes = is_holder == Some(true) || self.has(Fault::ReleaseIgnoresTheToken);
        if removes && !self.has(Fault::ReleaseDoesNothing) {
            self.held.remove(&self.key(key));
            if self.has(Fault::FenceEndsWithTheLock) {
                self.fences.remove(key);
            }
        }
        match is_holder {
            _ if self.has(Fault::ReleaseSaysFreed) => ReleaseReply::Freed,
            None => ReleaseReply::NotHeld,
            Some(true) => ReleaseReply::Freed,
            Some(false) => ReleaseReply::NotOwner,
        }
    }
}

impl Backend for Broken {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            if !store.lock().has(Fault::AcquiresAfterTheDrop) {
                return store.lock().acquire(&request);
            }
            let late = spawn(async move {
                sleep(Duration::from_millis(5)).await;
                store.lock().acquire(&request)
            });
            late.await.unwrap()
        })
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            let mut store = store.lock();
            let mut replies: Vec<_> = requests.iter().map(|one| Ok(store.extend(one))).collect();
            if store.has(Fault::ExtendReversesAnswers) {
                replies.reverse();
            }
            replies
        })
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move { Ok(store.lock().release(&request)) })
    }

    fn freed(&self, _: &LockKey) -> Option<BoxFuture<'static, ()>> {
        let never_wakes = self.0.lock().has(Fault::NeverWakes);
        never_wakes.then(|| Box::pin(pending()) as BoxFuture<'static, ()>)
    }
}
