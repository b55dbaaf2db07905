//! Fencing tokens while one minority after another cannot be reached.

use std::{
    borrow::Cow,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lockguard::{
    BoxFuture, FencingToken, LockKey, NodeError, OwnerToken,
    backend::{AcquireReply, AcquireRequest, Backend, BackendError, ReleaseReply, ReleaseRequest},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::redlock_over::redlock_over;

const TTL: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Takes and gives back one lock on random quorums of these nodes, one owner
/// after another, whose clocks are wrong in every direction.
///
/// # Errors
///
/// The tokens so far, when the last is not greater than all before.
pub async fn tokens_over_random_quorums(
    nodes: Vec<Arc<dyn Backend>>,
    owners: usize,
    seed: u64,
) -> Result<Vec<FencingToken>, Vec<FencingToken>> {
    let mut random = StdRng::seed_from_u64(seed);
    let nodes: Vec<_> = nodes.into_iter().map(Switch::new).collect();
    let redlock = redlock_over(nodes.clone());
    let key = LockKey::new(format!("quorums:{seed}")).expect("a valid key");
    let mut tokens: Vec<FencingToken> = Vec::new();
    while tokens.len() < owners {
        let most = nodes.len().div_ceil(2) - 1;
        for node in &nodes {
            node.is_on.store(true, Ordering::SeqCst);
        }
        for _ in 0..most {
            let nth = random.random_range(0..nodes.len());
            nodes[nth].is_on.store(false, Ordering::SeqCst);
        }
        let last = tokens.last().map_or(1, |token| token.get());
        let proposal = match random.random_range(0..4) {
            0 | 1 => 1,
            2 => last,
            _ => last + random.random_range(0..4),
        };
        let owner = OwnerToken::with_label("quorums");
        let request = AcquireRequest::new(key.clone(), owner.clone(), TTL);
        let proposal = FencingToken::new(proposal).expect("a fencing token");
        let reply = redlock.acquire(request.fenced(proposal, DAY)).await;
        if let Ok(AcquireReply::GrantedWith(token)) = reply {
            let is_greater = tokens.last().is_none_or(|last| token > *last);
            tokens.push(token);
            if !is_greater {
                return Err(tokens);
            }
        }
        // As owed releases do, this one reaches the nodes that come back.
        for node in &nodes {
            node.is_on.store(true, Ordering::SeqCst);
        }
        let release = ReleaseRequest::new(key.clone(), owner);
        let _ = redlock.release(release).await;
    }
    Ok(tokens)
}

/// A node that can be cut off.
#[derive(Clone)]
struct Switch {
    node: Arc<dyn Backend>,
    is_on: Arc<AtomicBool>,
}

impl Switch {
    fn new(node: Arc<dyn Backend>) -> Self {
        Self {
            node,
            is_on: Arc::new(AtomicBool::new(true)),
        }
    }

    fn error(&self) -> Option<BackendError> {
        let is_on = self.is_on.load(Ordering::SeqCst);
        (!is_on).then(|| BackendError::unavailable(NodeError::new("switch", "cut off")))
    }
}

impl Backend for Switch {
    crate::forward!(extend => |store| store.node);

    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        match self.error() {
            None => self.node.acquire(request),
            Some(error) => Box::pin(ready(Err(error))),
        }
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        match self.error() {
            None => self.node.release(request),
            Some(error) => Box::pin(ready(Err(error))),
        }
    }

    fn address(&self) -> Cow<'_, str> {
        self.node.address()
    }
}
