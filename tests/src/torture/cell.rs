//! One fault on so many nodes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep, sleep_until},
};

use super::{
    bugs::{self, Bug},
    checker::check,
    client::Job,
    clock::Stamp,
    evidence::{Evidence, Span, Standstill, Window},
    fault::{Fault, bounds},
    journal::Journal,
    plan::PREFIX,
    probes::{Probes, Whose},
    verdict::Verdict,
};
use crate::{Flow, Proxy, Server, Worker};

/// How many client processes a cell has.
const CLIENTS: u16 = 3;

/// From the start of the clients to the first fault.
const CALM: Duration = Duration::from_millis(400);

/// What a cell is to be.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What is done.
    pub fault: Fault,
    /// To how many servers.
    pub nodes: usize,
    /// For how long clients call.
    pub time: Duration,
    /// The longest ttl of their locks.
    pub longest_ttl: Duration,
    /// What the schedule is drawn from.
    pub seed: u64,
    /// The client program.
    pub program: PathBuf,
    /// The library that changes a server's clock.
    pub clock: Option<PathBuf>,
    /// What is wrong with the clients' managers.
    pub bug: Option<Bug>,
}

impl Cell {
    /// Runs the cell, and judges it.
    ///
    /// # Panics
    ///
    /// When servers or clients cannot be started.
    pub async fn run(self) -> Verdict {
        let running = Running::start(self).await;
        running.finish().await
    }

    fn server(&self) -> Server {
        match (&self.clock, self.fault) {
            (Some(library), fault) if fault.needs_clock() => Server::start_with_clock(library),
            (_, Fault::RestartedWithData) => Server::start_persistent(),
            _ => Server::start(),
        }
    }
}

/// A cell that runs.
struct Running {
    cell: Cell,
    random: StdRng,
    servers: Arc<Vec<Server>>,
    proxies: Vec<Proxy>,
    /// With the number that each has.
    clients: Vec<(u16, Worker)>,
    next_client: u16,
    /// Removed with the cell.
    journal: tempfile::TempPath,
    until: Stamp,
    windows: Vec<Window>,
    /// The servers in the order in which a fault meets them.
    order: Vec<usize>,
    /// Off by so many seconds, each server.
    clocks: Vec<f64>,
    probes: Probes,
}

impl Running {
    async fn start(cell: Cell) -> Self {
        let servers: Vec<_> = block_in_place(|| (0..cell.nodes).map(|_| cell.server()).collect());
        let servers = Arc::new(servers);
        let mut proxies = Vec::new();
        for server in servers.iter() {
            proxies.push(Proxy::start(server.port()).await);
        }
        let journal = tempfile::Builder::new()
            .prefix("journal-")
            .tempfile_in(lockguard_servers::directory())
            .expect("make a journal")
            .into_temp_path();
        let mut running = Self {
            random: StdRng::seed_from_u64(cell.seed),
            until: Stamp::now() + CALM + cell.time,
            clocks: vec![0.0; cell.nodes],
            probes: Probes::start(
                servers
                    .iter()
                    .map(|server| (server.url(), server.pid()))
                    .collect(),
            ),
            order: (0..cell.nodes).collect(),
            cell,
            servers,
            proxies,
            clients: Vec::new(),
            next_client: 0,
            journal,
            windows: Vec::new(),
        };
        for _ in 0..CLIENTS {
            running.start_client();
        }
        block_in_place(|| {
            for (_, client) in &running.clients {
                client.line_with("ready");
            }
        });
        running
    }

    fn start_client(&mut self) {
        let Cell {
            fault, seed, bug, ..
        } = self.cell;
        let client = self.next_client;
        self.next_client += 1;
        let proxied: Vec<_> = self.proxies.iter().map(Proxy::url).collect();
        let urls = match bug {
            // The first client alone has a slow way.
            Some(Bug::DeadlineFromReply) if client > 0 => {
                let direct: Vec<_> = self.servers.iter().map(Server::url).collect();
                direct.join(",")
            }
            _ => proxied.join(","),
        };
        let job = Job {
            journal: self.journal.to_path_buf(),
            client,
            seed: seed ^ (u64::from(client) << 32),
            urls,
            until: self.until,
            longest_ttl: self.cell.longest_ttl,
            cancelled: match (fault, bug) {
                (Fault::CallerCancelled, _) | (_, Some(Bug::ReleaseWithoutCompare)) => 500,
                (_, Some(_)) => 0,
                _ => 20,
            },
            long: match bug {
                None => 15,
                Some(Bug::DeadlineFromReply) => 0,
                Some(_) => 200,
            },
            drops_runtime: fault == Fault::RuntimeDropped,
            has_no_delay: fault.has_no_delay(),
            bug,
        };
        let args = job.to_args();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let worker = Worker::start(&self.cell.program, &args);
        self.probes.watch(Whose::Client(client), worker.pid());
        self.clients.push((client, worker));
    }

