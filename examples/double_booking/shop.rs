//! The shop: it looks, pays and sells, and trusts its callers to come one at a
//! time.

use std::{error::Error, fmt, process, time::Duration};

use lockguard::{LockError, distributed_lock};
use lockguard_examples::Failure;
use redis::{AsyncCommands as _, RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

pub(crate) const SEATS: usize = 6;

/// How long a seat stays taken when its seller is killed.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// How long the bank takes.
const BANK: Duration = Duration::from_millis(20);

/// What anybody would write.
pub(crate) async fn book_unlocked(shop: Shop, seat: usize) -> Result<bool, BookingError> {
    shop.sell(seat).await
}

/// The same, with one line above it.
#[distributed_lock(key = "seat:{shop.name}:{seat}", ttl = TTL, wait = "8s")]
pub(crate) async fn book(shop: Shop, seat: usize) -> Result<bool, BookingError> {
    shop.sell(seat).await
}

/// One handle on the shop; the tickets are counted on the server, outside the
/// lock.
#[derive(Clone)]
pub(crate) struct Shop {
    connection: MultiplexedConnection,
    name: String,
}

impl Shop {
    /// Opens a shop of this process's own.
    pub(crate) async fn open(url: &str, kind: &str) -> Result<Self, Failure> {
        Self::enter(url, &format!("{kind}-{}", process::id())).await
    }

    /// Enters a shop that another process has opened.
    pub(crate) async fn enter(url: &str, name: &str) -> Result<Self, Failure> {
        // Of several servers, any one can count.
        let url = url.split(',').next().unwrap_or(url).trim();
        let connection = async {
            redis::Client::open(url)?
                .get_multiplexed_async_connection()
                .await
        };
        let connection = connection.await;
        Ok(Self {
            connection: connection.map_err(|error| format!("reach the server: {error}"))?,
            name: name.to_owned(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sells the seat unless it is gone; whether it was sold.
    async fn sell(mut self, seat: usize) -> Result<bool, BookingError> {
        let tickets = self.tickets_of(seat);
        if self.connection.exists(&tickets).await? {
            return Ok(false);
        }
        // The bank takes its time, and meanwhile everybody else looks.
        sleep(BANK).await;
        redis::pipe()
            .incr(&tickets, 1)
            .expire(&tickets, 60)
            .exec_async(&mut self.connection)
            .await?;
        Ok(true)
    }

    /// How many tickets were printed for each seat.
    pub(crate) async fn tickets(&mut self) -> Result<Vec<u64>, RedisError> {
        let keys: Vec<String> = (0..SEATS).map(|seat| self.tickets_of(seat)).collect();
        let counts: Vec<Option<u64>> = self.connection.mget(keys).await?;
        Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
    }

    pub(crate) async fn summary(&mut self) -> Result<String, RedisError> {
        let tickets = self.tickets().await?;
        let (all, most): (u64, _) = (tickets.iter().sum(), tickets.iter().max());
        let most = most.copied().unwrap_or_default();
        Ok(format!(
            "{all} tickets for {SEATS} seats, at most {most} for one seat"
        ))
    }

    /// Takes what was counted off the server.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        let keys: Vec<String> = (0..SEATS).map(|seat| self.tickets_of(seat)).collect();
        let () = self.connection.del(keys).await?;
        Ok(())
    }

    fn tickets_of(&self, seat: usize) -> String {
        format!("tickets:{}:{seat}", self.name)
    }
}

#[derive(Debug)]
pub(crate) enum BookingError {
    Store(RedisError),
    Lock(LockError),
}

impl From<RedisError> for BookingError {
    fn from(error: RedisError) -> Self {
        Self::Store(error)
    }
}

impl From<LockError> for BookingError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl fmt::Display for BookingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "count tickets: {error}"),
            Self::Lock(error) => error.fmt(f),
        }
    }
}

impl Error for BookingError {}
