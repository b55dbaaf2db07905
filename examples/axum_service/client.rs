//! As much of an HTTP client as the check needs.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Books a seat; the status of the answer.
pub(crate) async fn book(service: SocketAddr, seat: u64, buyer: &str) -> io::Result<u16> {
    ask(service, "POST", seat, buyer).await
}

/// Gives a seat back; the status of the answer.
pub(crate) async fn give_back(service: SocketAddr, seat: u64) -> io::Result<u16> {
    ask(service, "DELETE", seat, "").await
}

async fn ask(service: SocketAddr, method: &str, seat: u64, body: &str) -> io::Result<u16> {
    let mut connection = TcpStream::connect(service).await?;
    let request = format!(
        "{method} /seats/{seat} HTTP/1.1\r\nhost: {service}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    status(&answer).ok_or_else(|| io::Error::other("the answer has no status"))
}

/// `HTTP/1.1 201 Created` is 201.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let word = str::from_utf8(line).ok()?.split(' ').nth(1)?;
    word.parse().ok()
}
