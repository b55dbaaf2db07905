//! A process that sells seats, from the inside and from the outside.

use std::{io, process::ExitCode, time::Instant};

use lockguard::{LockManager, distributed_lock};
use lockguard_examples::{
    Failure,
    replica::{Replica, orders, say},
};
use tokio::task::JoinSet;

use crate::shop::{BookingError, SEATS, Shop, TTL, book, book_unlocked};

/// The first argument of this program as a seller.
pub(crate) const ROLE: &str = "sell";

/// Said by a doomed seller that holds the lock.
pub(crate) const PAYING: &str = "paying";

const READY: &str = "ready";
const GO: &str = "go";

/// Each process wants every seat so many times.
const BUYERS_PER_SEAT: usize = 3;

/// How a seller sells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unlocked,
    Locked,
    /// Locked, and to be killed with the lock in its hands.
    Doomed,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Unlocked, Self::Locked, Self::Doomed];

    fn name(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked",
            Self::Locked => "locked",
            Self::Doomed => "doomed",
        }
    }
}

/// Sells, as the process that [`Seller::start`] has started.
pub(crate) async fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [_, url, shop, kind] = arguments else {
        return Err("sell: a seller needs a server, a shop and a kind".into());
    };
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = kind.ok_or("sell: there is no such kind of seller")?;
    let shop = Shop::enter(url, shop).await?;
    lockguard::register(LockManager::connect(url).await?)?;

    let mut orders = orders();
    say(READY)?;
    if orders.recv().await.as_deref() != Some(GO) {
        return Err("sell: a seller begins when it is told to".into());
    }
    sell_all(shop, kind).await?;
    Ok(ExitCode::SUCCESS)
}

async fn sell_all(shop: Shop, kind: Kind) -> Result<(), Failure> {
    let mut buyers = JoinSet::new();
    // A doomed process wants seat 0 alone, and takes it to its grave.
    let (seats, times) = match kind {
        Kind::Doomed => (1, 1),
        Kind::Unlocked | Kind::Locked => (SEATS, BUYERS_PER_SEAT),
    };
    for seat in (0..seats).cycle().take(seats * times) {
        let shop = shop.clone();
        buyers.spawn(async move {
            let sold = match kind {
                Kind::Unlocked => book_unlocked(shop, seat).await,
                Kind::Locked => book(shop, seat).await,
                Kind::Doomed => book_and_hang(shop, seat).await,
            };
            (seat, sold)
        });
    }
    while let Some(asked) = buyers.join_next().await {
        match asked? {
            (_, Ok(false)) => {}
            (seat, Ok(true)) => say(format_args!("sold {seat}"))?,
            (_, Err(error)) => say(format_args!("failed to {error}"))?,
        }
    }
    Ok(())
}

/// Holds the seat, and never hears from its bank.
#[distributed_lock(key = "seat:{shop.name()}:{seat}", ttl = TTL)]
async fn book_and_hang(shop: Shop, seat: usize) -> Result<bool, BookingError> {
    // Where nobody hears this, nobody waits for it.
    let _ = say(PAYING);
    std::future::pending().await
}

/// A process that sells; killed when it is dropped.
pub(crate) struct Seller(Replica);

/// What a seller said of one buyer.
pub(crate) struct Sale {
    pub(crate) pid: u32,
    pub(crate) at: Instant,
    pub(crate) seat: Option<usize>,
    pub(crate) problem: Option<String>,
}

impl Seller {
    /// Starts a process, and waits until it is ready to sell.
    pub(crate) async fn start(url: &str, shop: &str, kind: Kind) -> Result<Self, Failure> {
        let mut replica = Replica::start([ROLE, url, shop, kind.name()])?;
        replica.hear(READY).await?;
        Ok(Self(replica))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Tells the seller to begin.
    pub(crate) async fn go(&mut self) -> io::Result<()> {
        self.0.tell(GO).await
    }

    /// Waits until the seller says this.
    pub(crate) async fn hear(&mut self, word: &str) -> Result<(), Failure> {
        self.0.hear(word).await.map(drop)
    }

    /// Kills the process (`SIGKILL`), and waits until it is gone.
    pub(crate) async fn kill(self) -> io::Result<()> {
        self.0.kill().await
    }

    /// Hears what the seller has to say, until it ends.
    pub(crate) async fn finish(mut self) -> Result<Vec<Sale>, Failure> {
        let mut sales = Vec::new();
        while let Some(line) = self.0.next().await? {
            let seat = line.strip_prefix("sold ").map(str::parse).transpose()?;
            sales.push(Sale {
                pid: self.pid(),
                at: Instant::now(),
                seat,
                problem: seat.is_none().then_some(line),
            });
        }
        let status = self.0.ended().await?;
        if status.success() {
            Ok(sales)
        } else {
            Err(format!("sell: a seller ended with {status}").into())
        }
    }
}