    async fn finish(mut self) -> Verdict {
        if self.cell.bug == Some(Bug::DeadlineFromReply) {
            for proxy in &self.proxies {
                proxy.set_to_client(Flow::Delay(bugs::LATE));
            }
        }
        sleep(CALM).await;
        self.order.shuffle(&mut self.random);
        let mut is_majority = self.random.random();
        while let Some(length) = self.next_window() {
            self.window(length, is_majority).await;
            is_majority = !is_majority;
            let recovered = Instant::now() + bounds::RECOVERY;
            sleep_until(recovered.min(self.end())).await;
        }
        sleep_until(self.end()).await;
        let connections = self.wait_for_idle_clients().await;
        let keys_left = self.keys_left().await;
        let fault = self.cell.fault;
        let standstills = self.probes.found().into_iter();
        let standstills = standstills
            .filter(|(whose, standstill)| !self.is_by_fault(*whose, standstill))
            .map(|(_, standstill)| standstill)
            .collect();
        let evidence = Evidence {
            fault,
            nodes: self.cell.nodes,
            longest_ttl: self.cell.longest_ttl,
            windows: self.windows.clone(),
            records: Journal::read(&self.journal),
            standstills,
            set_back: self.set_back(),
            keys_left,
            connections,
        };
        block_in_place(|| check(&evidence))
    }

    /// Whether a server stood still because of the fault, which excuses
    /// nothing.
    fn is_by_fault(&self, whose: Whose, standstill: &Standstill) -> bool {
        let Whose::Server(server) = whose else {
            return false;
        };
        let mut windows = self.windows.iter();
        windows.any(|window| window.victims.contains(&server) && window.span.meets(standstill.span))
    }

    /// By how much clocks were set back, at most.
    fn set_back(&self) -> Duration {
        let clocks = self.clocks.iter();
        Duration::from_secs_f64(clocks.fold(0.0, |most, off| most.max(-off)))
    }

    fn end(&self) -> Instant {
        Instant::now() + (self.until - Stamp::now())
    }

    /// How long the next fault lasts; `None`: there is no time for one.
    fn next_window(&mut self) -> Option<Duration> {
        if self.cell.fault == Fault::None || self.cell.bug.is_some() {
            return None;
        }
        let left = self.until - Stamp::now();
        // A server that was killed comes back when what it had granted is over.
        let shortest = self.cell.longest_ttl + Duration::from_millis(100);
        let length = shortest + Duration::from_millis(self.random.random_range(0..400));
        (left > length).then_some(length)
    }

    /// Does the fault, undoes it after so long, and notes when that was.
    async fn window(&mut self, length: Duration, is_majority: bool) {
        let fault = self.cell.fault;
        let victims = self.victims(is_majority, length);
        let begin = Stamp::now();
        self.do_fault(&victims, length).await;
        let end = Stamp::now();
        self.windows.push(Window {
            span: Span { begin, end },
            victims: if fault.hits_servers() {
                victims
            } else {
                Vec::new()
            },
        });
        // Some have been started again.
        for (nth, server) in self.servers.iter().enumerate() {
            self.probes.watch(Whose::Server(nth), server.pid());
        }
    }

    /// The servers that the next fault meets.
    fn victims(&mut self, is_majority: bool, length: Duration) -> Vec<usize> {
        let nodes = self.cell.nodes;
        let fault = self.cell.fault;
        let minority = (nodes - 1) / 2;
        if !fault.forgets() {
            self.order.shuffle(&mut self.random);
        }
        let count = if !fault.hits_servers() {
            // A clock is one server's own; the rest meets all.
            if fault.needs_clock() {
                minority.max(1)
            } else {
                nodes
            }
        } else if fault.forgets() {
            // The same ones each time, since they are kept out for long; and
            // so a majority at the end only.
            let is_last = self.until - Stamp::now() < 2 * (length + bounds::RECOVERY);
            minority + usize::from(nodes == 1 || is_majority && is_last)
        } else {
            minority + usize::from(nodes == 1 || is_majority)
        };
        self.order[..count].to_vec()
    }

    async fn do_fault(&mut self, victims: &[usize], length: Duration) {
        match self.cell.fault {
            Fault::None | Fault::CallerCancelled | Fault::RuntimeDropped => sleep(length).await,
            Fault::Hung => {
                self.on_servers(victims, Server::stop);
                sleep(length).await;
                self.on_servers(victims, Server::cont);
            }
            Fault::Refused => {
                for nth in victims {
                    self.proxies[*nth].refuse().await;
                    self.proxies[*nth].reset().await;
                }
                sleep(length).await;
                for nth in victims {
                    self.proxies[*nth].resume().await;
                }
            }
            Fault::Killed => {
                self.on_servers(victims, Server::kill);
                sleep(length).await;
                self.on_servers(victims, Server::restart);
            }
            Fault::RestartedEmpty | Fault::RestartedUnguarded => {
                self.on_servers(victims, Server::restart);
            }
            Fault::RestartedWithData => self.on_servers(victims, Server::restart_with_data),
            Fault::PartitionedOneWay => {
                let requests = self.random.random();
                let cut = if requests {
                    Proxy::set_to_server
                } else {
                    Proxy::set_to_client
                };
                self.with_flow(victims, length, Flow::Swallow, cut).await;
            }
            Fault::PartitionedTwoWay => {
                self.with_flow(victims, length, Flow::Swallow, Proxy::set)
                    .await;
            }
            Fault::Slow => {
                let delay = Duration::from_millis(self.random.random_range(10..150));
                self.with_flow(victims, length, Flow::Delay(delay), Proxy::set)
                    .await;
            }
            Fault::HalfOpen => {
                for nth in victims {
                    self.proxies[*nth].end_at_server();
                }
            }
            Fault::ResetInReply => self.cut_replies(victims, length).await,
            Fault::ScriptFlush => self.flush_scripts(victims, length).await,
            Fault::ClockForward => self.set_clocks(victims, 0.5..3.0),
            Fault::ClockBack => self.set_clocks(victims, -1.5..-0.1),
            Fault::ClientPaused => self.pause_client(length).await,
            Fault::ClientKilled => {
                let nth = self.random.random_range(0..self.clients.len());
                drop(self.clients.remove(nth));
                self.start_client();
                sleep(length / 2).await;
            }
        }
    }

