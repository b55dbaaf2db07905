//! The job, and the count of its runs.

use std::{error::Error, fmt};

use lockguard::{LockError, distributed_lock};
use lockguard_examples::Failure;
use redis::{AsyncCommands as _, RedisError, aio::MultiplexedConnection};

/// Removes what is old; `None` where another replica does, or has done, it.
///
/// The job is over in a moment, and the clocks of the replicas differ by more:
/// `min_hold` keeps the night's lock until the last of them has looked.
#[distributed_lock(
    key = "job:{runs.name}:clean_up:{night}",
    ttl = "30s",
    min_hold = "10s",
    on_busy = skip,
)]
pub(crate) async fn clean_up(runs: Runs, night: u32) -> Result<Option<u32>, JobError> {
    runs.count(night).await?;
    Ok(Some(night * 7))
}

/// Counts the runs of each night on the server, past the lock.
#[derive(Clone)]
pub(crate) struct Runs {
    connection: MultiplexedConnection,
    name: String,
}

impl Runs {
    pub(crate) async fn open(url: &str, name: &str) -> Result<Self, Failure> {
        // Of several servers, any one can count.
        let url = url.split(',').next().unwrap_or(url).trim();
        let client = redis::Client::open(url)?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection().await?,
            name: name.to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    async fn count(mut self, night: u32) -> Result<(), RedisError> {
        let key = self.key(night);
        redis::pipe()
            .incr(&key, 1)
            .expire(&key, 60)
            .exec_async(&mut self.connection)
            .await
    }

    pub(crate) async fn of(&mut self, night: u32) -> Result<u32, RedisError> {
        let count: Option<u32> = self.connection.get(self.key(night)).await?;
        Ok(count.unwrap_or_default())
    }

    /// Takes what was counted off the server.
    pub(crate) async fn close(mut self, nights: u32) -> Result<(), RedisError> {
        let keys: Vec<String> = (1..=nights).map(|night| self.key(night)).collect();
        self.connection.del(keys).await
    }

    fn key(&self, night: u32) -> String {
        format!("runs:{}:{night}", self.name)
    }
}

#[derive(Debug)]
pub(crate) enum JobError {
    Lock(LockError),
    Store(RedisError),
}

impl From<LockError> for JobError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<RedisError> for JobError {
    fn from(error: RedisError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(error) => error.fmt(f),
            Self::Store(error) => write!(f, "count runs: {error}"),
        }
    }
}

impl Error for JobError {}
