//! Books, loses and fails, and reads what the service shows of it.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use lockguard::{
    LockManager,
    metrics::{ACQUIRE_SECONDS, HOLD_SECONDS, LOST_TOTAL, NODE_UP, VALIDITY_USED_RATIO},
};
use lockguard_examples::{
    Failure, Story,
    http::{Answer, ask},
    server::Server,
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use crate::{
    recorder,
    service::{self, POINT},
};

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(60);

/// Bookings that go well.
const BOOKED: u32 = 5;

pub(crate) async fn run() -> Result<ExitCode, Failure> {
    match timeout(LIMIT, tell()).await {
        Ok(told) => told,
        Err(_) => Err(format!("check the service within {LIMIT:?}").into()),
    }
}

async fn tell() -> Result<ExitCode, Failure> {
    let shown = recorder::install()?;
    let server = Server::start().await?;
    let mut story = Story::begin(format!("What Prometheus is shown of locks on {server}"));
    let manager = LockManager::connect(server.url()).await?;
    lockguard::register(manager.clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, service::router(shown)).into_future());

    bookings(&mut story, address).await?;
    a_held_seat(&mut story, address, &manager).await?;
    a_slow_bank(&mut story, address).await?;
    without_a_server(&mut story, address, server).await?;
    Ok(story.end())
}

async fn bookings(story: &mut Story, service: SocketAddr) -> Result<(), Failure> {
    story.chapter("Bookings that go well");
    for seat in 0..BOOKED {
        let answer = book(service, seat, 5).await?;
        story.promise(
            answer.status == 201,
            format!("seat {seat}: {}", answer.status),
        );
    }
    let page = Page::read(service).await?;
    page.promise(story, &acquires("acquired"), f64::from(BOOKED));
    page.promise(story, &count_of(HOLD_SECONDS), f64::from(BOOKED));
    let within = format!("{VALIDITY_USED_RATIO}_bucket{{point=\"{POINT}\",le=\"1\"}}");
    page.promise(story, &within, f64::from(BOOKED));
    page.promise(story, NODE_UP, 1.0);
    Ok(())
}

async fn a_held_seat(
    story: &mut Story,
    service: SocketAddr,
    manager: &LockManager,
) -> Result<(), Failure> {
    story.chapter("A seat that somebody else holds");
    let request = manager.lock("seat:100", Duration::from_secs(30));
    let held = request.named("check").acquire().await?;
    let answer = book(service, 100, 5).await?;
    story.promise(
        answer.status == 409,
        format!("is answered {}", answer.status),
    );
    held.release().await?;
    let page = Page::read(service).await?;
    page.promise(story, &acquires("busy"), 1.0);
    Ok(())
}

async fn a_slow_bank(story: &mut Story, service: SocketAddr) -> Result<(), Failure> {
    story.chapter("A bank that takes longer than the lease lasts");
    let answer = book(service, 101, 5_000).await?;
    story.promise(
        answer.status == 500,
        format!("is answered {}", answer.status),
    );
    let page = Page::read(service).await?;
    let lost = format!("{LOST_TOTAL}{{point=\"{POINT}\",cause=\"expired\"}}");
    page.promise(story, &lost, 1.0);
    let within = format!("{VALIDITY_USED_RATIO}_bucket{{point=\"{POINT}\",le=\"1\"}}");
    page.promise(story, &within, f64::from(BOOKED));
    page.promise(story, &count_of(VALIDITY_USED_RATIO), f64::from(BOOKED + 1));
    Ok(())
}

async fn without_a_server(
    story: &mut Story,
    service: SocketAddr,
    server: Server,
) -> Result<(), Failure> {
    story.chapter("The Redis server is stopped");
    server.end().await?;
    let answer = book(service, 102, 5).await?;
    story.promise(
        answer.status == 503,
        format!("is answered {}", answer.status),
    );
    let mut page = Page::read(service).await?;
    // The node is given up when it has been gone for the response timeout.
    while page.value(NODE_UP) != Some(0.0) {
        sleep(Duration::from_millis(20)).await;
        page = Page::read(service).await?;
    }
    page.promise(story, NODE_UP, 0.0);
    page.promise(story, &acquires("unavailable"), 1.0);
    story.promise(
        !page.text.contains("seat:"),
        "no key is shown, of which there are many",
    );
    Ok(())
}

async fn book(service: SocketAddr, seat: u32, millis: u32) -> Result<Answer, Failure> {
    let path = format!("/seats/{seat}");
    Ok(ask(service, "POST", &path, &millis.to_string()).await?)
}

/// How many acquires came to this.
fn acquires(outcome: &str) -> String {
    format!("{ACQUIRE_SECONDS}_count{{point=\"{POINT}\",outcome=\"{outcome}\"}}")
}

fn count_of(histogram: &str) -> String {
    format!("{histogram}_count{{point=\"{POINT}\"}}")
}

/// What Prometheus is shown.
struct Page {
    text: String,
}

impl Page {
    async fn read(service: SocketAddr) -> Result<Self, Failure> {
        let answer = ask(service, "GET", "/metrics", "").await?;
        Ok(Self { text: answer.body })
    }

    /// The value of the first line that begins so.
    fn value(&self, series: &str) -> Option<f64> {
        let lines = self.text.lines();
        let mut lines = lines.filter(|line| line.starts_with(series));
        lines.next()?.rsplit(' ').next()?.parse().ok()
    }

    fn promise(&self, story: &mut Story, series: &str, value: f64) {
        let shown = self.value(series);
        let text = shown.map_or_else(|| "nothing".to_owned(), |shown| shown.to_string());
        story.promise(shown == Some(value), format!("{series} is {text}"));
    }
}
