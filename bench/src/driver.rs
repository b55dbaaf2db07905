//! Locks taken by processes of their own: ours, and those of other libraries.
//!
//! All have the command line of `bench/peers/README.md`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use crate::{
    contender::Failure,
    sections::{Section, Sections},
};

/// A program that takes locks of one library.
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    command: Vec<PathBuf>,
    pub(crate) kind: Kind,
}

/// What sort of lock it is.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Whether it makes a lock of several servers.
    pub(crate) has_quorum: bool,
    /// Whether to start it takes longer than to measure it.
    pub(crate) is_slow_to_start: bool,
}

/// What a process did in its cycles.
pub(crate) struct Cycles {
    pub(crate) count: f64,
    /// Processor time of the process.
    pub(crate) used: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// How many tasks, for how long, and how long each stays in the lock.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) urls: &'a str,
    pub(crate) tasks: usize,
    pub(crate) time: Duration,
    pub(crate) hold: Duration,
}

impl Driver {
    /// This program, as a driver of one of its own contenders.
    pub(crate) fn ours(name: &'static str, contender: &str) -> Result<Self, Failure> {
        Ok(Self {
            name,
            command: vec![env::current_exe()?, "driver".into(), contender.into()],
            kind: Kind {
                has_quorum: true,
                is_slow_to_start: false,
            },
        })
    }

    /// The same driver, run by a program that watches it.
    pub(crate) fn under(&self, watcher: Vec<PathBuf>) -> Self {
        let mut command = watcher;
        command.extend(self.command.iter().cloned());
        Self { command, ..*self }
    }

    /// The drivers of other libraries whose tools are there; says which are
    /// not.
    pub(crate) fn peers() -> Vec<Self> {
        let poller = Kind {
            has_quorum: true,
            is_slow_to_start: false,
        };
        let of_one_server = Kind {
            has_quorum: false,
            ..poller
        };
        let told_by_messages = Kind {
            is_slow_to_start: true,
            ..of_one_server
        };
        let builds: [(&'static str, Kind, Build); 5] = [
            ("rslock", poller, rslock),
            ("Redsync", poller, redsync),
            ("node-redlock", poller, node_redlock),
            ("redis-py", of_one_server, redis_py),
            ("Redisson", told_by_messages, redisson),
        ];
        let mut peers = Vec::new();
        for (name, kind, build) in builds {
            eprintln!("building the driver of {name}");
            match build() {
                Ok(command) => peers.push(Self {
                    name,
                    command,
                    kind,
                }),
                Err(reason) => println!("{name} is not measured: {reason}"),
            }
        }
        peers
    }

    /// Whether it makes a lock of so many servers.
    pub(crate) fn is_able(&self, servers: usize) -> bool {
        servers == 1 || self.kind.has_quorum
    }

    /// Cycles of one process, each task on a key of its own.
    pub(crate) fn cycles(&self, work: Work<'_>) -> Result<Cycles, Failure> {
        let mut line = String::new();
        let running = vec![self.begin("cycle", work)?];
        work_all(running, work.time, |_, said| {
            line = said;
            Ok(())
        })?;
        let numbers: Vec<u64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [count, used, p50, p99] = numbers[..] else {
            return Err(format!("{} says {line:?}", self.name).into());
        };
        Ok(Cycles {
            count: count as f64,
            used: Duration::from_nanos(used),
            p50: Duration::from_nanos(p50),
            p99: Duration::from_nanos(p99),
        })
    }

    fn begin(&self, mode: &str, work: Work<'_>) -> Result<Child, Failure> {
        let [program, arguments @ ..] = &self.command[..] else {
            return Err("a driver without a program".into());
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args([mode, work.urls, "bench:wanted"]);
        command.args([work.tasks.to_string(), work.time.as_millis().to_string()]);
        command.arg(work.hold.as_micros().to_string());
        Ok(command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?)
    }
}

/// All tasks of so many processes of each driver want one key.
pub(crate) fn handoff(crowd: &[(&Driver, usize)], work: Work<'_>) -> Result<Sections, Failure> {
    let mut running = Vec::new();
    for (driver, processes) in crowd {
        for _ in 0..*processes {
            running.push(driver.begin("handoff", work)?);
        }
    }
    let mut sections = Sections::of(running.len() * work.tasks);
    work_all(running, work.time, |process, line| {
        let mut section = parse(&line)?;
        section.waiter += process * work.tasks;
        if sections.push(section) {
            Ok(())
        } else {
            Err("a waiter too many".into())
        }
    })?;
    Ok(sections)
}

fn parse(line: &str) -> Result<Section, Failure> {
    let numbers: Vec<u64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [waiter, start, end] = numbers[..] else {
        return Err(format!("{line:?} is no section").into());
    };
    Ok(Section {
        waiter: usize::try_from(waiter)?,
        start: Duration::from_nanos(start),
        end: Duration::from_nanos(end),
    })
}

/// How long after its time a driver may still be at it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets all work once all are connected, and takes what they say.
///
/// Whoever has not ended a while after its time is killed: libraries are known
/// whose waiters take votes from each other for ever.
fn work_all(
    mut running: Vec<Child>,
    time: Duration,
    mut take: impl FnMut(usize, String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let outputs = start_all(&mut running);
    let running = Mutex::new(running);
    let kill_all = &|| {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        for child in &mut *running {
            let _ = child.kill();
        }
    };
    let (done, end) = mpsc::channel::<()>();
    let taken = thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let is_late = end.recv_timeout(time + PATIENCE) == Err(RecvTimeoutError::Timeout);
            if is_late {
                kill_all();
            }
            is_late
        });
        let taken = outputs.and_then(|outputs| {
            for (process, lines) in outputs.into_iter().enumerate() {
                for line in lines {
                    take(process, line?)?;
                }
            }
            Ok(())
        });
        drop(done);
        match watch.join() {
            Ok(false) => taken,
            _ => Err(format!("it was still at it {PATIENCE:?} after its time").into()),
        }
    });
    if taken.is_err() {
        kill_all();
    }
    let running = running.into_inner();
    let mut is_well = true;
    for mut child in running.unwrap_or_else(PoisonError::into_inner) {
        is_well &= child.wait()?.success();
    }
    taken?;
    if is_well {
        Ok(())
    } else {
        Err("it failed".into())
    }
}

