//! A write that comes too late, and a PostgreSQL that refuses it.
//!
//! `cargo run --example fenced_postgres` starts a Redis server and a PostgreSQL
//! of its own, installs what is missing of them if it may, and leaves nothing
//! behind; with `LOCKGUARD_URL=redis://127.0.0.1` in the environment, the lock
//! is on that server.

mod account;
mod database;
mod keeper;
mod pause;
mod teller;

use std::{env, process::ExitCode, time::Duration};

use lockguard_examples::{
    Failure, Story, failed,
    server::{self, Server},
};
use tokio::time::timeout;

use crate::{
    account::{Account, OPENING, Write},
    database::Database,
    pause::Pause,
    teller::{End, TTL, Teller},
};

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(60);

/// What the two tellers deposit: the one that is paused, and the other.
const AMOUNTS: (i64, i64) = (10, 30);

#[tokio::main]
async fn main() -> ExitCode {
    // What this program starts is this program, in another role.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some(teller::ROLE) => teller::run(&arguments).await,
        Some(server::ROLE) => server::keep(&arguments),
        Some(database::ROLE) => database::keep(&arguments),
        Some(pause::ROLE) => pause::keep(&arguments),
        _ => tell().await,
    };
    ended.unwrap_or_else(failed)
}

async fn tell() -> Result<ExitCode, Failure> {
    let redis = Server::find_or_start().await?;
    let database = Database::start().await?;
    let mut story = Story::begin(format!(
        "Two processes deposit {} and {} on an account with {OPENING}; the lock is on {redis}, the \
         account in a PostgreSQL",
        AMOUNTS.0, AMOUNTS.1
    ));
    let told = timeout(LIMIT, async {
        without_the_token(&mut story, redis.url(), database.url()).await?;
        with_the_token(&mut story, redis.url(), database.url()).await
    });
    told.await
        .unwrap_or_else(|_| Err(format!("tell the story within {LIMIT:?}").into()))?;
    database.end().await?;
    redis.end().await?;
    Ok(story.end())
}

async fn without_the_token(story: &mut Story, redis: &str, database: &str) -> Result<(), Failure> {
    story.chapter("The account takes every write");
    let account = Account::open(database, new_id(1)).await?;
    let mut tellers = Tellers::start(redis, database, &account, Write::Unfenced).await?;
    let late = tellers.late_write(story).await?;
    let balance = account.balance().await?;
    story.promise(
        late.end == End::Lost(1) && balance == OPENING + AMOUNTS.0,
        format!(
            "its late write wins: {balance} on the account, and {} are gone",
            AMOUNTS.1
        ),
    );
    Ok(())
}

async fn with_the_token(story: &mut Story, redis: &str, database: &str) -> Result<(), Failure> {
    story.chapter("The same, and the account refuses old tokens: UPDATE … AND fence < $1");
    let account = Account::open(database, new_id(2)).await?;
    let mut tellers = Tellers::start(redis, database, &account, Write::Fenced).await?;
    let late = tellers.late_write(story).await?;
    let balance = account.balance().await?;
    story.promise(
        late.tokens.0 < late.tokens.1,
        "its fencing token is the smaller one",
    );
    story.promise(
        late.end == End::Lost(0) && balance == OPENING + AMOUNTS.1,
        format!("its late write matches 0 rows: refused, with {balance} on the account"),
    );
    let again = tellers.paused.read_to_deposit(AMOUNTS.0).await?;
    let end = tellers.paused.write().await?;
    let balance = account.balance().await?;
    story.promise(
        again.token > late.tokens.1
            && end == End::InTime(1)
            && balance == OPENING + AMOUNTS.0 + AMOUNTS.1,
        format!("it tries again, under a new lease: {balance}, and nothing is lost"),
    );
    Ok(())
}

/// Two processes that want the same account.
struct Tellers {
    paused: Teller,
    other: Teller,
}

/// What became of the write that came too late.
struct Late {
    /// Of the paused teller and of the other.
    tokens: (u64, u64),
    end: End,
}

impl Tellers {
    async fn start(
        redis: &str,
        database: &str,
        account: &Account,
        write: Write,
    ) -> Result<Self, Failure> {
        Ok(Self {
            paused: Teller::start(redis, database, account, write).await?,
            other: Teller::start(redis, database, account, write).await?,
        })
    }

    /// One is paused between its read and its write, until the other is done.
    async fn late_write(&mut self, story: &Story) -> Result<Late, Failure> {
        let (paused, other) = (&mut self.paused, &mut self.other);
        let first = paused.read_to_deposit(AMOUNTS.0).await?;
        let pause = Pause::of(paused.pid()).await?;
        story.tell(format!(
            "process {} holds the lock, reads {}, and is paused before it writes",
            paused.pid(),
            first.balance
        ));
        // It queues until the lock has ended by itself.
        let second = other.read_to_deposit(AMOUNTS.1).await?;
        let end = other.write().await?;
        if end != End::InTime(1) {
            return Err(format!("deposit in time: {end:?}").into());
        }
        story.tell(format!(
            "after the ttl of {TTL:?}, process {} has the lock, reads {}, and writes {}",
            other.pid(),
            second.balance,
            second.balance + AMOUNTS.1
        ));
        pause.end().await?;
        let end = paused.write().await?;
        story.tell(format!(
            "process {} goes on: its function returns `Lost`, and its write was under way",
            paused.pid()
        ));
        Ok(Late {
            tokens: (first.token, second.token),
            end,
        })
    }
}

/// An account that no other run of this example has locked.
fn new_id(chapter: i64) -> i64 {
    i64::from(std::process::id()) * 10 + chapter
}
