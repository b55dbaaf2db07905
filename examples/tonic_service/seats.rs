//! The service: it looks, pays and sells, one caller at a time for each seat.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lockguard::{LockError, LockManager, distributed_lock};
use tokio::time::sleep;
use tonic::{Code, Request, Response, Status};

use crate::booking::{BookReply, BookRequest, booking_server::Booking};

/// How long the bank takes.
const BANK: Duration = Duration::from_millis(20);

/// Who has a ticket for which seat: what a service would have a database for.
pub(crate) type Tickets = Arc<Mutex<Vec<(u64, String)>>>;

pub(crate) struct Seats {
    locks: LockManager,
    tickets: Tickets,
}

impl Seats {
    pub(crate) fn new(locks: LockManager, tickets: Tickets) -> Self {
        Self { locks, tickets }
    }

    fn is_sold(&self, seat: u64) -> bool {
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.iter().any(|(sold, _)| *sold == seat)
    }

    fn sell(&self, seat: u64, buyer: String) {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.push((seat, buyer));
    }
}

#[tonic::async_trait]
impl Booking for Seats {
    #[distributed_lock(
        key = "seat:{request.get_ref().seat}",
        ttl = "2s",
        wait = "1s",
        manager = self.locks,
        on_error = |error| Err(status(&error)),
    )]
    async fn book(&self, request: Request<BookRequest>) -> Result<Response<BookReply>, Status> {
        let BookRequest { seat, buyer } = request.into_inner();
        if self.is_sold(seat) {
            return Err(Status::already_exists("this seat is sold"));
        }
        sleep(BANK).await;
        let ticket = format!("seat {seat} for {buyer}");
        self.sell(seat, buyer);
        Ok(Response::new(BookReply { ticket }))
    }
}

/// The status of a lock error, whose type and `Status` are both from
/// elsewhere, so that there can be no `From`.
///
/// Busy is `Aborted`, the code of conflicts between callers, which is 409
/// beside HTTP: the caller may try the whole call again.
/// `ResourceExhausted` is for quotas (429), and `Unavailable` is what clients
/// and proxies repeat by themselves, which makes a busy seat busier.
fn status(error: &LockError) -> Status {
    match error.http_status() {
        409 => Status::aborted("somebody else is at this seat; try again"),
        503 => Status::unavailable("locks are out of reach; try again later"),
        _ => Status::new(Code::Internal, format!("failed to {error}")),
    }
}
