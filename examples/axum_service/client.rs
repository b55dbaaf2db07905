//! Books and gives back over HTTP.

use std::{io, net::SocketAddr};

use lockguard_examples::http::ask;

/// Books a seat; the status of the answer.
pub(crate) async fn book(service: SocketAddr, seat: u64, buyer: &str) -> io::Result<u16> {
    let answer = ask(service, "POST", &format!("/seats/{seat}"), buyer).await?;
    Ok(answer.status)
}

/// Gives a seat back; the status of the answer.
pub(crate) async fn give_back(service: SocketAddr, seat: u64) -> io::Result<u16> {
    let answer = ask(service, "DELETE", &format!("/seats/{seat}"), "").await?;
    Ok(answer.status)
}
