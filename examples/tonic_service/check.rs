//! Holds two replicas of the service to their promises.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::ExitCode,
    sync::PoisonError,
    time::{Duration, Instant},
};

use lockguard::{Drained, LockManager};
use lockguard_examples::{Failure, Story, server::Server};
use redis::AsyncCommands as _;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    GRACE,
    booking::{BookRequest, booking_client::BookingClient},
    seats::{Seats, Tickets},
    serve,
};

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(60);

const SEATS: u64 = 8;

/// At each replica, so many want each seat.
const BUYERS: usize = 3;

/// A seat that the check holds, from outside.
const HELD: u64 = 100;

pub(crate) async fn run() -> Result<ExitCode, Failure> {
    match timeout(LIMIT, tell()).await {
        Ok(told) => told,
        Err(_) => Err(format!("check the service within {LIMIT:?}").into()),
    }
}

async fn tell() -> Result<ExitCode, Failure> {
    let server = Server::start().await?;
    let mut story = Story::begin(format!("Two replicas of a gRPC service on {server}"));
    let tickets = Tickets::default();
    // In one process, but each with a manager of its own: to the locks they
    // are strangers.
    let services = [
        Service::start(server.url(), &tickets, GRACE).await?,
        Service::start(server.url(), &tickets, GRACE).await?,
    ];
    everybody_at_once(&mut story, &services, &tickets).await?;
    let [one, other] = services;
    a_held_seat(&mut story, &one, server.url()).await?;
    a_shutdown(&mut story, other, server.url()).await?;
    let hurried = Service::start(server.url(), &tickets, Duration::ZERO).await?;
    a_shutdown_at_once(&mut story, hurried, server.url()).await?;

    story.chapter("The Redis server is stopped");
    server.end().await?;
    let asked = Instant::now();
    let code = one.book(HELD + 2).await;
    story.promise(
        code == Code::Unavailable,
        format!("a booking is {code:?} after {:.1?}", asked.elapsed()),
    );
    one.stop().await?;
    Ok(story.end())
}

async fn everybody_at_once(
    story: &mut Story,
    services: &[Service],
    tickets: &Tickets,
) -> Result<(), Failure> {
    story.chapter("Everybody wants every seat");
    let mut buyers = JoinSet::new();
    for seat in 0..SEATS {
        for service in services {
            for _ in 0..BUYERS {
                let client = service.client.clone();
                buyers.spawn(book(client, seat));
            }
        }
    }
    let mut answers = BTreeMap::<_, usize>::new();
    while let Some(code) = buyers.join_next().await {
        *answers.entry(format!("{:?}", code?)).or_default() += 1;
    }
    story.tell(format!("answers: {answers:?}"));
    let mut sold: Vec<u64> = {
        let tickets = tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.iter().map(|(seat, _)| *seat).collect()
    };
    sold.sort_unstable();
    story.promise(
        sold.iter().copied().eq(0..SEATS),
        format!("each of {SEATS} seats is sold once"),
    );
    let ok = answers.remove("Ok").unwrap_or_default();
    story.promise(
        ok == sold.len(),
        "so many buyers are told that they have one",
    );
    answers.remove("AlreadyExists");
    answers.remove("Aborted");
    story.promise(
        answers.is_empty(),
        "everybody else is told that it is sold, or to try again",
    );
    Ok(())
}

async fn a_held_seat(story: &mut Story, service: &Service, url: &str) -> Result<(), Failure> {
    story.chapter("A seat that somebody else holds");
    let manager = LockManager::connect(url).await?;
    let key = format!("seat:{HELD}");
    let held = manager
        .lock(&key, Duration::from_secs(30))
        .acquire()
        .await?;
    let asked = Instant::now();
    let code = service.book(HELD).await;
    story.promise(
        code == Code::Aborted,
        format!("is {code:?} after {:.1?}", asked.elapsed()),
    );
    held.release().await?;
    let code = service.book(HELD).await;
    story.promise(
        code == Code::Ok,
        format!("and {code:?} when it is free again"),
    );
    Ok(())
}

async fn a_shutdown(story: &mut Story, service: Service, url: &str) -> Result<(), Failure> {
    story.chapter("A replica that stops while it books");
    let manager = LockManager::connect(url).await?;
    let key = format!("seat:{}", HELD + 1);
    let booking = tokio::spawn(book(service.client.clone(), HELD + 1));
    // Once the seat is busy, it is being booked.
    while !booking.is_finished()
        && let Ok(free) = manager
            .lock(&key, Duration::from_secs(2))
            .try_acquire()
            .await
    {
        free.release().await?;
    }
    let drained = service.stop().await?;
    let code = booking.await?;
    story.promise(code == Code::Ok, format!("its booking ends {code:?}"));
    story.promise(
        drained.is_clean(),
        format!("its manager is drained: {drained}"),
    );
    let free = manager
        .lock(&key, Duration::from_secs(2))
        .try_acquire()
        .await;
    story.promise(free.is_ok(), "and the seat is free again");
    if let Ok(free) = free {
        free.release().await?;
    }
    Ok(())
}

async fn a_shutdown_at_once(story: &mut Story, service: Service, url: &str) -> Result<(), Failure> {
    story.chapter("A replica that stops, and has no time, while a caller waits");
    let manager = LockManager::connect(url).await?;
    let request = manager.lock(format!("seat:{}", HELD + 3), Duration::from_secs(30));
    let held = request.acquire().await?;
    let booking = tokio::spawn(book(service.client.clone(), HELD + 3));
    let redis = redis::Client::open(url)?;
    let mut redis = redis.get_multiplexed_async_connection().await?;
    let line = format!("{{seat:{}}} line", HELD + 3);
    while !redis.exists(&line).await? {
        sleep(Duration::from_millis(5)).await;
    }
    service.stop().await?;
    let code = booking.await?;
    story.promise(
        code == Code::Unavailable,
        format!("it is told so: {code:?}"),
    );
    held.release().await?;
    Ok(())
}

/// A replica, and a client of it.
struct Service {
    client: BookingClient<Channel>,
    leave: oneshot::Sender<()>,
    server: JoinHandle<Result<Drained, Failure>>,
}

impl Service {
    async fn start(url: &str, tickets: &Tickets, grace: Duration) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let manager = LockManager::connect(url).await?;
        let seats = Seats::new(manager.clone(), tickets.clone());
        let (leave, left) = oneshot::channel();
        let told_to_stop = async {
            let _ = left.await;
            Ok(())
        };
        let server = tokio::spawn(serve(listener, seats, manager, told_to_stop, grace));
        let client = BookingClient::connect(format!("http://{address}")).await?;
        Ok(Self {
            client,
            leave,
            server,
        })
    }

    async fn book(&self, seat: u64) -> Code {
        book(self.client.clone(), seat).await
    }

    /// Lets the calls that run finish, and says what came of their locks.
    async fn stop(self) -> Result<Drained, Failure> {
        drop(self.leave);
        self.server.await?
    }
}

async fn book(mut client: BookingClient<Channel>, seat: u64) -> Code {
    let buyer = String::from("ann");
    let answer = client.book(BookRequest { seat, buyer }).await;
    answer
        .err()
        .map_or(Code::Ok, |status: Status| status.code())
}
