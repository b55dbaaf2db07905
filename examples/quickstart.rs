//! The whole idea in five seconds, without a server.
//!
//! `cargo run --example quickstart`

use std::{
    error::Error,
    fmt,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lockguard::{LockError, LockManager, distributed_lock};
use lockguard_examples::Story;
use tokio::{task::JoinSet, time::sleep};

/// What anybody would write: look, pay, sell.
async fn book_unlocked(shop: Arc<Shop>, seat: usize, buyer: Buyer) -> Result<(), BookingError> {
    shop.sell(seat, buyer).await
}

/// The same, with one line above it.
#[distributed_lock(key = "seat:{seat}", ttl = "2s")]
async fn book(shop: Arc<Shop>, seat: usize, buyer: Buyer) -> Result<(), BookingError> {
    shop.sell(seat, buyer).await
}

/// Does not queue for a seat that somebody is buying.
#[distributed_lock(key = "seat:{seat}", ttl = "2s", wait = "0s")]
async fn book_at_once(shop: Arc<Shop>, seat: usize, buyer: Buyer) -> Result<(), BookingError> {
    shop.sell(seat, buyer).await
}

/// Has 200 ms, and a bank that needs 300.
#[distributed_lock(key = "seat:{seat}", ttl = "200ms")]
async fn book_slowly(shop: Arc<Shop>, seat: usize, buyer: Buyer) -> Result<(), BookingError> {
    sleep(Duration::from_millis(300)).await;
    shop.sell(seat, buyer).await
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // A service writes `LockManager::connect("redis://…").await?` here.
    lockguard::register(LockManager::memory())?;
    let mut story = Story::begin("50 buyers for 10 seats");
    without_a_lock(&mut story).await;
    with_the_lock(&mut story).await;
    an_error_releases(&mut story).await;
    a_busy_key(&mut story).await;
    a_lost_lease(&mut story).await;
    story.chapter("What it took");
    story.tell("lockguard::register(LockManager::memory())?;          at start-up");
    story.tell("#[distributed_lock(key = \"seat:{seat}\", ttl = \"2s\")]  above the function");
    story.tell("across processes, on a real server: cargo run --example double_booking");
    Ok(story.end())
}

async fn without_a_lock(story: &mut Story) {
    story.chapter("Without a lock");
    let shop = Arc::new(Shop::default());
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        buyers.spawn(book_unlocked(
            Arc::clone(&shop),
            buyer % SEATS,
            Buyer::Paying,
        ));
    }
    buyers.join_all().await;
    story.tell(shop.summary());
    story.promise(shop.sold_twice() > 0, "as expected: seats are sold twice");
}

async fn with_the_lock(story: &mut Story) {
    story.chapter("With one line: #[distributed_lock(key = \"seat:{seat}\", ttl = \"2s\")]");
    let shop = Arc::new(Shop::default());
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        buyers.spawn(book(Arc::clone(&shop), buyer % SEATS, Buyer::Paying));
    }
    let answers = buyers.join_all().await;
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(BookingError::SoldOut)));
    story.tell(shop.summary());
    story.promise(
        shop.tickets() == SEATS && shop.sold_twice() == 0,
        "each seat is sold once",
    );
    story.promise(
        refused.count() == BUYERS - SEATS,
        "everybody else waited their turn and is told that the seat is gone",
    );
}

async fn an_error_releases(story: &mut Story) {
    story.chapter("The body fails");
    let shop = Arc::new(Shop::default());
    let failed = book(Arc::clone(&shop), 7, Buyer::Broke).await;
    tell_result(story, "the first buyer", &failed);
    let asked = Instant::now();
    let next = book(Arc::clone(&shop), 7, Buyer::Paying).await;
    story.promise(
        next.is_ok() && asked.elapsed() < Duration::from_millis(500),
        "the lock is free again, and the next buyer gets the seat",
    );
}

async fn a_busy_key(story: &mut Story) {
    story.chapter("The key is busy, and the caller does not want to queue");
    let shop = Arc::new(Shop::default());
    let (first, second) = tokio::join!(
        book(Arc::clone(&shop), 7, Buyer::Paying),
        book_at_once(Arc::clone(&shop), 7, Buyer::Paying),
    );
    tell_result(story, "the second buyer", &second);
    story.promise(
        first.is_ok() && matches!(second, Err(BookingError::Lock(e)) if e.is_busy()),
        "busy is an answer of its own, and names the holder",
    );
}

async fn a_lost_lease(story: &mut Story) {
    story.chapter("The body is slower than its lease");
    let shop = Arc::new(Shop::default());
    let asked = Instant::now();
    let lost = book_slowly(Arc::clone(&shop), 7, Buyer::Paying).await;
    let stopped = asked.elapsed();
    tell_result(story, "the slow buyer", &lost);
    story.promise(
        matches!(lost, Err(BookingError::Lock(e)) if e.is_lost()),
        format!("the caller is told after {stopped:.0?}, the ttl was 200ms"),
    );
    // The bank would have answered by now.
    sleep(Duration::from_millis(300)).await;
    story.promise(
        shop.tickets() == 0,
        "the body was stopped: nothing was sold after its deadline",
    );
}

const SEATS: usize = 10;
const BUYERS: usize = 50;

#[derive(Clone, Copy)]
enum Buyer {
    Paying,
    Broke,
}

/// A shop that trusts its callers to come one at a time.
#[derive(Default)]
struct Shop {
    /// How many tickets were printed for each seat.
    tickets: Mutex<[usize; SEATS]>,
}

impl Shop {
    async fn sell(&self, seat: usize, buyer: Buyer) -> Result<(), BookingError> {
        if self.printed(|tickets| tickets.get(seat).is_some_and(|sold| *sold > 0)) {
            return Err(BookingError::SoldOut);
        }
        // The bank takes its time, and meanwhile everybody else looks.
        sleep(Duration::from_millis(5)).await;
        if matches!(buyer, Buyer::Broke) {
            return Err(BookingError::CardRefused);
        }
        self.printed(|tickets| tickets.get_mut(seat).map(|sold| *sold += 1));
        Ok(())
    }

    fn tickets(&self) -> usize {
        self.printed(|tickets| tickets.iter().sum())
    }

    fn sold_twice(&self) -> usize {
        self.printed(|tickets| tickets.iter().filter(|sold| **sold > 1).count())
    }

    fn summary(&self) -> String {
        let (tickets, twice) = (self.tickets(), self.sold_twice());
        format!("{tickets} tickets for {SEATS} seats, {twice} seats sold more than once")
    }

    fn printed<T>(&self, look: impl FnOnce(&mut [usize; SEATS]) -> T) -> T {
        look(&mut self.tickets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
enum BookingError {
    SoldOut,
    CardRefused,
    Lock(LockError),
}

impl From<LockError> for BookingError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl fmt::Display for BookingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoldOut => f.write_str("sell a seat that is gone"),
            Self::CardRefused => f.write_str("charge the card: refused"),
            Self::Lock(error) => error.fmt(f),
        }
    }
}

fn tell_result(story: &Story, who: &str, result: &Result<(), BookingError>) {
    match result {
        Ok(()) => story.tell(format!("{who}: sold")),
        Err(error) => story.tell(format!("{who}: failed to {error}")),
    }
}
