//! A client process of a cell.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lockguard::{LockManager, RetryPolicy};
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, block_in_place},
    time::{Instant, sleep},
};

use super::{
    bugs::{self, Bug},
    clock::Stamp,
    journal::{Interface, Journal, Record},
    plan::{Habits, PRIVATE, Plan, TOKEN_WAIT},
    probes::{usage, watch_for_stalls},
    work::{Recorder, pace, perform},
};

/// Tasks of each interface that contend with all others, and one more that has
/// a key for itself.
const TASKS: u16 = 3;

/// How long what goes on in the background may take to end: a release waits a
/// second for its node, and an owed one for the next connection.
const SETTLE: Duration = Duration::from_secs(5);

/// How long an idle client waits to be killed.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// What a client process is told.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where to write what it does.
    pub journal: PathBuf,
    /// Which client it is.
    pub client: u16,
    /// What it draws its calls from.
    pub seed: u64,
    /// Every server, joined by commas.
    pub urls: String,
    /// When to make no more calls.
    pub until: Stamp,
    /// The longest ttl of its locks.
    pub longest_ttl: Duration,
    /// Of a thousand calls, how many are cancelled.
    pub cancelled: u32,
    /// Of a thousand bodies, how many nearly outlive their lease, or do.
    pub long: u32,
    /// Whether it drops its manager's runtime, again and again.
    pub drops_runtime: bool,
    /// Whether a server that has restarted may vote at once.
    pub has_no_delay: bool,
    /// What is wrong with its manager.
    pub bug: Option<Bug>,
}

impl Job {
    /// As arguments of the process.
    pub fn to_args(&self) -> Vec<String> {
        vec![
            "client".to_owned(),
            self.journal.display().to_string(),
            self.client.to_string(),
            self.seed.to_string(),
            self.urls.clone(),
            self.until.nanos().to_string(),
            self.longest_ttl.as_millis().to_string(),
            self.cancelled.to_string(),
            self.long.to_string(),
            self.drops_runtime.to_string(),
            self.has_no_delay.to_string(),
            self.bug.map_or("right", Bug::name).to_owned(),
        ]
    }

    /// From the arguments after `client`.
    pub fn from_args(args: &[&str]) -> Option<Self> {
        let [
            journal,
            client,
            seed,
            urls,
            until,
            longest_ttl,
            cancelled,
            long,
            drops_runtime,
            has_no_delay,
            bug,
        ] = args
        else {
            return None;
        };
        Some(Self {
            journal: PathBuf::from(journal),
            client: client.parse().ok()?,
            seed: seed.parse().ok()?,
            urls: (*urls).to_owned(),
            until: Stamp::from_nanos(until.parse().ok()?),
            longest_ttl: Duration::from_millis(longest_ttl.parse().ok()?),
            cancelled: cancelled.parse().ok()?,
            long: long.parse().ok()?,
            drops_runtime: drops_runtime.parse().ok()?,
            has_no_delay: has_no_delay.parse().ok()?,
            bug: bug.parse().ok(),
        })
    }
}

/// Does the job, says `idle`, and waits to be killed.
///
/// # Panics
///
/// When it cannot connect.
pub fn run(job: &Job) {
    runtime(2).block_on(async {
        let client = Client::start(job).await;
        client.work().await;
        println!("idle");
        // The servers are asked now who is connected, and then we are killed.
        sleep(LONGEST_IDLE).await;
        drop(client);
    });
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all();
    builder.build().expect("a runtime")
}

struct Client<'a> {
    job: &'a Job,
    recorder: Arc<Recorder>,
    home: Arc<Mutex<Home>>,
}

/// The manager, and its runtime where that is dropped now and then.
struct Home {
    manager: LockManager,
    runtime: Option<Runtime>,
}

impl Home {
    async fn build(job: &Job) -> Self {
        if !job.drops_runtime {
            return Self {
                manager: connect(job).await,
                runtime: None,
            };
        }
        let runtime = runtime(1);
        let job = job.clone();
        let manager = runtime.spawn(async move { connect(&job).await });
        Self {
            manager: manager.await.expect("a manager"),
            runtime: Some(runtime),
        }
    }
}

async fn connect(job: &Job) -> LockManager {
    if let Some(bug) = job.bug
        && bug != Bug::DeadlineFromReply
    {
        return bugs::manager_with(bug, &job.urls).await;
    }
    let builder = LockManager::builder().node(&job.urls);
    let builder = builder
        .retry(RetryPolicy::within(TOKEN_WAIT))
        .label(format!("client-{}", job.client));
    let delay = if job.has_no_delay {
        Duration::ZERO
    } else {
        job.longest_ttl
    };
    // A new client may find servers that are away.
    builder
        .restart_delay(delay)
        .lazy()
        .build()
        .await
        .expect("an address")
}

