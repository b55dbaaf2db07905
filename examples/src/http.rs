//! As much of an HTTP client as a check needs.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a service answered.
#[derive(Debug)]
pub struct Answer {
    /// 201 of `HTTP/1.1 201 Created`.
    pub status: u16,
    /// What follows the empty line; not decoded where it comes in chunks.
    pub body: String,
}

/// Asks a service, on a connection that ends with the answer.
///
/// # Errors
///
/// The connection failed, or the answer has no status.
///
/// # Cancel safety
///
/// The connection is closed; the service may have done what was asked.
pub async fn ask(service: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut connection = TcpStream::connect(service).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {service}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    read(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::other("the answer has no status"))
}

fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}
