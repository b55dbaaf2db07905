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
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tracing::{Level, info, warn};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::shop::Shop;

const ADDRESS: &str = "127.0.0.1:3000";

/// How long bookings may go on after the signal: `wait` and `ttl` of the
/// slowest handler, and a little.
const GRACE: Duration = Duration::from_secs(6);

/// How long those that are cut short then, and the releases of their locks, may
/// take; an orchestrator kills after ten seconds or later.
const LAST: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check"] => check::run().await,
        [check::REPLICA, url] => {
            // Not read: it is their end that ends this process.
            let _orders = orders();
            log_from(Level::WARN);
            serve(Some(url), "127.0.0.1:0").await
        }
        [server::ROLE, ..] => server::keep(&arguments),
        _ => {
            log_from(Level::INFO);
            serve(env::var("LOCKGUARD_URL").ok().as_deref(), ADDRESS).await
        }
    };
    ended.unwrap_or_else(failed)
}

async fn serve(url: Option<&str>, address: &str) -> Result<ExitCode, Failure> {
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
    let server = tokio::spawn(server.into_future());

    told_to_stop().await?;
    info!("no new bookings; those that run have {GRACE:?} to end");
    drop(leave);
    let ended = timeout(GRACE, server).await;
    // Ends what is still locked, and gives every lock back.
    let drained = lockguard::drain(LAST).await;
    info!("{drained}");
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

/// Resolves at Ctrl-C, or when an orchestrator says so.
async fn told_to_stop() -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
