//! Which seats are sold; it trusts its callers to come one at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{AsyncCommands as _, Client, RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

/// How long the bank takes.
const BANK: Duration = Duration::from_millis(50);

/// How long it takes to send a ticket.
const MAIL: Duration = Duration::from_millis(20);

/// One handle on the shop.
#[derive(Clone)]
pub(crate) enum Shop {
    Memory(Arc<Mutex<HashMap<u64, String>>>),
    Redis(Arc<Client>),
}

impl Shop {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// The shop that all replicas share; of several servers, one has it.
    pub(crate) fn on(url: &str) -> Result<Self, RedisError> {
        let url = url.split(',').next().unwrap_or(url).trim();
        Client::open(url).map(|client| Self::Redis(Arc::new(client)))
    }

    pub(crate) async fn is_sold(&self, seat: u64) -> Result<bool, RedisError> {
        match self {
            Self::Memory(sold) => {
                let sold = sold.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(sold.contains_key(&seat))
            }
            Self::Redis(client) => connect(client).await?.exists(tickets_of(seat)).await,
        }
    }

    pub(crate) async fn pay(&self) {
        sleep(BANK).await;
    }

    /// Prints a ticket.
    pub(crate) async fn sell(&self, seat: u64, buyer: &str) -> Result<(), RedisError> {
        match self {
            Self::Memory(sold) => {
                let mut sold = sold.lock().unwrap_or_else(PoisonError::into_inner);
                sold.insert(seat, buyer.to_owned());
                Ok(())
            }
            Self::Redis(client) => {
                let mut connection = connect(client).await?;
                connection.rpush(tickets_of(seat), buyer).await
            }
        }
    }

    pub(crate) async fn mail(&self) {
        sleep(MAIL).await;
    }

    pub(crate) async fn take_back(&self, seat: u64) -> Result<(), RedisError> {
        match self {
            Self::Memory(sold) => {
                let mut sold = sold.lock().unwrap_or_else(PoisonError::into_inner);
                sold.remove(&seat);
                Ok(())
            }
            Self::Redis(client) => connect(client).await?.del(tickets_of(seat)).await,
        }
    }
}

/// The list of those who have a ticket for the seat: one, or none.
pub(crate) fn tickets_of(seat: u64) -> String {
    format!("tickets:{seat}")
}

/// Where a service would have a pool.
async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    client.get_multiplexed_async_connection().await
}
