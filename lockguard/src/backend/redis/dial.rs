//! Opens a connection: which socket, and which of a name's addresses.

use std::{io, net::SocketAddr, time::Duration};

use redis::{
    RedisResult,
    io::tcp::socket2::{SockRef, TcpKeepalive},
};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    address::{Address, Place},
    lookup::Lookup,
    wire::Wire,
};

/// Opens a connection to this address, on which nothing has been said yet.
pub(super) async fn dial(address: &Address, lookup: &Lookup) -> RedisResult<Wire> {
    match &address.place {
        Place::Tcp { host, port } => {
            Ok(Wire::new(connect_tcp(lookup.of(host, *port).await?).await?))
        }
        #[cfg(unix)]
        Place::Unix { path } => Ok(Wire::new(UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Place::Unix { .. } => Err(unsupported("there are no unix sockets here")),
        #[cfg(feature = "tls")]
        Place::Tls { host, port } => {
            let stream = connect_tcp(lookup.of(host, *port).await?).await?;
            Ok(Wire::new(super::tls::connect(host, stream).await?))
        }
        #[cfg(not(feature = "tls"))]
        Place::Tls { .. } => Err(unsupported("lockguard was built without TLS")),
    }
}

/// What an address that was accepted does not lead to.
#[cfg(not(all(unix, feature = "tls")))]
fn unsupported(reason: &str) -> redis::RedisError {
    io::Error::new(io::ErrorKind::Unsupported, reason).into()
}

/// How long a peer may be silent to the system's own probes.
const DEAD_PEER: Duration = Duration::from_secs(5);

async fn connect_tcp(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let stream = connect_to_first(addresses, HEAD_START).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(DEAD_PEER)
        .with_interval(DEAD_PEER / 5);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(DEAD_PEER))?;
    Ok(stream)
}

/// How much earlier an address of a name is tried than the next.
const HEAD_START: Duration = Duration::from_millis(100);

/// Connects to the first of these that answers, each with a head start before the
/// next (RFC 8305): one that cannot be reached must not use up all the time.
///
/// Not all at once: of two servers behind one name, as on `localhost` by IPv4 and
/// IPv6, some processes would lock on one and some on the other.
async fn connect_to_first(
    addresses: impl IntoIterator<Item = SocketAddr>,
    head_start: Duration,
) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut refusal = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = addresses.into_iter();
    loop {
        let ended = match addresses.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
                timeout(head_start, attempts.join_next()).await
            }
            None => Ok(attempts.join_next().await),
        };
        match ended {
            Ok(Some(attempt)) => match attempt? {
                Ok(stream) => return Ok(stream),
                Err(error) => refusal = error,
            },
            Ok(None) => return Err(refusal),
            // The next is tried beside it.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        net::{TcpListener, TcpSocket},
        time::Instant,
    };

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_two_servers_behind_one_name_all_connect_to_the_first() {
        let ((_first, first), (_second, second)) = (listener().await, listener().await);
        for _ in 0..100 {
            let stream = connect_to_first([first, second], LONG).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), first);
        }
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_is_waited_for_no_longer_than_its_head_start() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(SHORT, TcpStream::connect(silent)).await {
            waiting.push(stream.unwrap());
        }
        let (_second, second) = listener().await;
        let stream = timeout(LONG, connect_to_first([silent, second], SHORT)).await;
        assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), second);
    }

    /// Else a small command waits for the answer to the one before, and a host
    /// that is gone is noticed after a quarter of an hour.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_sends_at_once_and_finds_out_soon_that_its_peer_is_dead() {
        let (_listener, address) = listener().await;
        let stream = connect_tcp(vec![address]).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), DEAD_PEER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), DEAD_PEER / 5);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(DEAD_PEER));
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_not_waited_for() {
        let ((gone, refusing), (_second, second)) = (listener().await, listener().await);
        drop(gone);
        let started = Instant::now();
        let stream = connect_to_first([refusing, second], LONG).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second);
        assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
        let error = connect_to_first([refusing, refusing], LONG)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_to_first([], LONG).await.unwrap_err();
        assert!(error.to_string().contains("no address"), "{error}");
    }
}
