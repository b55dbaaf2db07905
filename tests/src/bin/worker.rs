//! A client in a process of its own: the tests stop it, kill it and read what
//! it prints.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a worker is test code, and talks to the test by its output"
)]

use std::{
    env,
    future::pending,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use lockguard::{LockError, LockManager, NodeStatus, distributed_lock};
use lockguard_tests::Witness;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

const TTL: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let manager = LockManager::connect(&args[1]).await.unwrap();
    lockguard::register(manager).unwrap();
    match args[0].as_str() {
        "contend" => contend(&args[2], &args[3], args[4].parse().unwrap()).await,
        "nightly" => nightly(&args[2]).await,
        "hold" => hold(&args[2], args[3].parse().unwrap()).await,
        "adopt" => adopt(&args[2]).await,
        "drain" => return drain(args[2].parse().unwrap(), args[3].parse().unwrap()).await,
        other => panic!("no such job: {other}"),
    }
    ExitCode::SUCCESS
}

/// Goes through so many critical sections of the key.
async fn contend(key: &str, witness: &str, sections: u32) {
    let witness = Witness::join(witness);
    for _ in 0..sections {
        critical(key, &witness).await.unwrap();
    }
    println!("done");
}

#[distributed_lock(key = key, ttl = TTL, wait = "60s")]
async fn critical(key: &str, witness: &Witness) -> Result<(), LockError> {
    let section = witness.enter(key);
    sleep(Duration::from_millis(1)).await;
    section.leave();
    Ok(())
}

/// Takes over a lock, says so, and gives it back when it has said so.
async fn adopt(handover: &str) {
    let manager = lockguard::manager().unwrap();
    let guard = match manager.adopt(handover.parse().unwrap()).await {
        Ok(guard) => guard,
        Err(error) => return println!("failed to {error}"),
    };
    println!("adopted {}", guard.keys()[0]);
    guard.release().await.unwrap();
    // A release is heard of by a quorum: the process stays until all are.
    assert!(manager.drain(Duration::from_secs(10)).await.is_clean());
    println!("released");
}

/// Runs so many bodies, and a waiter for each of some, whose bodies never end;
/// drains when it is told a line, tells the others to end, and fails unless all was told and done within
/// the timeout.
///
/// A drain gives those that it drops two seconds at most: they are few.
async fn drain(bodies: usize, timeout: u64) -> ExitCode {
    const LONG: Duration = Duration::from_secs(600);
    let timeout = Duration::from_millis(timeout);
    let manager = lockguard::manager().unwrap();
    // A node that is still being found may be given no key.
    while !manager.nodes().await.iter().all(NodeStatus::is_reachable) {}
    let (running, told_to_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let endless = bodies / 10;
    let mut tasks = JoinSet::new();
    for body in 0..bodies {
        let request = manager.lock(format!("k:{body}"), LONG);
        let (begun, end) = (Arc::clone(&running), Arc::clone(&told_to_end));
        tasks.spawn(request.run(async move |_| {
            begun.add_permits(1);
            // Closed, which ends it, once the drain has begun.
            let _ = end.acquire().await;
            if body < endless {
                pending::<()>().await;
            }
        }));
    }
    let all = u32::try_from(bodies).unwrap();
    running.acquire_many(all).await.unwrap().forget();
    let mut waiters = JoinSet::new();
    for body in 0..endless {
        waiters.spawn(manager.lock(format!("k:{body}"), LONG).acquire());
    }
    println!("running");
    std::io::stdin().lines().next().unwrap().unwrap();
    let asked = Instant::now();
    let draining = tokio::spawn(lockguard::drain(timeout));
    // A waiter that was told of it shows that it has begun.
    let told = waiters.join_next().await.unwrap();
    assert!(matches!(told.unwrap(), Err(LockError::Draining { .. })));
    told_to_end.close();
    let drained = draining.await.unwrap();
    println!("drained {drained} after {:?}", asked.elapsed());
    assert!(asked.elapsed() < 2 * timeout);
    assert_eq!((drained.released(), drained.cancelled()), (bodies, endless));
    assert!(drained.left().is_empty());
    while let Some(told) = waiters.join_next().await {
        assert!(matches!(told.unwrap(), Err(LockError::Draining { .. })));
    }
    let mut lost = 0;
    while let Some(ended) = tasks.join_next().await {
        lost += usize::from(ended.unwrap().is_err_and(|error| error.is_lost()));
    }
    assert_eq!(lost, endless);
    ExitCode::SUCCESS
}

/// Holds the key, and says every few milliseconds that its body runs.
async fn hold(key: &str, ttl: u64) {
    match ticking(key, Duration::from_millis(ttl)).await {
        Err(error) if error.is_lost() => println!("lost"),
        other => println!("{other:?}"),
    }
}

#[distributed_lock(key = key, ttl = ttl)]
async fn ticking(key: &str, ttl: Duration) -> Result<(), LockError> {
    println!("held");
    loop {
        sleep(Duration::from_millis(5)).await;
        println!("tick");
    }
}

/// Runs a job in each round that it is told of, unless another process does.
async fn nightly(witness: &str) {
    let witness = Witness::join(witness);
    println!("ready");
    // Blocks this thread alone: the runtime has others.
    for round in std::io::stdin().lines().map_while(Result::ok) {
        match job(&round, &witness).await {
            Ok(Some(())) => println!("ran {round}"),
            Ok(None) => println!("skipped {round}"),
            Err(error) => println!("failed to {error}"),
        }
    }
}

/// Over in a moment: without `min_hold` whoever looks later would run it again.
#[distributed_lock(key = "nightly:{round}", ttl = "60s", min_hold = "30s", on_busy = skip)]
async fn job(round: &str, witness: &Witness) -> Result<Option<()>, LockError> {
    witness.enter(round).leave();
    Ok(Some(()))
}
