//! Who is measured: lockguard, and what a user would write without it.

use std::{error::Error, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use lockguard::LockManager;
use rand::Rng as _;
use redis::{AsyncConnectionConfig, Client, RedisResult, Script, aio::MultiplexedConnection};

/// Long enough that nothing expires while it is measured.
pub(crate) const TTL: Duration = Duration::from_secs(10);

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Takes a lock and gives it back, again and again.
pub(crate) trait Contender: Send + Sync + 'static {
    /// How its keys begin: what one contender still gives back must not be in
    /// the way of the next.
    const PREFIX: &'static str;

    /// One acquire and one release of a key that nobody else wants.
    fn cycle(&self, key: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// lockguard's guard, with a release that is awaited.
pub(crate) struct Lockguard(pub(crate) LockManager);

impl Contender for Lockguard {
    const PREFIX: &'static str = "ours";

    async fn cycle(&self, key: &str) -> Result<(), Failure> {
        let guard = self.0.lock(key, TTL).acquire().await?;
        guard.release().await?;
        Ok(())
    }
}

/// lockguard's guard, with a release in the background.
pub(crate) struct InBackground(pub(crate) LockManager);

impl Contender for InBackground {
    const PREFIX: &'static str = "detached";

    async fn cycle(&self, key: &str) -> Result<(), Failure> {
        drop(self.0.lock(key, TTL).acquire().await?);
        Ok(())
    }
}

/// The floor on one server: a user's own code on the redis crate.
///
/// `SET NX PX`, then compare-and-delete by script, on a multiplexed
/// connection.
pub(crate) struct Floor {
    node: Node,
}

/// The floor on several servers: all are asked, a quorum of answers decides,
/// and a task waits for the others, so that the release is behind the acquire
/// on each connection.
pub(crate) struct QuorumFloor {
    nodes: Vec<Node>,
}

/// One server, as such code talks to it.
#[derive(Clone)]
struct Node {
    connection: MultiplexedConnection,
    release: Script,
}

const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
                       return redis.call('DEL', KEYS[1]) else return 0 end";

impl Node {
    async fn connect(url: &str) -> Result<Self, Failure> {
        let client = Client::open(url)?;
        // Room for a command of each task: one that waited for room could be
        // sent after the release that a quorum of other answers has led to.
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(1 << 15);
        Ok(Self {
            connection: client
                .get_multiplexed_async_connection_with_config(&config)
                .await?,
            release: Script::new(RELEASE),
        })
    }

    async fn acquire(mut self, key: String, token: String) -> RedisResult<bool> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(token).arg("NX").arg("PX");
        set.arg(u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX));
        let reply: Option<String> = set.query_async(&mut self.connection).await?;
        Ok(reply.is_some())
    }

    async fn release(mut self, key: String, token: String) -> RedisResult<bool> {
        let mut script = self.release.prepare_invoke();
        script.key(key).arg(token);
        let freed: u32 = script.invoke_async(&mut self.connection).await?;
        Ok(freed == 1)
    }
}

/// 128 random bits.
fn token() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

impl Floor {
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let node = Node::connect(url).await?;
        Ok(Self { node })
    }
}

impl Contender for Floor {
    const PREFIX: &'static str = "floor";

    async fn cycle(&self, key: &str) -> Result<(), Failure> {
        let token = token();
        let took = self.node.clone().acquire(key.to_owned(), token.clone());
        demand(took.await?, "acquired")?;
        let freed = self.node.clone().release(key.to_owned(), token);
        demand(freed.await?, "released")
    }
}

impl QuorumFloor {
    pub(crate) async fn connect(urls: &str) -> Result<Self, Failure> {
        let mut nodes = Vec::new();
        for url in urls.split(',') {
            nodes.push(Node::connect(url).await?);
        }
        Ok(Self { nodes })
    }

    /// Asks all, and returns with the answer that decides.
    async fn ask<F>(&self, question: impl Fn(Node) -> F) -> bool
    where
        F: Future<Output = RedisResult<bool>> + Send + 'static,
    {
        let quorum = self.nodes.len() / 2 + 1;
        let mut answers: FuturesUnordered<F> = self.nodes.iter().cloned().map(question).collect();
        let mut yes = 0;
        while yes < quorum
            && let Some(answer) = answers.next().await
        {
            yes += usize::from(answer.unwrap_or(false));
        }
        if !answers.is_empty() {
            tokio::spawn(async move { while answers.next().await.is_some() {} });
        }
        yes >= quorum
    }
}

impl Contender for QuorumFloor {
    const PREFIX: &'static str = "floor";

    async fn cycle(&self, key: &str) -> Result<(), Failure> {
        let token = token();
        let took = self.ask(|node| node.acquire(key.to_owned(), token.clone()));
        demand(took.await, "acquired")?;
        let freed = self.ask(|node| node.release(key.to_owned(), token.clone()));
        demand(freed.await, "released")
    }
}

fn demand(is_done: bool, what: &str) -> Result<(), Failure> {
    if is_done {
        Ok(())
    } else {
        Err(format!("the key was not {what}").into())
    }
}
