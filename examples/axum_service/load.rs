//! Buyers that go from seat to seat, each of them after every seat.

use std::{collections::BTreeMap, net::SocketAddr, ops::Range};

use lockguard_examples::Failure;
use tokio::task::JoinSet;

use crate::client;

/// At each replica, so many buyers come.
const BUYERS: usize = 4;

/// Bookings that go on while other things happen.
pub(crate) struct Load(JoinSet<Result<Vec<u16>, Failure>>);

impl Load {
    /// Lets buyers come to each replica; they ask for the same seats in the same
    /// order, so that most of the time all of them want one.
    pub(crate) fn start(replicas: &[SocketAddr], seats: &Range<u64>) -> Self {
        let mut buyers = JoinSet::new();
        for first in 0..replicas.len() {
            for buyer in 0..BUYERS {
                let mut replicas = replicas.to_vec();
                replicas.rotate_left(first);
                let name = format!("buyer {buyer} of {first}");
                buyers.spawn(book_all(replicas, seats.clone(), name));
            }
        }
        Self(buyers)
    }

    /// Waits for the last of them; how often each status was answered.
    pub(crate) async fn end(mut self) -> Result<BTreeMap<u16, usize>, Failure> {
        let mut answers = BTreeMap::new();
        while let Some(statuses) = self.0.join_next().await {
            for status in statuses?? {
                *answers.entry(status).or_default() += 1;
            }
        }
        Ok(answers)
    }
}

/// Books at the first replica; where it is gone, at the next, as through a
/// load balancer.
async fn book_all(
    mut replicas: Vec<SocketAddr>,
    seats: Range<u64>,
    name: String,
) -> Result<Vec<u16>, Failure> {
    let mut statuses = Vec::new();
    for seat in seats {
        loop {
            let replica = *replicas.first().ok_or("book: every replica is gone")?;
            if let Ok(status) = client::book(replica, seat, &name).await {
                statuses.push(status);
                break;
            }
            // A booking that was begun and not answered shows in the end: its
            // seat is sold, and nobody was told so.
            replicas.remove(0);
        }
    }
    Ok(statuses)
}
