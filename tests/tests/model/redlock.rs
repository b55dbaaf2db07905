//! `Redlock` asks and completes only as the model's client may.

use std::{
    borrow::Cow,
    future::{pending, ready},
    sync::Arc,
    time::Duration,
};

use lockguard::{
    BoxFuture, FencingToken, LockKey, NodeError, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, ExtendReply, ExtendRequest, Holder,
        ReleaseReply, ReleaseRequest,
    },
};
use lockguard_models::fencing::{Answers, Ask, Bounds, NODES, Node, Owner, Reply};
use lockguard_tests::redlock_over;
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

const TTL: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const QUORUM: usize = NODES / 2 + 1;

const BOUNDS: Bounds = Bounds { cap: 4, limit: 15 };
const US: Owner = Owner(0);
const OTHERS: Owner = Owner(1);

/// The model's nodes, and what happens between two requests.
struct World {
    random: StdRng,
    nodes: [Node; NODES],
    answers: Answers,
    raises: usize,
}

impl World {
    /// Fences that disagree, and locks that others hold.
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let nodes = std::array::from_fn(|_| Node {
            lock: random.random_bool(0.15).then_some(OTHERS),
            fence: random.random_range(0..4),
        });
        Self {
            random,
            nodes,
            answers: Answers::default(),
            raises: 0,
        }
    }

    /// A node's lock ends and another takes it, now and then.
    fn disturb(&mut self) {
        let node = &mut self.nodes[self.random.random_range(0..NODES)];
        if self.random.random_bool(0.1) {
            node.lock = None;
        }
        if self.random.random_bool(0.1) {
            let ask = Ask {
                owner: OTHERS,
                from: None,
                proposal: 1,
            };
            node.acquire(ask, BOUNDS);
        }
    }

    /// Checks that the client may ask this, and has the node answer.
    fn ask(&mut self, node: usize, proposal: u64, is_raise: bool) -> Reply {
        if is_raise {
            self.raises += 1;
            let may_ask = self.answers.reach(proposal, QUORUM);
            assert!(may_ask, "a raise to {proposal} after {:?}", self.answers);
        }
        self.disturb();
        let ask = Ask {
            owner: US,
            from: None,
            proposal,
        };
        let reply = self.nodes[node].acquire(ask, BOUNDS);
        if let Reply::Granted(token) = reply {
            self.answers.insert(node, token);
        }
        reply
    }
}

struct ModelNode {
    nth: usize,
    world: Arc<Mutex<World>>,
}

impl Backend for ModelNode {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let fence = request.fence.unwrap();
        let mut world = self.world.lock();
        let reply = world.ask(self.nth, fence.proposal.get(), fence.is_raise);
        if world.random.random_bool(0.05) {
            return Box::pin(pending());
        }
        let delay = Duration::from_millis(world.random.random_range(0..5));
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(match reply {
                Reply::Granted(token) => {
                    AcquireReply::GrantedWith(FencingToken::new(token).unwrap())
                }
                Reply::Busy { fence, .. } => {
                    let holder = Holder::new(*b"others", Some(TTL));
                    AcquireReply::Busy(holder.with_fence(FencingToken::new(fence)))
                }
                Reply::Spoilt => {
                    let error = NodeError::new("model", "the fence is spoilt");
                    return Err(BackendError::unavailable(error));
                }
            })
        })
    }

    fn extend(
        &self,
        _: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        Box::pin(ready(Vec::new()))
    }

    fn release(&self, _: ReleaseRequest) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        self.world.lock().nodes[self.nth].release(US);
        Box::pin(ready(Ok(ReleaseReply::Freed)))
    }

    fn address(&self) -> Cow<'_, str> {
        Cow::Borrowed("model")
    }
}

/// The token of an acquire, if it completes, and how often a node was asked to
/// raise.
async fn acquire(seed: u64) -> (Option<u64>, usize) {
    let world = Arc::new(Mutex::new(World::new(seed)));
    let nodes = (0..NODES).map(|nth| {
        let world = Arc::clone(&world);
        ModelNode { nth, world }
    });
    let key = LockKey::new("model").unwrap();
    let request = AcquireRequest::new(key, OwnerToken::with_label("model"), TTL);
    let proposal = FencingToken::new(1 + seed % 5).unwrap();
    let reply = redlock_over(nodes).acquire(request.fenced(proposal, DAY));
    let reply = reply.await;
    let world = world.lock();
    let Ok(AcquireReply::GrantedWith(token)) = reply else {
        return (None, world.raises);
    };
    let token = token.get();
    let may_complete = world.answers.agree_on(token, QUORUM);
    assert!(may_complete, "seed {seed}: {token} of {:?}", world.answers);
    (Some(token), world.raises)
}

#[tokio::test(start_paused = true)]
async fn redlock_raises_and_completes_only_as_the_models_client_may() {
    let (mut completed, mut agreed_late) = (0, 0);
    for seed in 0..4000 {
        let (token, raises) = acquire(seed).await;
        completed += usize::from(token.is_some());
        agreed_late += usize::from(token.is_some() && raises > 0);
    }
    assert!(completed > 1000, "{completed} complete");
    assert!(agreed_late > 500, "{agreed_late} complete after a raise");
}
