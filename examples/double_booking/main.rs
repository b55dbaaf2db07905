//! The same shop in several processes, on a Redis server.
//!
//! `cargo run --example double_booking` starts a server of its own, and ends
//! it; with `LOCKGUARD_URL=redis://127.0.0.1` in the environment, it uses that
//! one.

mod seller;
mod shop;

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use lockguard_examples::{
    Failure, Story, failed,
    server::{self, Server},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    seller::{Kind, Sale, Seller},
    shop::{SEATS, Shop, TTL},
};

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(25);

const PROCESSES: usize = 4;

#[tokio::main]
async fn main() -> ExitCode {
    // What this program starts is this program, in another role.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some(seller::ROLE) => seller::run(&arguments).await,
        Some(server::ROLE) => server::keep(&arguments),
        _ => match timeout(LIMIT, tell()).await {
            Ok(told) => told,
            Err(_) => Err(format!("tell the story within {LIMIT:?}").into()),
        },
    };
    ended.unwrap_or_else(failed)
}

async fn tell() -> Result<ExitCode, Failure> {
    let server = Server::find_or_start().await?;
    let mut story = Story::begin(format!(
        "{PROCESSES} processes sell {SEATS} seats on {server}"
    ));
    without_a_lock(&mut story, server.url()).await?;
    with_the_lock(&mut story, server.url()).await?;
    server.end().await?;
    Ok(story.end())
}

async fn without_a_lock(story: &mut Story, url: &str) -> Result<(), Failure> {
    story.chapter("Without a lock");
    let mut shop = Shop::open(url, "without").await?;
    let mut sellers = Vec::new();
    for _ in 0..PROCESSES {
        sellers.push(Seller::start(url, shop.name(), Kind::Unlocked).await?);
    }
    sell(sellers).await?;
    story.tell(shop.summary().await?);
    story.promise(
        shop.tickets().await?.iter().any(|printed| *printed > 1),
        "seats are sold twice",
    );
    shop.close().await
}

async fn with_the_lock(story: &mut Story, url: &str) -> Result<(), Failure> {
    story.chapter("With one line above the function, and a process that is killed half-way");
    let mut shop = Shop::open(url, "with").await?;
    let mut doomed = Seller::start(url, shop.name(), Kind::Doomed).await?;
    let mut sellers = Vec::new();
    for _ in 0..PROCESSES {
        sellers.push(Seller::start(url, shop.name(), Kind::Locked).await?);
    }

    doomed.go().await?;
    doomed.hear(seller::PAYING).await?;
    let paying = Instant::now();
    let selling = tokio::spawn(sell(sellers));
    // By now the others queue behind the one that pays.
    tokio::time::sleep(Duration::from_millis(200)).await;
    story.tell(format!(
        "process {} is killed while it sells seat 0",
        doomed.pid()
    ));
    doomed.kill().await?;

    let sales = selling.await??;
    story.tell(shop.summary().await?);
    story.promise(
        shop.tickets().await? == [1; SEATS],
        "each seat is sold once",
    );
    story.promise(
        sales.iter().all(|sale| sale.problem.is_none()),
        "everybody else is told that the seat is gone, and nobody meets an error",
    );
    for problem in sales.iter().filter_map(|sale| sale.problem.as_ref()) {
        story.tell(problem);
    }
    if let Some(sale) = sales.iter().find(|sale| sale.seat == Some(0)) {
        let after = sale.at - paying;
        story.promise(
            after > TTL * 9 / 10 && after < TTL * 2,
            format!(
                "seat 0 is free after the ttl of {TTL:?}: process {} sells it after {after:.2?}",
                sale.pid
            ),
        );
    }
    shop.close().await
}

/// Lets all of them sell at the same time, until all are done.
async fn sell(mut sellers: Vec<Seller>) -> Result<Vec<Sale>, Failure> {
    for seller in &mut sellers {
        seller.go().await?;
    }
    let mut selling = JoinSet::new();
    for seller in sellers {
        selling.spawn(seller.finish());
    }
    let mut sales = Vec::new();
    while let Some(finished) = selling.join_next().await {
        sales.extend(finished??);
    }
    Ok(sales)
}
