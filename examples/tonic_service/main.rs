//! A gRPC service that books seats; of its replicas, one books a seat at a
//! time.
//!
//! `cargo run --example tonic_service --features tonic` serves on port 50051,
//! in memory; with `LOCKGUARD_URL=redis://127.0.0.1` in the environment, on
//! that server (the tickets stay in memory).
//!
//! With `--check` after a `--`, it starts a server and two replicas of its own,
//! and holds them to their promises.

mod check;
mod seats;

/// What `tonic-prost-build` makes of `booking.proto`, checked in so that
/// nobody needs protoc.
#[expect(unreachable_pub, clippy::pedantic, reason = "it is generated")]
mod booking;

use std::{env, io, process::ExitCode, time::Duration};

use lockguard::LockManager;
use lockguard_examples::{Failure, failed, replica::say, server};
use tonic::transport::Server;

use crate::{
    booking::booking_server::BookingServer,
    seats::{Seats, Tickets},
};

const ADDRESS: &str = "127.0.0.1:50051";

/// How long the locks that are left may take to be given back.
const LAST: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("--check") => check::run().await,
        Some(server::ROLE) => server::keep(&arguments),
        _ => serve().await,
    };
    ended.unwrap_or_else(failed)
}

async fn serve() -> Result<ExitCode, Failure> {
    let url = env::var("LOCKGUARD_URL").or_else(|_| {
        say("LOCKGUARD_URL is not set: the locks are those of this process alone")?;
        io::Result::Ok(String::from("memory://"))
    })?;
    let manager = LockManager::connect(url).await?;
    let seats = Seats::new(manager.clone(), Tickets::default());
    say(format_args!("listening on {ADDRESS}"))?;
    Server::builder()
        .add_service(BookingServer::new(seats))
        .serve_with_shutdown(ADDRESS.parse()?, async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    // Nothing is locked any more, unless a handler has left something behind.
    let drained = manager.drain(LAST).await;
    say(format_args!("{drained}"))?;
    Ok(ExitCode::SUCCESS)
}