    fn on_servers(&self, victims: &[usize], what: fn(&Server)) {
        block_in_place(|| {
            for nth in victims {
                what(&self.servers[*nth]);
            }
        });
    }

    /// Changes the flow for so long; connections that were cut are reset then,
    /// as a machine does that gets a packet of a connection it has forgotten.
    async fn with_flow(
        &self,
        victims: &[usize],
        length: Duration,
        flow: Flow,
        set: fn(&Proxy, Flow),
    ) {
        for nth in victims {
            set(&self.proxies[*nth], flow);
        }
        sleep(length).await;
        for nth in victims {
            self.proxies[*nth].set(Flow::Pass);
            if flow == Flow::Swallow {
                self.proxies[*nth].reset().await;
            }
        }
    }

    async fn cut_replies(&mut self, victims: &[usize], length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let most = self.random.random_range(1..40);
            for nth in victims {
                self.proxies[*nth].set_to_client(Flow::CutAfter(most));
            }
            sleep(Duration::from_millis(self.random.random_range(1..30))).await;
            for nth in victims {
                self.proxies[*nth].set_to_client(Flow::Pass);
            }
            sleep(Duration::from_millis(self.random.random_range(20..200))).await;
        }
    }

    async fn flush_scripts(&self, victims: &[usize], length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.on_servers(victims, Server::script_flush);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Moves clocks on in one direction: whatever comes back would be a step
    /// in the other one.
    fn set_clocks(&mut self, victims: &[usize], by: std::ops::Range<f64>) {
        for nth in victims {
            self.clocks[*nth] += self.random.random_range(by.clone());
            self.servers[*nth].set_clock(self.clocks[*nth]);
        }
    }

    async fn pause_client(&mut self, length: Duration) {
        let nth = self.random.random_range(0..self.clients.len());
        let paused = length.mul_f64(self.random.random_range(0.2..1.0));
        block_in_place(|| self.clients[nth].1.stop());
        sleep(paused).await;
        self.clients[nth].1.cont();
    }

    /// Waits until every client has done its work; then each server has one
    /// connection of each.
    async fn wait_for_idle_clients(&mut self) -> Vec<String> {
        block_in_place(|| {
            for (_, client) in &self.clients {
                client.line_with("idle");
            }
        });
        self.probes.stop_pinging().await;
        if self.cell.bug.is_some() {
            return Vec::new();
        }
        let clients = self.clients.len();
        let end = Instant::now() + bounds::RECOVERY;
        loop {
            let counts = block_in_place(|| {
                let counts = self.servers.iter().map(Server::client_count);
                counts.collect::<Vec<_>>()
            });
            if counts.iter().all(|count| *count == clients) {
                return Vec::new();
            }
            if Instant::now() > end {
                return vec![format!("connections of {clients} clients: {counts:?}")];
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The keys that are on a server when every owner has been gone for a ttl,
    /// and what else is there when it has been gone for two.
    async fn keys_left(&mut self) -> Vec<String> {
        self.clients.clear();
        let gone = Instant::now();
        let ttl = self.cell.longest_ttl + self.set_back();
        let margin = Duration::from_millis(100);
        loop {
            let keys = block_in_place(|| self.keys());
            let elapsed = gone.elapsed();
            let is_over = |left: &Left| elapsed > margin + if left.is_lock { ttl } else { 2 * ttl };
            if keys.is_empty() || keys.iter().any(is_over) {
                let over = keys.into_iter().filter(is_over);
                return over.map(|left| left.text).collect();
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every key but fences and the like, which servers keep for a day.
    fn keys(&self) -> Vec<Left> {
        let on_server = |server: &Server| {
            let keys = server.keys().into_iter();
            let keys = keys.filter(|key| !key.ends_with("} fence") && !key.ends_with("} count"));
            let address = server.address();
            let left = keys.map(move |key| Left {
                is_lock: key.starts_with(PREFIX),
                text: format!("`{key}` on {address}"),
            });
            left.collect::<Vec<_>>()
        };
        self.servers.iter().flat_map(on_server).collect()
    }
}

/// A key that is on a server.
struct Left {
    /// Else it is what stands beside a lock.
    is_lock: bool,
    text: String,
}