/// Waits until each is connected, and lets all begin at once.
fn start_all(running: &mut [Child]) -> Result<Vec<Lines<BufReader<ChildStdout>>>, Failure> {
    let mut outputs = Vec::new();
    for child in &mut *running {
        let mut output = BufReader::new(child.stdout.take().ok_or("a driver without output")?);
        output.read_line(&mut String::new())?;
        outputs.push(output.lines());
    }
    for child in running {
        drop(child.stdin.take());
    }
    Ok(outputs)
}

/// Builds a driver, and says how it is called.
type Build = fn() -> Result<Vec<PathBuf>, Failure>;

fn rslock() -> Result<Vec<PathBuf>, Failure> {
    let target = built("rslock")?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--target-dir"])
        .arg(&target);
    run(cargo.current_dir(source("rslock")))?;
    Ok(vec![target.join("release/lockguard-bench-rslock")])
}

fn redsync() -> Result<Vec<PathBuf>, Failure> {
    let program = built("redsync")?.join("driver");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(".");
    run(go.current_dir(source("redsync")))?;
    Ok(vec![program])
}

fn node_redlock() -> Result<Vec<PathBuf>, Failure> {
    let place = built("node-redlock")?;
    for file in ["package.json", "driver.mjs"] {
        fs::copy(source("node-redlock").join(file), place.join(file))?;
    }
    let mut npm = Command::new("npm");
    run(npm.args(["install", "--silent"]).current_dir(&place))?;
    Ok(vec!["node".into(), place.join("driver.mjs")])
}

fn redis_py() -> Result<Vec<PathBuf>, Failure> {
    let place = built("redis-py")?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    let python = place.join("bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    run(pip.arg(source("redis-py").join("requirements.txt")))?;
    Ok(vec![python, source("redis-py").join("driver.py")])
}

fn redisson() -> Result<Vec<PathBuf>, Failure> {
    let place = built("redisson")?;
    let sources = Path::new("src/main/java");
    fs::create_dir_all(place.join(sources))?;
    for file in [Path::new("pom.xml"), &sources.join("Driver.java")] {
        fs::copy(source("redisson").join(file), place.join(file))?;
    }
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "compile"]);
    maven.args([
        "dependency:copy-dependencies",
        "-DoutputDirectory=target/libraries",
    ]);
    run(maven.current_dir(&place))?;
    let target = place.join("target");
    let mut classes = target.join("classes").into_os_string();
    classes.push(":");
    classes.push(target.join("libraries/*"));
    Ok(vec![
        "java".into(),
        "-cp".into(),
        classes.into(),
        "Driver".into(),
    ])
}

fn source(peer: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(peer)
}

/// A directory for what is built: beside this program.
fn built(peer: &str) -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let place = program.with_file_name("peers").join(peer);
    fs::create_dir_all(&place)?;
    Ok(place)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    match ended {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            // Some say on their output why they failed.
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            Err(format!("`{program}` ended with {}", output.status).into())
        }
        Err(error) => Err(format!("`{program}`: {error}").into()),
    }
}
