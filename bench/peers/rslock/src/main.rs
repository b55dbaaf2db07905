//! A driver of rslock; ../README.md has its command line.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    time::Duration,
};

use rslock::LockManager;
use rustix::time::{ClockId, clock_gettime};

const TTL: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(1);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, urls, key, tasks, millis, hold] = &words[..] else {
        return Err("MODE URLS KEY TASKS MILLIS HOLD".into());
    };
    let mut locks = LockManager::new(urls.split(',').collect());
    locks.set_retry(u32::MAX, DELAY);
    let hold = Duration::from_micros(hold.parse()?);
    cycle(&locks, &format!("warm:{}", std::process::id()), hold).await?;
    println!("connected");
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    let work = Work {
        tasks: tasks.parse()?,
        millis: millis.parse()?,
        hold,
    };
    if mode == "cycle" {
        cycles(&locks, key, work).await
    } else {
        handoff(&locks, key, work).await
    }
}

async fn cycle(locks: &LockManager, key: &str, hold: Duration) -> Result<(u64, u64), Failure> {
    let lock = locks.lock(key, TTL).await.map_err(|error| error.to_string())?;
    let start = now(ClockId::Monotonic);
    if !hold.is_zero() {
        tokio::time::sleep(hold).await;
    }
    let end = now(ClockId::Monotonic);
    locks.unlock(&lock).await;
    Ok((start, end))
}

async fn cycles(locks: &LockManager, key: &str, work: Work) -> Result<(), Failure> {
    let before = now(ClockId::ProcessCPUTime);
    let all = each(locks, work, move |nth| format!("{key}:{nth}")).await?;
    let used = now(ClockId::ProcessCPUTime) - before;
    let mut times: Vec<u64> = all.iter().map(|section| section.took).collect();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("cycles {} {used} {} {}", times.len(), at(0.5), at(0.99));
    Ok(())
}

async fn handoff(locks: &LockManager, key: &str, work: Work) -> Result<(), Failure> {
    let mut output = io::BufWriter::new(io::stdout());
    for section in each(locks, work, |_| key.to_owned()).await? {
        writeln!(output, "{} {} {}", section.nth, section.start, section.end)?;
    }
    output.flush()?;
    Ok(())
}

/// How many tasks, for how long, and how long each stays in the lock.
#[derive(Clone, Copy)]
struct Work {
    tasks: usize,
    millis: u64,
    hold: Duration,
}

struct Section {
    nth: usize,
    start: u64,
    end: u64,
    took: u64,
}

/// Repeats a cycle in every task until the time is over.
async fn each(
    locks: &LockManager,
    work: Work,
    key: impl Fn(usize) -> String,
) -> Result<Vec<Section>, Failure> {
    let Work { tasks, millis, hold } = work;
    let over = now(ClockId::Monotonic) + millis * 1_000_000;
    let running: Vec<_> = (0..tasks)
        .map(|nth| {
            let (locks, key) = (locks.clone(), key(nth));
            tokio::spawn(async move {
                let mut own = Vec::new();
                let mut asked = now(ClockId::Monotonic);
                while asked < over {
                    let (start, end) = cycle(&locks, &key, hold).await?;
                    let after = now(ClockId::Monotonic);
                    let took = after - asked;
                    own.push(Section { nth, start, end, took });
                    asked = after;
                }
                Ok::<_, Failure>(own)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in running {
        all.append(&mut task.await??);
    }
    Ok(all)
}

fn now(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
