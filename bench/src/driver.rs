//! Locks taken by processes of their own: ours, and those of other libraries.
//!
//! All have the command line of `bench/peers/README.md`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::contender::Failure;

/// A program that takes locks of one library.
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    command: Vec<PathBuf>,
    /// Whether it makes a lock of several servers.
    pub(crate) has_quorum: bool,
}

/// One stay in the lock, on the clock that all processes share.
pub(crate) struct Section {
    pub(crate) waiter: usize,
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

/// What a process did in its cycles.
pub(crate) struct Cycles {
    pub(crate) count: f64,
    /// Processor time of the process.
    pub(crate) used: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// How many tasks, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) urls: &'a str,
    pub(crate) tasks: usize,
    pub(crate) time: Duration,
}

impl Driver {
    /// This program, as such a driver.
    pub(crate) fn ours() -> Result<Self, Failure> {
        Ok(Self {
            name: "lockguard",
            command: vec![env::current_exe()?, "driver".into()],
            has_quorum: true,
        })
    }

    /// The drivers of other libraries whose tools are there; says which are
    /// not.
    pub(crate) fn peers() -> Vec<Self> {
        let builds: [(&'static str, bool, Build); 4] = [
            ("rslock", true, rslock),
            ("Redsync", true, redsync),
            ("node-redlock", true, node_redlock),
            ("redis-py", false, redis_py),
        ];
        let mut peers = Vec::new();
        for (name, has_quorum, build) in builds {
            eprintln!("building the driver of {name}");
            match build() {
                Ok(command) => peers.push(Self {
                    name,
                    command,
                    has_quorum,
                }),
                Err(reason) => println!("{name} is not measured: {reason}"),
            }
        }
        peers
    }

    /// Cycles of one process, each task on a key of its own.
    pub(crate) fn cycles(&self, work: Work<'_>) -> Result<Cycles, Failure> {
        let mut running = vec![self.begin("cycle", work)?];
        let line = start_all(&mut running)?
            .pop()
            .and_then(|mut lines| lines.next())
            .ok_or("a driver that says nothing")??;
        end_all(running)?;
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

    /// All tasks of so many processes want one key; each waiter's sections.
    pub(crate) fn handoff(
        &self,
        processes: usize,
        work: Work<'_>,
    ) -> Result<Vec<Vec<Section>>, Failure> {
        let begin = |_| self.begin("handoff", work);
        let mut running = (0..processes).map(begin).collect::<Result<Vec<_>, _>>()?;
        let mut sections: Vec<Vec<Section>> = Vec::new();
        sections.resize_with(processes * work.tasks, Vec::new);
        for (process, lines) in start_all(&mut running)?.into_iter().enumerate() {
            for line in lines {
                let mut section = Section::parse(&line?)?;
                section.waiter += process * work.tasks;
                let own = sections.get_mut(section.waiter);
                own.ok_or("a waiter too many")?.push(section);
            }
        }
        end_all(running)?;
        Ok(sections)
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
        Ok(command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?)
    }
}

impl Section {
    fn parse(line: &str) -> Result<Self, Failure> {
        let numbers: Vec<u64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [waiter, start, end] = numbers[..] else {
            return Err(format!("{line:?} is no section").into());
        };
        Ok(Self {
            waiter: usize::try_from(waiter)?,
            start: Duration::from_nanos(start),
            end: Duration::from_nanos(end),
        })
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

fn end_all(running: Vec<Child>) -> Result<(), Failure> {
    for mut child in running {
        if !child.wait()?.success() {
            return Err("a driver failed".into());
        }
    }
    Ok(())
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
    // What it says belongs to the progress, not to the tables.
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}").into()),
        Err(error) => Err(format!("`{program}`: {error}").into()),
    }
}
