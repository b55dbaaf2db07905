//! Loopback ports that stay ours.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng as _;

/// Below the ports that the system hands to outgoing connections.
///
/// From inside that range, a port whose server is down for a moment can be
/// taken by any client, and a client that keeps trying to reconnect can even
/// be connected to itself; so `bind` to port 0, which picks from it, will not
/// do for servers that restart.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Whoever takes the port next may still be beaten to it, and tries again.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
