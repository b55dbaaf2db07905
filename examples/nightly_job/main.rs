//! A scheduled job on three replicas: each night, one of them runs it.
//!
//! `cargo run --example nightly_job` starts a server of its own, and ends it;
//! with `LOCKGUARD_URL=redis://127.0.0.1` in the environment, it uses that one.

mod job;

use std::{env, process::ExitCode, time::Duration};

use lockguard::LockManager;
use lockguard_examples::{
    Failure, Story, failed,
    replica::{Replica, orders, say},
    server::{self, Server},
};
use tokio::time::{sleep, timeout};

use crate::job::{Runs, clean_up};

/// Longer than this takes only a machine that cannot be helped.
const LIMIT: Duration = Duration::from_secs(60);

/// The first argument of a replica; then come the server, the name of the runs,
/// and by how much its clock is late, in milliseconds.
const REPLICA: &str = "replica";

/// By how many milliseconds the clocks of the replicas are late: two start at
/// the same time, and one comes when the job is over.
const SKEWS: [&str; 3] = ["0", "0", "60"];

const NIGHTS: u32 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [REPLICA, url, runs, skew] => replica(url, runs, skew).await,
        [server::ROLE, ..] => server::keep(&arguments),
        _ => match timeout(LIMIT, tell()).await {
            Ok(told) => told,
            Err(_) => Err(format!("tell the story within {LIMIT:?}").into()),
        },
    };
    ended.unwrap_or_else(failed)
}

/// Runs the job whenever it is told that it is night.
async fn replica(url: &str, runs: &str, skew: &str) -> Result<ExitCode, Failure> {
    let skew = Duration::from_millis(skew.parse()?);
    let runs = Runs::open(url, runs).await?;
    lockguard::register(LockManager::connect(url).await?)?;
    let mut orders = orders();
    say("ready")?;
    while let Some(night) = orders.recv().await {
        sleep(skew).await;
        match clean_up(runs.clone(), night.parse()?).await {
            Ok(Some(files)) => say(format_args!("night {night}: removed {files} files"))?,
            Ok(None) => say(format_args!("night {night}: skipped"))?,
            Err(error) => say(format_args!("night {night}: failed to {error}"))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn tell() -> Result<ExitCode, Failure> {
    let server = Server::find_or_start().await?;
    let mut story = Story::begin(format!(
        "A nightly job on {} replicas, on {server}",
        SKEWS.len()
    ));
    let mut runs = Runs::open(server.url(), &format!("nightly-{}", std::process::id())).await?;
    let mut replicas = Vec::new();
    for skew in SKEWS {
        let mut replica = Replica::start([REPLICA, server.url(), runs.name(), skew])?;
        replica.hear("ready").await?;
        replicas.push(replica);
    }
    for night in 1..=NIGHTS {
        story.chapter(format!("Night {night}"));
        a_night(&mut story, &mut replicas, night, &mut runs).await?;
    }
    for replica in replicas {
        replica.kill().await?;
    }
    runs.close(NIGHTS).await?;
    server.end().await?;
    Ok(story.end())
}

async fn a_night(
    story: &mut Story,
    replicas: &mut [Replica],
    night: u32,
    runs: &mut Runs,
) -> Result<(), Failure> {
    for replica in &mut *replicas {
        replica.tell(&night.to_string()).await?;
    }
    let mut skipped = 0;
    for replica in &mut *replicas {
        let said = replica.hear(&format!("night {night}: ")).await?;
        skipped += usize::from(said == "skipped");
        story.tell(format!("process {} {said}", replica.pid()));
    }
    let count = runs.of(night).await?;
    story.promise(count == 1, format!("the job ran {count} time(s)"));
    story.promise(
        skipped + 1 == replicas.len(),
        "the others skipped it, and met no error",
    );
    Ok(())
}
