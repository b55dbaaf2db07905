//! Many tasks that take and give back locks for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    awake::Awake,
    contender::{Contender, Failure},
    meter::{Reading, Usage},
    numbers::quantile,
};

/// What one contender did in one round.
pub(crate) struct Outcome {
    /// How long each cycle took, sorted.
    cycles: Vec<Duration>,
    took: Duration,
    usage: Usage,
}

/// Runs cycles in so many tasks, each on a key of its own.
pub(crate) async fn run<C: Contender>(
    contender: &Arc<C>,
    tasks: usize,
    time: Duration,
    servers: &[u32],
) -> Result<Outcome, Failure> {
    let _awake = Awake::during(tasks);
    let before = Reading::take(servers);
    let start = Instant::now();
    let end = start + time;
    let running: Vec<_> = (0..tasks)
        .map(|nth| {
            let contender = Arc::clone(contender);
            tokio::spawn(async move {
                let key = format!("{}:{nth}", C::PREFIX);
                let mut cycles = Vec::with_capacity(1024);
                let mut now = Instant::now();
                while now < end {
                    contender.cycle(&key).await?;
                    let after = Instant::now();
                    cycles.push(after - now);
                    now = after;
                }
                Ok::<_, Failure>(cycles)
            })
        })
        .collect();
    let mut cycles = Vec::new();
    for task in running {
        cycles.append(&mut task.await??);
    }
    let took = start.elapsed();
    let usage = Reading::take(servers).since(&before);
    cycles.sort_unstable();
    Ok(Outcome {
        cycles,
        took,
        usage,
    })
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.cycles.len() as f64 / self.took.as_secs_f64()
    }

    /// The time that so large a share of the cycles took at most.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        quantile(&self.cycles, share)
    }

    pub(crate) fn longest(&self) -> Duration {
        self.cycles.last().copied().unwrap_or_default()
    }

    /// Processor time of this process for one cycle.
    pub(crate) fn client(&self) -> Duration {
        self.usage.client.div_f64(self.each())
    }

    /// Processor time of all servers for one cycle.
    pub(crate) fn server(&self) -> Duration {
        self.usage.servers.div_f64(self.each())
    }

    /// How much of a core each server used.
    pub(crate) fn busy(&self, servers: usize) -> f64 {
        self.usage.servers.as_secs_f64() / self.took.as_secs_f64() / servers.max(1) as f64
    }

    /// `None` where nothing counts.
    pub(crate) fn allocations(&self) -> Option<f64> {
        Some(self.usage.heap?.allocations / self.each())
    }

    /// How many cycles there were.
    pub(crate) fn count(&self) -> usize {
        self.cycles.len()
    }

    /// Processor time of this process for all of them.
    pub(crate) fn used(&self) -> Duration {
        self.usage.client
    }

    /// How often a thread of this process went to sleep in one cycle.
    pub(crate) fn switches(&self) -> f64 {
        self.usage.switches as f64 / self.each()
    }

    fn each(&self) -> f64 {
        self.cycles.len().max(1) as f64
    }
}
