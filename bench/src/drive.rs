//! This program as a driver: it has the command line of
//! `bench/peers/README.md`.

use std::{io::Write as _, sync::Arc, time::Duration};

use lockguard::LockManager;

use crate::{
    contender::{Contender, Failure, Floor, InBackground, Lockguard},
    driver::Work,
    load,
    meter::monotonic,
};

/// A waiter whose process has been killed is in nobody's way for longer.
const TTL: Duration = Duration::from_secs(2);

/// Does what the words ask for, as one of those who are measured.
pub(crate) async fn drive(
    contender: &str,
    mode: &str,
    key: &str,
    work: Work<'_>,
) -> Result<(), Failure> {
    match (contender, mode) {
        ("lockguard", "handoff") => handoff(key, work).await,
        ("lockguard", "cycle") => {
            cycles(Lockguard(LockManager::connect(work.urls).await?), work).await
        }
        ("background", "cycle") => {
            cycles(InBackground(LockManager::connect(work.urls).await?), work).await
        }
        ("floor", "cycle") => cycles(Floor::connect(work.urls).await?, work).await,
        _ => Err(format!("`{contender}` has no `{mode}`").into()),
    }
}

/// Each task has a key of its own, by the contender's prefix.
async fn cycles(contender: impl Contender, work: Work<'_>) -> Result<(), Failure> {
    let contender = Arc::new(contender);
    contender.cycle("warm").await?;
    begin().await?;
    let outcome = load::run(&contender, work.tasks, work.time, &[]).await?;
    println!(
        "cycles {} {} {} {}",
        outcome.count(),
        outcome.used().as_nanos(),
        outcome.quantile(0.5).as_nanos(),
        outcome.quantile(0.99).as_nanos(),
    );
    Ok(())
}

/// All tasks want one key: prints when each had it.
async fn handoff(key: &str, work: Work<'_>) -> Result<(), Failure> {
    let manager = LockManager::connect(work.urls).await?;
    begin().await?;
    let (end, hold) = (monotonic() + work.time, work.hold);
    let waiters: Vec<_> = (0..work.tasks)
        .map(|nth| {
            let request = manager.lock(key, TTL).wait(work.time * 4);
            tokio::spawn(async move {
                let mut sections = Vec::new();
                while monotonic() < end {
                    let guard = request.clone().acquire().await?;
                    let start = monotonic();
                    if !hold.is_zero() {
                        tokio::time::sleep(hold).await;
                    }
                    let section = (nth, start.as_nanos(), monotonic().as_nanos());
                    guard.release().await?;
                    sections.push(section);
                }
                Ok::<_, Failure>(sections)
            })
        })
        .collect();
    let mut output = std::io::BufWriter::new(std::io::stdout());
    for waiter in waiters {
        for (nth, start, end) in waiter.await?? {
            writeln!(output, "{nth} {start} {end}")?;
        }
    }
    output.flush()?;
    Ok(())
}

/// Says that it is connected, and waits for the sign to begin.
async fn begin() -> Result<(), Failure> {
    println!("connected");
    let wait = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(wait).await??;
    Ok(())
}
