//! A TCP proxy that misbehaves on demand.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockguard_servers::free_port;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Mutex, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

/// How many chunks one direction of a connection holds back.
const HELD_CHUNKS: usize = 1024;

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Flow {
    /// They pass.
    #[default]
    Pass,
    /// They arrive that much later, in order.
    Delay(Duration),
    /// They wait until the flow changes; then they pass.
    Hold,
    /// They vanish, and so does the end of the stream.
    Swallow,
    /// A few of them pass, and then the connection is reset: in the middle of
    /// a request or a reply.
    CutAfter(usize),
}

/// A TCP proxy in front of one server.
///
/// Each direction has a [`Flow`] that can be changed at any time, and that
/// holds for the connections that are open and for those to come.
/// A black hole is `set(Flow::Swallow)`; a half-open connection swallows one
/// direction only.
///
/// It runs on the runtime it was started on, and ends when it is dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    flows: watch::Sender<Flows>,
    resets: watch::Sender<u64>,
    endings: watch::Sender<u64>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// Ends every connection when the proxy is dropped.
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    /// Starts a proxy in front of this loopback port.
    pub async fn start(server_port: u16) -> Self {
        let (port, listener) = listen_anywhere().await;
        let proxy = Self {
            port,
            shared: Arc::new(Shared {
                server_port: AtomicU16::new(server_port),
                accepted: AtomicUsize::new(0),
                open: AtomicUsize::new(0),
                to_server: AtomicU64::new(0),
                to_client: AtomicU64::new(0),
            }),
            flows: watch::Sender::default(),
            resets: watch::Sender::default(),
            endings: watch::Sender::default(),
            accepting: Mutex::new(None),
            connections: Arc::default(),
        };
        *proxy.accepting.lock().await = Some(proxy.accept(listener));
        proxy
    }

    /// The proxy's address: `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Host and port, as errors name the proxy.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port the proxy listens on, for as long as it lives.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes both directions.
    pub fn set(&self, flow: Flow) {
        self.flows.send_replace(Flows {
            to_server: flow,
            to_client: flow,
        });
    }

    /// Changes what happens to requests.
    pub fn set_to_server(&self, flow: Flow) {
        self.flows.send_modify(|flows| flows.to_server = flow);
    }

    /// Changes what happens to replies.
    pub fn set_to_client(&self, flow: Flow) {
        self.flows.send_modify(|flows| flows.to_client = flow);
    }

    /// Resets every open connection (RST), and returns once they are gone.
    pub async fn reset(&self) {
        // Under the lock no connection comes between the call and the wait.
        let mut connections = self.connections.lock().await;
        self.resets.send_modify(|resets| *resets += 1);
        while connections.join_next().await.is_some() {}
    }

    /// Ends every open connection at the server, and does not tell the clients:
    /// what they send vanishes.
    ///
    /// New connections pass.
    pub fn end_at_server(&self) {
        self.endings.send_modify(|endings| *endings += 1);
    }

    /// Leads new connections to another server, as a name does after a failover;
    /// open ones go on.
    pub fn lead_to(&self, server_port: u16) {
        self.shared
            .server_port
            .store(server_port, Ordering::Release);
    }

    /// Refuses new connections from now on; open ones go on.
    pub async fn refuse(&self) {
        if let Some(accepting) = self.accepting.lock().await.take() {
            accepting.abort();
            // The listener is closed when its task is gone.
            let _ = accepting.await;
        }
    }

    /// Accepts connections again after [`refuse`](Self::refuse).
    pub async fn resume(&self) {
        let mut accepting = self.accepting.lock().await;
        if accepting.is_none() {
            let listener = listen(self.port).await.expect("listen again");
            *accepting = Some(self.accept(listener));
        }
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// How many bytes came from clients, whatever became of them.
    pub fn bytes_from_clients(&self) -> u64 {
        self.shared.to_server.load(Ordering::Acquire)
    }

    /// How many bytes came from the server, whatever became of them.
    pub fn bytes_from_server(&self) -> u64 {
        self.shared.to_client.load(Ordering::Acquire)
    }

    fn accept(&self, listener: TcpListener) -> JoinHandle<()> {
        let shared = Arc::clone(&self.shared);
        let connections = Arc::clone(&self.connections);
        let flows = self.flows.subscribe();
        let resets = self.resets.subscribe();
        let endings = self.endings.subscribe();
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let mut connections = connections.lock().await;
                shared.accepted.fetch_add(1, Ordering::AcqRel);
                let (mut resets, mut endings) = (resets.clone(), endings.clone());
                // What was done before is not meant for this one.
                resets.mark_unchanged();
                endings.mark_unchanged();
                let open = Open::new(&shared);
                let connection = serve(client, open, flows.clone(), resets, endings);
                while connections.try_join_next().is_some() {}
                connections.spawn(connection);
            }
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.get_mut().take() {
            accepting.abort();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

struct Shared {
    server_port: AtomicU16,
    accepted: AtomicUsize,
    open: AtomicUsize,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct Flows {
    to_server: Flow,
    to_client: Flow,
}

impl Shared {
    fn server(&self) -> SocketAddr {
        (
            Ipv4Addr::LOCALHOST,
            self.server_port.load(Ordering::Acquire),
        )
            .into()
    }
}

/// Counts one connection while it is open.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn listen_anywhere() -> (u16, TcpListener) {
    loop {
        let port = free_port();
        if let Ok(listener) = listen(port).await {
            return (port, listener);
        }
    }
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Passes bytes both ways until both directions end or a reset is asked for.
async fn serve(
    mut client: TcpStream,
    open: Open,
    flows: watch::Receiver<Flows>,
    mut resets: watch::Receiver<u64>,
    mut endings: watch::Receiver<u64>,
) {
    let shared = &open.0;
    let Ok(mut server) = TcpStream::connect(shared.server()).await else {
        // A client of a server that is down sees a reset.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_in, client_out) = client.split();
    let (server_in, server_out) = server.split();
    let both = async {
        tokio::try_join!(
            pump(
                client_in,
                server_out,
                &shared.to_server,
                flows.clone(),
                |flows| { flows.to_server }
            ),
            pump(
                server_in,
                client_out,
                &shared.to_client,
                flows.clone(),
                |flows| { flows.to_client }
            ),
        )
    };
    let end = tokio::select! {
        ended = both => if ended.is_err() { End::Reset } else { End::Closed },
        _ = resets.changed() => End::Reset,
        Ok(()) = endings.changed() => End::AtServer,
    };
    match end {
        End::Closed => {}
        End::Reset => {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
        End::AtServer => {
            drop(server);
            tokio::select! {
                () = swallow(&mut client) => {}
                _ = resets.changed() => {
                    let _ = client.set_zero_linger();
                }
            }
        }
    }
}

/// How a connection ends.
enum End {
    Closed,
    Reset,
    /// At the server only: the client is not told.
    AtServer,
}

/// Reads until the client closes.
async fn swallow(client: &mut TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while client.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}

/// One direction: a reader that stamps what comes, and a writer that lets it
/// go when its time has come, so that a delay costs latency and no throughput.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    counter: &AtomicU64,
    flows: watch::Receiver<Flows>,
    flow_of: fn(&Flows) -> Flow,
) -> io::Result<()> {
    let (chunks, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(HELD_CHUNKS);
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let n = from.read(&mut buffer).await?;
            counter.fetch_add(n as u64, Ordering::AcqRel);
            // An empty chunk is the end of the stream, and takes its turn.
            let chunk = (Instant::now(), buffer[..n].to_vec());
            if chunks.send(chunk).await.is_err() || n == 0 {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((came, bytes)) = waiting.recv().await {
            match let_go(came, flows.clone(), flow_of).await {
                Passage::All => {}
                Passage::None => continue,
                Passage::Cut(most) => {
                    to.write_all(&bytes[..most.min(bytes.len())]).await?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
            if bytes.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&bytes).await?;
        }
        // The end was swallowed: this direction stays open for good.
        std::future::pending().await
    };
    tokio::try_join!(read, write).map(drop)
}

/// How much of what came may pass.
enum Passage {
    All,
    None,
    /// So many bytes, and then no more.
    Cut(usize),
}

/// Waits until what came at `came` may pass, or vanishes.
async fn let_go(
    came: Instant,
    mut flows: watch::Receiver<Flows>,
    flow_of: fn(&Flows) -> Flow,
) -> Passage {
    loop {
        let flow = flow_of(&flows.borrow_and_update());
        match flow {
            Flow::Pass => return Passage::All,
            Flow::Swallow => return Passage::None,
            Flow::CutAfter(most) => return Passage::Cut(most),
            Flow::Delay(delay) => {
                tokio::select! {
                    () = sleep_until(came + delay) => return Passage::All,
                    Ok(()) = flows.changed() => {}
                }
            }
            // The proxy was dropped: nothing will ever pass.
            Flow::Hold => {
                if flows.changed().await.is_err() {
                    return Passage::None;
                }
            }
        }
    }
}