impl<'a> Client<'a> {
    async fn start(job: &'a Job) -> Self {
        let journal = Journal::open(&job.journal);
        let recorder = Arc::new(Recorder::new(job.client, journal, job.bug));
        let home = Home::build(job).await;
        tokio::spawn(watch_for_stalls({
            let recorder = Arc::clone(&recorder);
            move |begin, end| recorder.stalled(begin, end)
        }));
        let client = Self {
            job,
            recorder,
            home: Arc::new(Mutex::new(home)),
        };
        client.warm_up().await;
        client.record_usage(false);
        println!("ready");
        client
    }

    fn habits(&self) -> Habits {
        Habits {
            longest_ttl: self.job.longest_ttl,
            hot_keys: 2,
            long: self.job.long,
            cancelled: self.job.cancelled,
        }
    }

    /// Makes each kind of call once, so that whatever is made at the first is
    /// there.
    async fn warm_up(&self) {
        let mut random = StdRng::seed_from_u64(self.job.seed);
        let manager = self.home.lock().manager.clone();
        for interface in Interface::ALL {
            for _ in 0..4 {
                let key = Some(self.private_key(TASKS));
                let plan = Plan::draw(&mut random, &self.habits(), interface, key);
                perform(&self.recorder, &manager, &plan.in_a_moment()).await;
            }
        }
    }

    fn record_usage(&self, is_last: bool) {
        let usage = usage(self.job.client, is_last);
        self.recorder.journal.write(&Record::Usage(usage));
    }

    fn private_key(&self, task: u16) -> u16 {
        PRIVATE + self.job.client * (TASKS + 1) + task
    }

    /// Calls until it is time, and writes down what is left in use.
    async fn work(&self) {
        let before = usage(self.job.client, false);
        let mut tasks = JoinSet::new();
        for interface in Interface::ALL {
            for task in 0..TASKS {
                let is_private = task + 1 == TASKS;
                let private = is_private.then(|| self.private_key(task));
                tasks.spawn(self.task(interface, task, private));
            }
        }
        if self.job.drops_runtime {
            self.drop_runtimes().await;
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a task that calls");
        }
        let end = Instant::now() + SETTLE;
        loop {
            let now = usage(self.job.client, true);
            let is_settled = now.tasks <= before.tasks && now.files <= before.files;
            if is_settled || Instant::now() >= end {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        self.record_usage(true);
    }

    fn task(
        &self,
        interface: Interface,
        task: u16,
        private: Option<u16>,
    ) -> impl Future<Output = ()> + use<> {
        let recorder = Arc::clone(&self.recorder);
        let home = Arc::clone(&self.home);
        let (habits, until, bug) = (self.habits(), self.job.until, self.job.bug);
        let nth = self.job.seed ^ (u64::from(task) << 40) ^ ((interface as u64) << 48);
        let mut random = StdRng::seed_from_u64(nth);
        async move {
            while Stamp::now() < until {
                let mut plan = Plan::draw(&mut random, &habits, interface, private);
                if bug == Some(Bug::DeadlineFromReply) {
                    plan = plan.without_wait();
                    // The one that has a slow way.
                    if recorder.client == 0 {
                        plan = plan.for_the_whole_lease();
                    }
                }
                let (manager, runtime) = {
                    let home = home.lock();
                    let runtime = home
                        .runtime
                        .as_ref()
                        .map(|runtime| runtime.handle().clone());
                    (home.manager.clone(), runtime)
                };
                match runtime {
                    // Half of the calls die with the manager's runtime.
                    Some(runtime) if random.random() => {
                        let recorder = Arc::clone(&recorder);
                        let call = async move { perform(&recorder, &manager, &plan).await };
                        if let Err(ended) = runtime.spawn(call).await
                            && ended.is_panic()
                        {
                            std::panic::resume_unwind(ended.into_panic());
                        }
                    }
                    _ => {
                        perform(&recorder, &manager, &plan).await;
                    }
                }
                pace(&mut random).await;
            }
        }
    }

    /// Drops the manager's runtime now and then, and makes a new one.
    async fn drop_runtimes(&self) {
        let mut random = StdRng::seed_from_u64(!self.job.seed);
        while Stamp::now() < self.job.until {
            sleep(Duration::from_millis(random.random_range(200..900))).await;
            let next = Home::build(self.job).await;
            let begin = Stamp::now();
            let before = std::mem::replace(&mut *self.home.lock(), next);
            if let Some(runtime) = before.runtime {
                block_in_place(|| runtime.shutdown_timeout(SETTLE));
                self.recorder.dropped_runtime(begin, Stamp::now());
            }
        }
    }
}
