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

use lockguard::{Drained, LockManager};
use lockguard_examples::{Failure, failed, replica::say, server, stop::told_to_stop};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use tonic::transport::{Server, server::TcpIncoming};

use crate::{
    booking::booking_server::BookingServer,
    seats::{Seats, Tickets},
};

const ADDRESS: &str = "127.0.0.1:50051";

/// How long calls may go on after the signal: `wait` and `ttl` of the slowest
/// one, and a little.
const GRACE: Duration = Duration::from_secs(4);

/// How long those that are cut short then, and the releases of their locks, may
/// take.
const LAST: Duration = Duration::from_secs(2);

/// How long it may take to answer them.
const ANSWERS: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.first().map(String::as_str) {
        Some("--check") => check::run().await,
        Some(server::ROLE) => server::keep(&arguments),
        _ => listen().await,
    };
    ended.unwrap_or_else(failed)
}

async fn listen() -> Result<ExitCode, Failure> {
    let url = env::var("LOCKGUARD_URL").or_else(|_| {
        say("LOCKGUARD_URL is not set: the locks are those of this process alone")?;
        io::Result::Ok(String::from("memory://"))
    })?;
    let manager = LockManager::connect(url).await?;
    let seats = Seats::new(manager.clone(), Tickets::default());
    let listener = TcpListener::bind(ADDRESS).await?;
    say(format_args!("listening on {ADDRESS}"))?;
    let drained = serve(listener, seats, manager, told_to_stop(), GRACE).await?;
    say(format_args!("{drained}"))?;
    if drained.is_clean() {
        Ok(ExitCode::SUCCESS)
    } else {
        say("bookings were cut short, or their seats stay locked for a while")?;
        Ok(ExitCode::FAILURE)
    }
}

/// Serves until it is told to stop, and leaves no lock behind.
async fn serve(
    listener: TcpListener,
    seats: Seats,
    manager: LockManager,
    told_to_stop: impl Future<Output = Result<(), Failure>>,
    grace: Duration,
) -> Result<Drained, Failure> {
    let (leave, left) = oneshot::channel::<()>();
    let server = Server::builder()
        .add_service(BookingServer::new(seats))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            let _ = left.await;
        });
    let mut server = tokio::spawn(server);
    told_to_stop.await?;
    drop(leave);
    let in_time = timeout(grace, &mut server).await;
    // Ends what is still locked, and gives every lock back.
    let drained = manager.drain(LAST).await;
    let ended = match in_time {
        Ok(ended) => ended,
        // Callers have not heard yet what became of them.
        Err(_) => timeout(ANSWERS, server).await?,
    };
    ended??;
    Ok(drained)
}
