//! Mistakes that the checker must find: a checker that finds nothing may be
//! blind.

use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

use lockguard::{
    BoxFuture, FencingToken, LockKey, LockManager, NodeError,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, RedisNode, Redlock, ReleaseReply,
        ReleaseRequest,
    },
};
use rand::{Rng as _, seq::SliceRandom as _};
use redis::{Client, aio::MultiplexedConnection};

use super::verdict::Flaw;

/// A mistake that locks are known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A backend that now and then grants what another owner holds.
    GrantsTwice,
    /// A release that deletes the key, whoever holds it.
    ReleaseWithoutCompare,
    /// A holder that dates its lease from the reply and not from the request.
    DeadlineFromReply,
    /// A fencing token that is the greatest of one `INCR` on each node of a
    /// quorum.
    FenceByIncr,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::GrantsTwice,
        Self::ReleaseWithoutCompare,
        Self::DeadlineFromReply,
        Self::FenceByIncr,
    ];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GrantsTwice => "grants-twice",
            Self::ReleaseWithoutCompare => "release-without-compare",
            Self::DeadlineFromReply => "deadline-from-reply",
            Self::FenceByIncr => "fence-by-incr",
        }
    }

    /// What the checker must say of it.
    pub fn flaw(self) -> Flaw {
        match self {
            Self::GrantsTwice => Flaw::GrantedTwice,
            Self::ReleaseWithoutCompare => Flaw::FreedByAnother,
            Self::DeadlineFromReply => Flaw::TrustedTooLong,
            Self::FenceByIncr => Flaw::TokenNotGreater,
        }
    }

    /// How many servers show it.
    pub fn nodes(self) -> usize {
        match self {
            Self::FenceByIncr => 3,
            Self::GrantsTwice | Self::ReleaseWithoutCompare | Self::DeadlineFromReply => 1,
        }
    }
}

impl FromStr for Bug {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let bug = Self::ALL.into_iter().find(|bug| bug.name() == name);
        bug.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is no seeded bug; these are: {names}")
        })
    }
}

/// A manager whose backend has the bug.
///
/// # Panics
///
/// When a server cannot be reached.
pub async fn manager_with(bug: Bug, urls: &str) -> LockManager {
    let mut nodes: Vec<Arc<dyn Backend>> = Vec::new();
    let mut raw = Vec::new();
    for url in urls.split(',') {
        let node = RedisNode::connect(url).await.expect("connect to a server");
        nodes.push(Arc::new(node));
        let client = Client::open(url).expect("an address");
        let connection = client.get_multiplexed_async_connection().await;
        raw.push(connection.expect("connect to a server"));
    }
    LockManager::new(Buggy {
        bug,
        right: Redlock::new(nodes.iter().cloned()),
        nodes,
        raw,
    })
}

struct Buggy {
    bug: Bug,
    right: Redlock,
    nodes: Vec<Arc<dyn Backend>>,
    raw: Vec<MultiplexedConnection>,
}

impl Backend for Buggy {
    crate::forward!(extend => |store| store.right);

    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        match self.bug {
            Bug::GrantsTwice => {
                let proposal = request.fence.map(|fence| fence.proposal);
                let reply = self.right.acquire(request);
                Box::pin(async move { Ok(sometimes_granted(reply.await?, proposal)) })
            }
            Bug::FenceByIncr if request.fence.is_some() => self.acquire_by_incr(request),
            _ => self.right.acquire(request),
        }
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        match self.bug {
            Bug::ReleaseWithoutCompare => Box::pin(delete(self.raw.clone(), request.key)),
            _ => self.right.release(request),
        }
    }

    fn address(&self) -> Cow<'_, str> {
        self.right.address()
    }
}

impl Buggy {
    /// Asks a quorum of nodes, and takes the greatest of their counts.
    fn acquire_by_incr(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let mut nodes: Vec<_> = self.nodes.iter().cloned().zip(self.raw.clone()).collect();
        nodes.shuffle(&mut rand::rng());
        nodes.truncate(self.nodes.len() / 2 + 1);
        let right = self.right.clone();
        Box::pin(async move {
            let plain =
                AcquireRequest::new(request.keys.clone(), request.token.clone(), request.ttl);
            let mut greatest = 0;
            for (node, mut raw) in nodes {
                let reply = node.acquire(plain.clone()).await;
                if !matches!(reply, Ok(AcquireReply::Granted)) {
                    let key = request.keys.first().clone();
                    let _ = right.release(ReleaseRequest::new(key, request.token)).await;
                    return reply;
                }
                let counter = format!("{{{}}} count", request.keys.first());
                let count = redis::cmd("INCR").arg(counter).query_async(&mut raw).await;
                greatest = greatest.max(count.unwrap_or(0));
            }
            let token = FencingToken::new(greatest);
            token.map(AcquireReply::GrantedWith).ok_or_else(|| {
                BackendError::unavailable(NodeError::new("every node", "gives no count"))
            })
        })
    }
}

/// Turns one refusal of eight into a grant.
fn sometimes_granted(reply: AcquireReply, proposal: Option<FencingToken>) -> AcquireReply {
    match reply {
        AcquireReply::Busy(_) if rand::rng().random_ratio(1, 8) => match proposal {
            Some(token) => AcquireReply::GrantedWith(token),
            None => AcquireReply::Granted,
        },
        reply => reply,
    }
}

async fn delete(
    raw: Vec<MultiplexedConnection>,
    key: LockKey,
) -> Result<ReleaseReply, BackendError> {
    for mut raw in raw {
        let _: Result<u64, _> = redis::cmd("DEL")
            .arg(key.as_str())
            .query_async(&mut raw)
            .await;
    }
    Ok(ReleaseReply::Freed)
}

/// How late replies are where [`Bug::DeadlineFromReply`] is to show.
pub const LATE: Duration = Duration::from_millis(60);
