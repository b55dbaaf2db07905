//! A process that sells seats, from the inside and from the outside.

use std::{
    env,
    io::{self, Write as _, stdin, stdout},
    process::{self, ExitCode, Stdio},
    thread,
    time::Instant,
};

use lockguard::{LockManager, distributed_lock};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
    task::JoinSet,
};

use crate::{
    Failure,
    shop::{BookingError, SEATS, Shop, TTL, book, book_unlocked},
};

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

    let go = orders();
    say(READY)?;
    go.await?;
    sell_all(shop, kind).await?;
    Ok(ExitCode::SUCCESS)
}

/// Resolves with the order to begin; ends the process when nobody is left to
/// give orders.
fn orders() -> oneshot::Receiver<()> {
    let (begin, go) = oneshot::channel();
    // A thread, for tokio would wait for its own reader before it ends.
    thread::spawn(move || {
        let mut orders = stdin().lines();
        if let Some(Ok(GO)) = orders.next().as_ref().map(|line| line.as_deref()) {
            let _ = begin.send(());
        }
        orders.for_each(drop);
        process::exit(1);
    });
    go
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
            (seat, Ok(true)) => say(&format!("sold {seat}"))?,
            (_, Err(error)) => say(&format!("failed to {error}"))?,
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

fn say(line: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A process that sells; killed when it is dropped.
pub(crate) struct Seller {
    process: Child,
    pid: u32,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

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
        let mut process = Command::new(env::current_exe()?)
            .args([ROLE, url, shop, kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (pid, orders, out) = process
            .id()
            .zip(process.stdin.take())
            .zip(process.stdout.take())
            .map(|((pid, orders), out)| (pid, orders, out))
            .ok_or("start a seller: it ended at once")?;
        let mut seller = Self {
            process,
            pid,
            orders,
            said: BufReader::new(out).lines(),
        };
        seller.hear(READY).await?;
        Ok(seller)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells the seller to begin.
    pub(crate) async fn go(&mut self) -> io::Result<()> {
        self.orders.write_all(format!("{GO}\n").as_bytes()).await
    }

    /// Waits until the seller says this.
    pub(crate) async fn hear(&mut self, word: &str) -> Result<(), Failure> {
        while let Some(line) = self.said.next_line().await? {
            if line == word {
                return Ok(());
            }
        }
        Err(format!("hear a seller that is {word}: it ended before").into())
    }

    /// Kills the process (`SIGKILL`), and waits until it is gone.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.process.kill().await
    }

    /// Hears what the seller has to say, until it ends.
    pub(crate) async fn finish(mut self) -> Result<Vec<Sale>, Failure> {
        let mut sales = Vec::new();
        while let Some(line) = self.said.next_line().await? {
            let seat = line.strip_prefix("sold ").map(str::parse).transpose()?;
            sales.push(Sale {
                pid: self.pid,
                at: Instant::now(),
                seat,
                problem: seat.is_none().then_some(line),
            });
        }
        let status = self.process.wait().await?;
        if status.success() {
            Ok(sales)
        } else {
            Err(format!("sell: a seller ended with {status}").into())
        }
    }
}
