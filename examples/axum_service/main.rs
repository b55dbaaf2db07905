//! A web service that books seats; of its replicas, one books a seat at a time.
//!
//! `cargo run --example axum_service --features axum` serves on port 3000, in
//! memory; with `LOCKGUARD_URL=redis://127.0.0.1` in the environment, on that
//! server, and start as many as you like:
//!
//! ```sh
//! curl -d ann localhost:3000/seats/17
//! ```
//!
//! With `--check` after a `--`, it starts a server and replicas of its own, and
//! holds them to their promises.

mod api;
mod check;
mod client;
mod load;
mod shop;

use std::{env, process::ExitCode, time::Duration};

use lockguard::LockManager;
use lockguard_examples::{
    Failure, failed,
    replica::{orders, say},
    server,
    stop::told_to_stop,
};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use tracing::{Level, info, warn};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::shop::Shop;

const ADDRESS: &str = "127.0.0.1:3000";

/// How long bookings may go on after the signal: `wait` and `ttl` of the
/// slowest handler, and a little.
const GRACE: Duration = Duration::from_secs(6);

/// How long those that are cut short then, and the releases of their locks, may
/// take.
const LAST: Duration = Duration::from_secs(2);

/// How long it may take to answer them; an orchestrator kills after ten seconds
/// or later.
const ANSWERS: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check"] => check::run().await,
        [check::REPLICA, url, grace] => replica(url, grace).await,
        [server::ROLE, ..] => server::keep(&arguments),
        _ => {
            log_from(Level::INFO);
            serve(env::var("LOCKGUARD_URL").ok().as_deref(), ADDRESS, GRACE).await
        }
    };
    ended.unwrap_or_else(failed)
}

async fn replica(url: &str, grace: &str) -> Result<ExitCode, Failure> {
    // Not read: it is their end that ends this process.
    let _orders = orders();
    log_from(Level::WARN);
    let grace = Duration::from_secs(grace.parse()?);
    serve(Some(url), "127.0.0.1:0", grace).await
}

async fn serve(url: Option<&str>, address: &str, grace: Duration) -> Result<ExitCode, Failure> {
    let shop = if let Some(url) = url {
        lockguard::register(LockManager::connect(url).await?)?;
        Shop::on(url)?
    } else {
        warn!("LOCKGUARD_URL is not set: seats and their locks are those of this process alone");
        lockguard::register(LockManager::memory())?;
        Shop::in_memory()
    };

    let listener = TcpListener::bind(address).await?;
    say(format_args!("listening on {}", listener.local_addr()?))?;
    let (leave, left) = oneshot::channel::<()>();
    let server = axum::serve(listener, api::router(shop)).with_graceful_shutdown(async {
        let _ = left.await;
    });
    let mut server = tokio::spawn(server.into_future());

    told_to_stop().await?;
    info!("no new bookings; those that run have {grace:?} to end");
    drop(leave);
    let in_time = timeout(grace, &mut server).await;
    // Ends what is still locked, and gives every lock back.
    let drained = lockguard::drain(LAST).await;
    info!("{drained}");
    let ended = match in_time {
        Ok(ended) => Ok(ended),
        // The buyers have not heard yet what became of them.
        Err(_) => timeout(ANSWERS, server).await,
    };
    if let (Ok(ended), true) = (ended, drained.is_clean()) {
        ended??;
        Ok(ExitCode::SUCCESS)
    } else {
        warn!("bookings were cut short");
        Ok(ExitCode::FAILURE)
    }
}

/// Logs each span when it ends, and with it how long it took.
fn log_from(level: Level) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::CLOSE)
        .init();
}
