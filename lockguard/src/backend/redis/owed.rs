//! Releases and hand-backs that a node has not confirmed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    backend::{AcquireRequest, ExtendRequest, ReleaseRequest},
    key::LockKey,
    metrics::OwedRelease,
    token::OwnerToken,
};

/// How many debts are remembered for a node that does not answer.
pub(super) const MOST_OWED: usize = 1 << 15;

/// From how many on it is not remembered that a waiter leaves, nor what may be
/// reserved for its attempts.
///
/// Without it, many that wait would push out the releases of leases; a line
/// forgets its waiters by itself, and reserves nothing for long.
const MOST_WITH_DEPARTURES: usize = MOST_OWED / 2;

/// What a node must not miss.
pub(super) enum Debt {
    Release(ReleaseRequest),
    HandBack(Vec<ExtendRequest>),
}

impl From<ReleaseRequest> for Debt {
    fn from(release: ReleaseRequest) -> Self {
        Self::Release(release)
    }
}

/// The releases and hand-backs that a node is sent first when it is back.
///
/// Bounded: the oldest is forgotten, and its key free by its ttl.
#[derive(Default)]
pub(super) struct Owed {
    node: Arc<str>,
    debts: VecDeque<(Debt, OwedRelease)>,
    /// What acquires and adoptions were refused here unsent, and by whom: the node
    /// has taken nothing for them.
    /// Without these, a busy program would fill the bound with give-backs of what
    /// it never took, and push out the releases that matter.
    unsent: HashMap<(LockKey, OwnerToken), Asker>,
    /// Whether one has ever been forgotten.
    has_forgotten: bool,
}

/// Who asked for a lock.
#[derive(Clone, Copy)]
enum Asker {
    Anybody,
    /// Its attempt before may have left the token of this one in line, and the
    /// node have reserved the lock for it since.
    Waiter,
}

impl Owed {
    /// Nothing is owed to this node yet.
    pub(super) fn to(node: Arc<str>) -> Self {
        Self {
            node,
            ..Self::default()
        }
    }

    /// Notes that the acquire never left this process.
    pub(super) fn acquire_unsent(&mut self, request: &AcquireRequest) {
        let asker = match request.waiter {
            // For one of several keys nothing is reserved.
            Some(_) if !request.keys.are_several() => Asker::Waiter,
            _ => Asker::Anybody,
        };
        let of = |key: &LockKey| ((key.clone(), request.token.clone()), asker);
        self.note_unsent(request.keys.iter().map(of));
    }

    /// Notes that the extends, which may hand keys to others, never left this
    /// process.
    pub(super) fn extend_unsent(&mut self, requests: &[ExtendRequest]) {
        let of = |request: &ExtendRequest| {
            let of = (request.key.clone(), request.successor.clone()?);
            Some((of, Asker::Anybody))
        };
        self.note_unsent(requests.iter().filter_map(of));
    }

    fn note_unsent(&mut self, unsent: impl Iterator<Item = ((LockKey, OwnerToken), Asker)>) {
        // Beyond the bound what gives it back will be owed, which does no harm.
        if self.unsent.len() < MOST_OWED {
            self.unsent.extend(unsent);
        }
    }

    /// Remembers it, but for what the node has nothing of.
    pub(super) fn push(&mut self, debt: impl Into<Debt>) {
        match debt.into() {
            Debt::Release(release) => self.push_release(release),
            Debt::HandBack(mut requests) => {
                requests.retain(|request| {
                    let of = (request.key.clone(), request.token.clone());
                    self.unsent.remove(&of).is_none()
                });
                if !requests.is_empty() {
                    self.remember(Debt::HandBack(requests));
                }
            }
        }
    }

    fn push_release(&mut self, release: ReleaseRequest) {
        let of = (release.key.clone(), release.token.clone());
        let is_departure = match self.unsent.remove(&of) {
            Some(Asker::Anybody) => return,
            Some(Asker::Waiter) => true,
            None => release.standing.is_some(),
        };
        if is_departure && self.debts.len() >= MOST_WITH_DEPARTURES {
            return;
        }
        self.remember(Debt::Release(release));
    }

    fn remember(&mut self, debt: Debt) {
        if self.debts.len() >= MOST_OWED {
            self.debts.pop_front();
            self.has_forgotten = true;
        }
        self.debts.push_back((debt, OwedRelease::to(&self.node)));
    }

    /// Forgets what was unsent: from now on all is sent again.
    pub(super) fn forget_unsent(&mut self) {
        self.unsent = HashMap::new();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }

    /// Whether one has ever been forgotten, which the node may have missed.
    pub(super) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Takes what is owed, oldest first.
    pub(super) fn take(&mut self) -> VecDeque<Debt> {
        let debts = std::mem::take(&mut self.debts);
        debts.into_iter().map(|(debt, _)| debt).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        backend::{Ticket, Waiter},
        keys::LockKeys,
    };

    fn releases(owed: &mut Owed) -> VecDeque<ReleaseRequest> {
        let release = |debt| match debt {
            Debt::Release(release) => release,
            Debt::HandBack(_) => panic!("nothing was handed back"),
        };
        owed.take().into_iter().map(release).collect()
    }

    fn release(n: usize) -> ReleaseRequest {
        let key = LockKey::new(format!("k:{n}")).unwrap();
        ReleaseRequest::new(key, OwnerToken::with_label(""))
    }

