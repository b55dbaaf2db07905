//! Holds several replicas of the service to their promises.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    ops::Range,
    process::ExitCode,
    time::{Duration, Instant},
};

use lockguard::LockManager;
use lockguard_examples::{Failure, Story, replica::Replica, server::Server};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{GRACE, client, load::Load, shop::tickets_of};

/// The first argument of a replica; then come the server, and for how many
/// seconds bookings may go on after a signal.
pub(crate) const REPLICA: &str = "replica";

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(60);

const REPLICAS: usize = 3;
const SEATS: u64 = 12;

/// At each replica, so many want each seat.
const BUYERS: usize = 2;

/// A seat that the check holds, from outside.
const HELD: u64 = 100;

/// Seats that are being booked when the signal comes.
const LATE: Range<u64> = 200..208;

/// Seats that are being booked when a replica has to stop at once.
const HURRIED: Range<u64> = 220..228;

/// Seats that all replicas are asked for before, while and after that.
const HOT: Range<u64> = 400..430;

pub(crate) async fn run() -> Result<ExitCode, Failure> {
    match timeout(LIMIT, tell()).await {
        Ok(told) => told,
        Err(_) => Err(format!("check the service within {LIMIT:?}").into()),
    }
}

async fn tell() -> Result<ExitCode, Failure> {
    let server = Server::start().await?;
    let mut story = Story::begin(format!("{REPLICAS} replicas of a web service on {server}"));
    let redis = redis::Client::open(server.url())?;
    let mut redis = redis.get_multiplexed_async_connection().await?;
    let mut services = Vec::new();
    for _ in 0..REPLICAS {
        services.push(Service::start(server.url(), GRACE).await?);
    }
    everybody_at_once(&mut story, &services, &mut redis).await?;
    a_held_seat(&mut story, &services, server.url()).await?;
    let replicas: Vec<_> = services.iter().map(|service| service.address).collect();
    if let Some(leaving) = services.pop() {
        story.chapter("A replica that is told to stop under load");
        let load = Load::start(&replicas, &HOT);
        a_signal_under_load(&mut story, leaving, server.url(), &mut redis).await?;
        all_sold_once(&mut story, load, &mut redis).await?;
    }
    a_stop_at_once(&mut story, server.url(), &mut redis).await?;
    without_a_server(&mut story, services, server).await?;
    Ok(story.end())
}

async fn everybody_at_once(
    story: &mut Story,
    services: &[Service],
    redis: &mut MultiplexedConnection,
) -> Result<(), Failure> {
    story.chapter("Everybody wants every seat");
    let mut buyers = JoinSet::new();
    for seat in 0..SEATS {
        for service in services {
            for buyer in 0..BUYERS {
                let buyer = format!("buyer {buyer} of {}", service.address);
                let address = service.address;
                buyers.spawn(async move { client::book(address, seat, &buyer).await });
            }
        }
    }
    let answers = count(buyers).await?;
    story.tell(format!("answers: {answers:?}"));
    let tickets = tickets(0..SEATS, redis).await?;
    story.promise(
        tickets.iter().all(|tickets| *tickets == 1),
        format!("each of {SEATS} seats is sold once"),
    );
    story.promise(
        answers.get(&201) == Some(&tickets.len()),
        "so many buyers are told that they have one (201)",
    );
    story.promise(
        only_expected(&answers),
        "everybody else is told that it is sold (410), or to try again (409)",
    );
    story.promise(locks(redis).await?.is_empty(), "no lock is left");
    Ok(())
}

async fn a_held_seat(story: &mut Story, services: &[Service], url: &str) -> Result<(), Failure> {
    story.chapter("A seat that somebody else holds");
    let service = services.first().ok_or("ask a service: there is none")?;
    let manager = LockManager::connect(url).await?;
    let key = format!("seat:{HELD}");
    let held = manager
        .lock(&key, Duration::from_secs(30))
        .acquire()
        .await?;
    let asked = Instant::now();
    let status = client::book(service.address, HELD, "ann").await?;
    story.promise(
        status == 409,
        format!("is answered {status} after {:.1?}", asked.elapsed()),
    );
    held.release().await?;
    let status = client::book(service.address, HELD, "ann").await?;
    story.promise(status == 201, format!("and {status} when it is free again"));
    let status = client::give_back(service.address, HELD).await?;
    story.promise(status == 204, format!("ann gives it back: {status}"));
    let status = client::book(service.address, HELD, "bob").await?;
    story.promise(status == 201, format!("and bob gets it: {status}"));
    Ok(())
}

async fn a_signal_under_load(
    story: &mut Story,
    service: Service,
    url: &str,
    redis: &mut MultiplexedConnection,
) -> Result<(), Failure> {
    eventually("the load is on", async || {
        Ok(redis.exists(tickets_of(HOT.start + 3)).await?)
    })
    .await?;
    let manager = LockManager::connect(url).await?;
    let held = manager
        .lock("seat:101", Duration::from_secs(30))
        .acquire()
        .await?;
    let address = service.address;
    let mut buyers = JoinSet::new();
    // This one queues behind the seat's holder, past the signal.
    buyers.spawn(async move { client::book(address, 101, "ann").await });
    for seat in LATE {
        buyers.spawn(async move { client::book(address, seat, "bob").await });
    }
    let wanted = buyers.len();
    begun(LATE, redis).await?;
    queues(101, redis).await?;
    service.signal(Signal::INT)?;
    eventually("new connections are refused", async || {
        Ok(TcpStream::connect(address).await.is_err())
    })
    .await?;
    story.tell("SIGINT was sent, and new connections are refused");
    held.release().await?;
    let answers = count(buyers).await?;
    story.promise(
        answers.get(&201) == Some(&wanted),
        format!("all {wanted} bookings are finished, the one that queued too: {answers:?}"),
    );
    let status = service.replica.ended().await?;
    story.promise(status.success(), format!("it ends with {status}"));
    Ok(())
}

