//! A process that deposits money, from the inside and from the outside.

use std::{process::ExitCode, sync::Arc, time::Duration};

use lockguard::{LockError, LockManager, distributed_lock};
use lockguard_examples::{
    Failure,
    replica::{Replica, orders, say},
};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::account::{Account, Write};

/// The first argument of this program as a teller; then come the Redis server,
/// the account, and whether its writes bring their fencing tokens.
pub(crate) const ROLE: &str = "teller";

/// How long the lock outlives a teller that is paused or gone.
pub(crate) const TTL: Duration = Duration::from_secs(2);

const FENCED: &str = "fenced";
const UNFENCED: &str = "unfenced";

/// Adds to what is on the account, one teller at a time.
#[distributed_lock(key = "account:{till.account.id()}", ttl = TTL, wait = "20s", fence = token)]
async fn deposit(
    till: Till,
    amount: i64,
    written: oneshot::Sender<Result<u64, Failure>>,
) -> Result<(), Failure> {
    let balance = till.account.balance().await?;
    say(format_args!("read {balance} {token}"))?;
    // A task of its own, as the queue of a driver is, or a blocking thread:
    // what is handed to it is not called back when the lease is lost.
    let writing = tokio::spawn(async move {
        till.told("write").await;
        let rows = till.account.write(till.write, balance + amount, token);
        let _ = written.send(rows.await);
    });
    Ok(writing.await?)
}

/// What a teller works with.
#[derive(Clone)]
struct Till {
    account: Account,
    write: Write,
    orders: Arc<Mutex<mpsc::Receiver<String>>>,
}

impl Till {
    async fn next_order(&self) -> Option<String> {
        self.orders.lock().await.recv().await
    }

    async fn told(&self, order: &str) {
        while self.next_order().await.is_some_and(|told| told != order) {}
    }
}

/// Deposits what it is told to, as the process that [`Teller::start`] has
/// started.
pub(crate) async fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [_, redis, account, write] = arguments else {
        return Err("deposit: a teller needs a server, an account and a way to write".into());
    };
    let mut orders = orders();
    // Its password is nothing for a list of processes.
    let database = orders.recv().await.ok_or("deposit: where is the account")?;
    lockguard::register(LockManager::connect(redis).await?)?;
    let till = Till {
        account: Account::of(&database, account.parse()?).await?,
        write: if write == FENCED {
            Write::Fenced
        } else {
            Write::Unfenced
        },
        orders: Arc::new(Mutex::new(orders)),
    };
    say("ready")?;
    while let Some(amount) = till.next_order().await {
        let (written, rows) = oneshot::channel();
        let ended = deposit(till.clone(), amount.parse()?, written).await;
        match ended {
            Ok(()) => say(format_args!("wrote {}", rows.await??))?,
            Err(error) if is_lost(&error) => say(format_args!("lost {}", rows.await??))?,
            Err(error) => return Err(error),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn is_lost(error: &Failure) -> bool {
    error
        .downcast_ref::<LockError>()
        .is_some_and(LockError::is_lost)
}

/// A process that deposits; killed when it is dropped.
pub(crate) struct Teller(Replica);

/// What a teller has in its hands when it holds the lock.
pub(crate) struct Reading {
    pub(crate) balance: i64,
    pub(crate) token: u64,
}

/// How a deposit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In time, with so many rows written.
    InTime(u64),
    /// The function returned that its lease is lost; what it had handed on wrote
    /// so many rows all the same.
    Lost(u64),
}

impl Teller {
    /// Starts a process, and waits until it is ready.
    pub(crate) async fn start(
        redis: &str,
        database: &str,
        account: &Account,
        write: Write,
    ) -> Result<Self, Failure> {
        let write = match write {
            Write::Fenced => FENCED,
            Write::Unfenced => UNFENCED,
        };
        let account = account.id().to_string();
        let mut replica = Replica::start([ROLE, redis, &account, write])?;
        replica.tell(database).await?;
        replica.hear("ready").await?;
        Ok(Self(replica))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Lets it lock the account and look how much is on it.
    pub(crate) async fn read_to_deposit(&mut self, amount: i64) -> Result<Reading, Failure> {
        self.0.tell(&amount.to_string()).await?;
        let said = self.0.hear("read ").await?;
        let (balance, token) = said.split_once(' ').ok_or("hear what a teller has read")?;
        Ok(Reading {
            balance: balance.parse()?,
            token: token.parse()?,
        })
    }

    /// Lets it write what it has in mind.
    pub(crate) async fn write(&mut self) -> Result<End, Failure> {
        self.0.tell("write").await?;
        match self.0.next().await? {
            Some(line) => match line.split_once(' ') {
                Some(("wrote", rows)) => Ok(End::InTime(rows.parse()?)),
                Some(("lost", rows)) => Ok(End::Lost(rows.parse()?)),
                _ => Err(format!("hear how a deposit ended: `{line}`").into()),
            },
            None => Err("hear how a deposit ended: the teller is gone".into()),
        }
    }
}