    #[test]
    fn what_is_owed_comes_back_oldest_first() {
        let mut owed = Owed::default();
        for n in 0..3 {
            owed.push(release(n));
        }
        let keys: Vec<_> = releases(&mut owed)
            .iter()
            .map(|r| r.key.to_string())
            .collect();
        assert_eq!(keys, ["k:0", "k:1", "k:2"]);
        assert!(releases(&mut owed).is_empty());
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_forgotten() {
        let mut owed = Owed::default();
        for n in 0..=MOST_OWED {
            owed.push(release(n));
        }
        let kept = releases(&mut owed);
        assert_eq!(kept.len(), MOST_OWED);
        assert_eq!(kept.front().unwrap().key.as_str(), "k:1");
    }

    #[test]
    fn waiters_that_give_up_push_out_no_release_of_a_lock() {
        let mut owed = Owed::default();
        owed.push(release(0));
        for n in 1..=MOST_OWED {
            owed.push(release(n).leaving(Ticket::draw()));
        }
        let kept = releases(&mut owed);
        assert_eq!(kept.len(), MOST_WITH_DEPARTURES);
        assert_eq!(kept.front().unwrap().key.as_str(), "k:0");
    }

    fn acquire_of(release: &ReleaseRequest) -> AcquireRequest {
        let ttl = Duration::from_secs(1);
        AcquireRequest::new(release.key.clone(), release.token.clone(), ttl)
    }

    #[test]
    fn the_release_of_an_acquire_that_was_never_sent_is_not_owed() {
        let mut owed = Owed::default();
        let give_back = release(1);
        owed.acquire_unsent(&acquire_of(&give_back));
        owed.push(give_back.clone());
        assert!(releases(&mut owed).is_empty());

        // Sent in the meantime, as far as anybody knows.
        owed.acquire_unsent(&acquire_of(&give_back));
        owed.forget_unsent();
        owed.push(give_back);
        assert_eq!(releases(&mut owed).len(), 1);
    }

    #[test]
    fn so_many_acquires_are_remembered_as_unsent_and_no_more() {
        let mut owed = Owed::default();
        for n in 0..=MOST_OWED {
            owed.acquire_unsent(&acquire_of(&release(n)));
        }
        assert_eq!(owed.unsent.len(), MOST_OWED);
    }

    fn waiters_acquire_of(release: &ReleaseRequest) -> AcquireRequest {
        let request = acquire_of(release);
        let next = OwnerToken::with_label("");
        let waiter = Waiter::new(Ticket::draw(), next, request.ttl);
        request.waiting(waiter)
    }

    #[test]
    fn what_may_be_reserved_for_a_waiter_is_owed_though_its_acquire_was_never_sent() {
        let mut owed = Owed::default();
        let give_back = release(1);
        owed.acquire_unsent(&waiters_acquire_of(&give_back));
        owed.push(give_back);
        assert_eq!(releases(&mut owed).len(), 1);
    }

    #[test]
    fn what_may_be_reserved_for_waiters_pushes_out_no_release_of_a_lock() {
        let mut owed = Owed::default();
        owed.push(release(0));
        for n in 1..=MOST_OWED {
            let give_back = release(n);
            owed.acquire_unsent(&waiters_acquire_of(&give_back));
            owed.push(give_back);
        }
        let kept = releases(&mut owed);
        assert_eq!(kept.len(), MOST_WITH_DEPARTURES);
        assert_eq!(kept.front().unwrap().key.as_str(), "k:0");
    }

    #[test]
    fn an_unsent_acquire_of_another_key_hides_no_release_of_the_same_token() {
        let mut owed = Owed::default();
        let (first, mut second) = (release(1), release(2));
        second.token = first.token.clone();
        owed.acquire_unsent(&acquire_of(&second));
        owed.push(first);
        assert_eq!(releases(&mut owed).len(), 1);
    }

    #[test]
    fn the_hand_back_of_what_was_never_handed_on_is_not_owed() {
        let mut owed = Owed::default();
        let (sent, unsent) = (release(1), release(2));
        let former = OwnerToken::with_label("");
        let ttl = Duration::from_secs(1);
        let adopted = |by: &ReleaseRequest| {
            ExtendRequest::new(by.key.clone(), former.clone(), ttl).to(by.token.clone())
        };
        let handed_back = |by: &ReleaseRequest| {
            ExtendRequest::new(by.key.clone(), by.token.clone(), ttl).back_to(former.clone())
        };
        owed.extend_unsent(&[adopted(&unsent)]);
        owed.push(Debt::HandBack(vec![handed_back(&unsent)]));
        assert!(owed.is_empty());
        owed.push(Debt::HandBack(vec![handed_back(&sent)]));
        let Some(Debt::HandBack(requests)) = owed.take().pop_front() else {
            panic!("it is not owed");
        };
        assert_eq!(requests[0].key, sent.key);
    }

    #[test]
    fn nothing_is_reserved_for_who_wants_several_keys() {
        let mut owed = Owed::default();
        let give_back = release(1);
        let keys = LockKeys::new([release(0).key, give_back.key.clone()]).unwrap();
        let mut acquire = waiters_acquire_of(&give_back);
        acquire.keys = keys;
        owed.acquire_unsent(&acquire);
        owed.push(give_back);
        assert!(releases(&mut owed).is_empty());
    }
}
