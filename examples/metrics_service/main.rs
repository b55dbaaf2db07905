//! A web service that shows Prometheus what its locks do.
//!
//! `cargo run --example metrics_service --features prometheus` serves on port
//! 3000, with its locks in memory; with `LOCKGUARD_URL=redis://127.0.0.1` in the
//! environment, on that server:
//!
//! ```sh
//! curl -d 50 localhost:3000/seats/17   # books a seat; the bank takes 50 ms
//! curl localhost:3000/metrics
//! ```
//!
//! With `--check` after a `--`, it starts a server of its own, books, loses and
//! fails, and reads what it shows.

mod check;
mod recorder;
mod service;

use std::{env, process::ExitCode};

use lockguard::LockManager;
use lockguard_examples::{Failure, failed, replica::say, server};
use tokio::net::TcpListener;

const ADDRESS: &str = "127.0.0.1:3000";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--check"] => check::run().await,
        [server::ROLE, ..] => server::keep(&arguments),
        _ => serve().await,
    };
    ended.unwrap_or_else(failed)
}

async fn serve() -> Result<ExitCode, Failure> {
    // Before the manager is made, so that nothing of it is missed.
    let shown = recorder::install()?;
    let manager = match env::var("LOCKGUARD_URL") {
        Ok(url) => LockManager::connect(url).await?,
        Err(_) => LockManager::memory(),
    };
    lockguard::register(manager)?;
    let listener = TcpListener::bind(ADDRESS).await?;
    say(format_args!("listening on {}", listener.local_addr()?))?;
    axum::serve(listener, service::router(shown)).await?;
    Ok(ExitCode::SUCCESS)
}
