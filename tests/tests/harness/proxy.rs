//! The proxy misbehaves as it is told, and in no other way.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use lockguard_tests::{Flow, Proxy, Server, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);

/// Long enough for any answer that is on its way.
const A_WHILE: Duration = Duration::from_millis(100);

const SET: &[u8] = b"SET k v\r\n";
const OK: &[u8] = b"+OK\r\n";

#[tokio::test]
async fn bytes_pass_and_are_counted() {
    let (_server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    client.write_all(SET).await.unwrap();
    assert_eq!(read(&mut client).await, OK);
    assert_eq!(proxy.bytes_from_clients(), SET.len() as u64);
    assert_eq!(proxy.bytes_from_server(), OK.len() as u64);
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
    drop(client);
    eventually(SOON, || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_delay_of_requests_delays_their_effect() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set_to_server(Flow::Delay(A_WHILE));
    let start = Instant::now();
    client.write_all(SET).await.unwrap();
    eventually(SOON, || server.get("k").is_some()).await;
    assert!(start.elapsed() >= A_WHILE);
    assert_eq!(read(&mut client).await, OK);
}

#[tokio::test]
async fn a_delay_of_replies_delays_no_effect() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set_to_client(Flow::Delay(A_WHILE * 20));
    let start = Instant::now();
    client.write_all(SET).await.unwrap();
    eventually(SOON, || server.get("k").is_some()).await;
    assert!(start.elapsed() < A_WHILE * 20);
    assert_eq!(read(&mut client).await, OK);
    assert!(start.elapsed() >= A_WHILE * 20);
}

#[tokio::test]
async fn a_delay_is_latency_and_keeps_the_order() {
    let (_server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set(Flow::Delay(A_WHILE));
    let start = Instant::now();
    for nth in 0..20 {
        let echo = format!("ECHO {nth:02}\r\n");
        client.write_all(echo.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut replies = vec![0; 20 * "$2\r\n00\r\n".len()];
    client.read_exact(&mut replies).await.unwrap();
    assert!(start.elapsed() < A_WHILE * 20, "{:?}", start.elapsed());
    let replies = String::from_utf8(replies).unwrap();
    let echoed: Vec<_> = replies.lines().skip(1).step_by(2).collect();
    assert!(echoed.is_sorted(), "{echoed:?}");
}

#[tokio::test]
async fn a_black_hole_accepts_and_answers_nothing() {
    let (server, proxy) = start().await;
    proxy.set(Flow::Swallow);
    let mut client = connect(&proxy).await;
    client.write_all(SET).await.unwrap();
    eventually(SOON, || proxy.bytes_from_clients() == SET.len() as u64).await;
    assert!(timeout(A_WHILE, read(&mut client)).await.is_err());
    assert_eq!(server.get("k"), None);
}

#[tokio::test]
async fn a_half_open_connection_loses_replies_and_no_requests() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set_to_client(Flow::Swallow);
    client.write_all(SET).await.unwrap();
    eventually(SOON, || server.get("k").is_some()).await;
    assert!(timeout(A_WHILE, read(&mut client)).await.is_err());
    proxy.set(Flow::Pass);
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client).await, b"+PONG\r\n");
}

#[tokio::test]
async fn held_requests_arrive_when_they_are_let_go() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set_to_server(Flow::Hold);
    client.write_all(SET).await.unwrap();
    assert!(timeout(A_WHILE, read(&mut client)).await.is_err());
    assert_eq!(server.get("k"), None);
    proxy.set_to_server(Flow::Pass);
    assert_eq!(read(&mut client).await, OK);
}

#[tokio::test]
async fn a_reset_ends_what_is_open_and_nothing_else() {
    let (_server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    eventually(SOON, || proxy.open() == 1).await;
    proxy.reset().await;
    assert_eq!(proxy.open(), 0);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut client = connect(&proxy).await;
    client.write_all(SET).await.unwrap();
    assert_eq!(read(&mut client).await, OK);
}

#[tokio::test]
async fn a_reply_that_is_cut_ends_in_a_reset_after_so_many_bytes() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.set_to_client(Flow::CutAfter(3));
    client.write_all(SET).await.unwrap();
    let mut got = Vec::new();
    let error = client.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(got, OK[..3]);
    assert!(server.get("k").is_some());
}

#[tokio::test]
async fn a_client_is_not_told_of_an_end_at_the_server() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    client.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(read(&mut client).await, b"+PONG\r\n");
    proxy.end_at_server();
    eventually(SOON, || server.client_count() == 0).await;
    client.write_all(SET).await.unwrap();
    assert!(timeout(A_WHILE, read(&mut client)).await.is_err());
    assert_eq!(server.get("k"), None);
    let mut client = connect(&proxy).await;
    client.write_all(SET).await.unwrap();
    assert_eq!(read(&mut client).await, OK);
}

#[tokio::test]
async fn refusing_keeps_what_is_open_and_ends_with_resume() {
    let (_server, proxy) = start().await;
    let mut open = connect(&proxy).await;
    eventually(SOON, || proxy.open() == 1).await;
    proxy.refuse().await;
    let error = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    open.write_all(SET).await.unwrap();
    assert_eq!(read(&mut open).await, OK);
    proxy.resume().await;
    connect(&proxy).await;
}

#[tokio::test]
async fn new_connections_are_led_to_another_server_and_open_ones_go_on() {
    let (server, proxy) = start().await;
    let other = Server::start();
    let mut open = connect(&proxy).await;
    eventually(SOON, || server.client_count() == 1).await;
    proxy.lead_to(other.port());
    let mut new = connect(&proxy).await;
    new.write_all(SET).await.unwrap();
    assert_eq!(read(&mut new).await, OK);
    assert_eq!((server.get("k"), other.get("k").is_some()), (None, true));
    open.write_all(SET).await.unwrap();
    assert_eq!(read(&mut open).await, OK);
    assert!(server.get("k").is_some());
}

#[tokio::test]
async fn clients_of_a_server_that_is_down_are_reset() {
    let (server, proxy) = start().await;
    server.kill();
    let mut client = connect(&proxy).await;
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    eventually(SOON, || proxy.open() == 0).await;
}

#[tokio::test]
async fn a_dropped_proxy_is_gone_with_its_connections() {
    let (server, proxy) = start().await;
    let mut client = connect(&proxy).await;
    client.write_all(SET).await.unwrap();
    assert_eq!(read(&mut client).await, OK);
    assert_eq!(server.client_count(), 1);
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
    eventually(SOON, || server.client_count() == 0).await;
    assert!(TcpStream::connect(address).await.is_err());
}

async fn start() -> (Server, Proxy) {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    (server, proxy)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn read(client: &mut TcpStream) -> Vec<u8> {
    let mut buffer = [0; 64];
    let n = client.read(&mut buffer).await.unwrap();
    buffer[..n].to_vec()
}
