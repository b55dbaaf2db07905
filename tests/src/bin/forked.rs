//! Workers that are forked from one process: the tests see what they draw.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a worker is test code, and talks to the test by its output"
)]

use std::{env, io, time::Duration};

use fork::{Fork, fork, waitpid};
use lockguard::{LockManager, OwnerToken};

const TTL: Duration = Duration::from_secs(60);

fn main() {
    let url = env::args().nth(1).unwrap();
    // Begins the generator of this thread, of which each worker has a copy.
    let _ = OwnerToken::with_label("parent");
    let mut workers = Vec::new();
    for worker in ["first", "second"] {
        match fork().unwrap() {
            Fork::Child => return work(&url, worker),
            Fork::Parent(pid) => workers.push(pid),
        }
    }
    for pid in workers {
        waitpid(pid).unwrap();
    }
}

/// Takes a lock of its own, says by which token, and keeps its connection until
/// the test has looked.
#[tokio::main(flavor = "current_thread")]
async fn work(url: &str, worker: &str) {
    let manager = LockManager::builder().node(url).label("worker").build();
    let token = manager.await.unwrap().acquire(worker, TTL).await.unwrap();
    println!("{}", token.expose());
    io::stdin().read_line(&mut String::new()).unwrap();
}