async fn a_stop_at_once(
    story: &mut Story,
    url: &str,
    redis: &mut MultiplexedConnection,
) -> Result<(), Failure> {
    story.chapter("A replica that is told to stop, and has no time");
    let service = Service::start(url, Duration::ZERO).await?;
    let address = service.address;
    let manager = LockManager::connect(url).await?;
    let held = manager
        .lock("seat:102", Duration::from_secs(30))
        .acquire()
        .await?;
    let mut buyers = JoinSet::new();
    buyers.spawn(async move { client::book(address, 102, "ann").await });
    for seat in HURRIED {
        buyers.spawn(async move { client::book(address, seat, "bob").await });
    }
    begun(HURRIED, redis).await?;
    queues(102, redis).await?;
    service.signal(Signal::TERM)?;
    let answers = count(buyers).await?;
    story.promise(
        answers.get(&503) == Some(&1),
        "the buyer that queues is told so (503)",
    );
    story.promise(
        answers.get(&201) == Some(&HURRIED.count()),
        format!("bookings that have begun are finished, and answered: {answers:?}"),
    );
    let status = service.replica.ended().await?;
    story.promise(status.success(), format!("it ends with {status}"));
    held.release().await?;
    story.promise(locks(redis).await?.is_empty(), "no lock is left");
    Ok(())
}

/// Waits until all of these bookings hold their locks, or are done.
async fn begun(seats: Range<u64>, redis: &mut MultiplexedConnection) -> Result<(), Failure> {
    eventually("all bookings have begun", async || {
        for seat in seats.clone() {
            let begun = [format!("seat:{seat}"), tickets_of(seat)];
            if redis.exists::<_, u32>(&begun).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Waits until somebody stands in line for the seat.
async fn queues(seat: u64, redis: &mut MultiplexedConnection) -> Result<(), Failure> {
    let line = format!("{{seat:{seat}}} line");
    eventually("a buyer queues", async || Ok(redis.exists(&line).await?)).await
}

/// Whoever was at the replica that left has gone on at another.
async fn all_sold_once(
    story: &mut Story,
    load: Load,
    redis: &mut MultiplexedConnection,
) -> Result<(), Failure> {
    let seats = HOT.count();
    let sold = tickets(HOT, redis).await?;
    let sold = sold.iter().filter(|tickets| **tickets > 0).count();
    story.tell(format!(
        "{sold} of {seats} seats are sold by now, and it goes on"
    ));
    let answers = load.end().await?;
    let tickets = tickets(HOT, redis).await?;
    let sold_once = tickets.iter().filter(|tickets| **tickets == 1).count();
    story.tell(format!("answers to everybody else meanwhile: {answers:?}"));
    story.promise(
        sold_once == seats && answers.get(&201) == Some(&seats),
        format!("each of {seats} seats is sold once, and its buyer told so, through the stop"),
    );
    story.promise(only_expected(&answers), "nobody meets an error");
    story.promise(locks(redis).await?.is_empty(), "no lock is left");
    Ok(())
}

/// Sold to this buyer, or to somebody else, or somebody is at the seat.
fn only_expected(answers: &BTreeMap<u16, usize>) -> bool {
    let mut statuses = answers.keys();
    statuses.all(|status| [201, 409, 410].contains(status))
}

async fn without_a_server(
    story: &mut Story,
    services: Vec<Service>,
    server: Server,
) -> Result<(), Failure> {
    story.chapter("The Redis server is stopped");
    server.end().await?;
    for service in services {
        let asked = Instant::now();
        let status = client::book(service.address, 300, "ann").await?;
        story.promise(
            status == 503,
            format!(
                "a booking is answered {status} after {:.1?}",
                asked.elapsed()
            ),
        );
        service.signal(Signal::TERM)?;
        let status = service.replica.ended().await?;
        story.promise(status.success(), format!("SIGTERM: {status}"));
    }
    Ok(())
}

/// A replica, and where it listens.
struct Service {
    replica: Replica,
    address: SocketAddr,
}

impl Service {
    async fn start(url: &str, grace: Duration) -> Result<Self, Failure> {
        let grace = grace.as_secs().to_string();
        let mut replica = Replica::start([REPLICA, url, &grace])?;
        let address = replica.hear("listening on ").await?.parse()?;
        Ok(Self { replica, address })
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = i32::try_from(self.replica.pid())?;
        let pid = Pid::from_raw(pid).ok_or("signal a process: it has no id")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// How many tickets there are for each seat, counted past the lock.
async fn tickets(
    seats: Range<u64>,
    redis: &mut MultiplexedConnection,
) -> Result<Vec<u64>, Failure> {
    let mut tickets = Vec::new();
    for seat in seats {
        tickets.push(redis.llen(tickets_of(seat)).await?);
    }
    Ok(tickets)
}

/// How often each status was answered.
async fn count(mut buyers: JoinSet<io::Result<u16>>) -> Result<BTreeMap<u16, usize>, Failure> {
    let mut answers = BTreeMap::new();
    while let Some(answer) = buyers.join_next().await {
        *answers.entry(answer??).or_default() += 1;
    }
    Ok(answers)
}

/// The locks that are held, seen past the library.
async fn locks(redis: &mut MultiplexedConnection) -> Result<Vec<String>, Failure> {
    Ok(redis.keys("seat:*").await?)
}

/// Waits until it is so.
async fn eventually(
    what: &str,
    mut is_so: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let waiting = async {
        while !is_so().await? {
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    match timeout(Duration::from_secs(10), waiting).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("see that {what}").into()),
    }
}
