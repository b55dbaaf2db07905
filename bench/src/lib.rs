//! Measures lockguard against a user's own code on the redis crate.
//!
//! ```sh
//! cargo xtask bench             # everything, some minutes
//! cargo xtask bench --quick     # everything, coarsely
//! cargo xtask bench cycle       # one scene
//! cargo xtask bench --plots docs/plots growth
//! cargo xtask bench --markdown target/bench.md
//! ```
//!
//! The servers are started here, on loopback.
//! Contenders take turns within each round, so that whatever else the machine
//! does hits all alike: trust the ratios, and processor time before time on
//! the wall.
//! Idle cores of a virtual machine take longer to wake than a round trip
//! takes; processes of idle priority keep them awake while one task is measured.
//! Allocations are counted by a second program, `lockguard-bench-counting`, so
//! that counting slows nothing that is timed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints tables and progress"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "counts are shown to three digits"
)]
#![expect(clippy::indexing_slicing, reason = "the failure of a bench is a panic")]

mod awake;
mod contender;
mod drive;
mod driver;
mod load;
mod markdown;
mod meter;
mod numbers;
mod plot;
mod report;
mod scenes;
mod sections;
mod targets;

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    awake::Awake,
    contender::Failure,
    driver::{Driver, Work},
    meter::is_counting,
    scenes::{Run, bad_node, cycle, growth, handoff, heap, memory, mixed, renewal, system_calls},
    targets::Target,
};

const SCENES: [&str; 9] = [
    "memory",
    "cycle",
    "system_calls",
    "bad_node",
    "handoff",
    "mixed",
    "renewal",
    "heap",
    "growth",
];

/// What the programs of this package do.
pub fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["spin"] => Awake::spin(),
        ["driver", contender, mode, ref rest @ ..] => drive(contender, mode, rest),
        ["count", ref words @ ..] => count(words),
        ref words => bench(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn drive(contender: &str, mode: &str, rest: &[&str]) -> Result<(), Failure> {
    let [urls, key, tasks, millis, hold] = rest[..] else {
        return Err("CONTENDER MODE URLS KEY TASKS MILLIS HOLD".into());
    };
    let work = Work {
        urls,
        tasks: tasks.parse()?,
        time: Duration::from_millis(millis.parse()?),
        hold: Duration::from_micros(hold.parse()?),
    };
    runtime()?.block_on(drive::drive(contender, mode, key, work))
}

/// The same for everybody who is measured.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

fn bench(words: &[&str]) -> Result<(), Failure> {
    let wanted = Wanted::parse(words)?;
    let mut run = Run::new(wanted.is_quick, wanted.rounds);
    let machine = markdown::machine();
    let peers = if ["cycle", "handoff", "mixed"]
        .iter()
        .any(|scene| wanted.has(scene))
    {
        Driver::peers()
    } else {
        Vec::new()
    };
    let start = Instant::now();
    println!("{machine}");
    println!("cores are kept awake for one task; {} rounds", run.rounds);
    // What was measured before a failure is told all the same.
    let mut measured = measure(&mut run, &wanted, &peers);
    if measured.is_ok() && COUNTED.iter().any(|scene| wanted.has(scene)) {
        measured = counted(&mut run, words);
    }
    let report = &run.report;
    println!("\nmedian of the rounds, least…greatest, ratio to the first of each list");
    println!("{}", report.text());
    let targets = targets::all(report);
    println!("what was to be reached: target, measured (least…greatest)");
    println!("{}", targets::text(&targets));
    println!("it took {:.0} s", start.elapsed().as_secs_f64());
    let json = json!({
        "machine": machine,
        "figures": report.json(),
        "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
    });
    fs::write("target/bench.json", serde_json::to_string_pretty(&json)?)?;
    if let Some(directory) = wanted.plots {
        plot::draw(report, directory)?;
    }
    if let Some(file) = wanted.markdown {
        let text = markdown::text(report, &targets, &machine, run.rounds);
        fs::write(file, text)?;
    }
    measured
}

/// Does the same in short, with an allocator that counts, and tells what came of
/// it.
fn count(words: &[&str]) -> Result<(), Failure> {
    let wanted = Wanted::parse(words)?;
    let mut run = Run::new(wanted.is_quick, wanted.rounds).counting();
    for scene in COUNTED.iter().filter(|scene| wanted.has(scene)) {
        measure(&mut run, &Wanted::only(scene), &[])?;
    }
    println!("{}", run.report.json());
    Ok(())
}

/// Adds what is counted, by a program that does so.
fn counted(run: &mut Run, words: &[&str]) -> Result<(), Failure> {
    let program = env::current_exe()?.with_file_name("lockguard-bench-counting");
    let mut count = Command::new(&program);
    count.arg("count").args(words).stderr(Stdio::inherit());
    let told = count.output().map_err(|error| {
        let program = program.display();
        format!("{program}: {error}; `cargo build --package lockguard-bench` makes both programs")
    })?;
    if !told.status.success() {
        return Err(format!("counting allocations: {}", told.status).into());
    }
    let told = serde_json::from_slice(&told.stdout)?;
    let filled = run.report.fill_in(&told);
    filled.ok_or_else(|| "counting allocations: what is told is no figures".into())
}

fn measure(run: &mut Run, wanted: &Wanted<'_>, peers: &[Driver]) -> Result<(), Failure> {
    if wanted.has("memory") {
        memory::measure(run)?;
    }
    runtime()?.block_on(async {
        if wanted.has("cycle") {
            cycle::measure(run, 1, peers).await?;
            cycle::measure(run, 5, peers).await?;
        }
        if wanted.has("system_calls") {
            system_calls::measure(run)?;
        }
        if wanted.has("bad_node") {
            bad_node::measure(run).await?;
        }
        if wanted.has("handoff") {
            handoff::measure(run, peers)?;
        }
        if wanted.has("mixed") {
            mixed::measure(run, peers)?;
        }
        if wanted.has("renewal") {
            renewal::measure(run).await?;
        }
        if wanted.has("heap") && is_counting() {
            heap::measure(run).await?;
        }
        if wanted.has("growth") {
            growth::measure(run).await?;
        }
        Ok(())
    })
}

/// The scenes in which something is counted.
const COUNTED: [&str; 5] = ["memory", "cycle", "bad_node", "renewal", "heap"];

/// What the command line asks for.
#[derive(Default)]
struct Wanted<'a> {
    /// None: all of them.
    scenes: Vec<&'a str>,
    is_quick: bool,
    /// None: as many as the kind of run has.
    rounds: Option<usize>,
    plots: Option<&'a Path>,
    markdown: Option<&'a Path>,
}

impl<'a> Wanted<'a> {
    fn parse(words: &[&'a str]) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => wanted.is_quick = true,
                "--rounds" => {
                    let rounds = words.next().ok_or("`--rounds` takes a number")?;
                    wanted.rounds = Some(rounds.parse()?);
                }
                "--plots" => {
                    let directory = words.next().ok_or("`--plots` takes a directory")?;
                    wanted.plots = Some(Path::new(*directory));
                }
                "--markdown" => {
                    let file = words.next().ok_or("`--markdown` takes a file")?;
                    wanted.markdown = Some(Path::new(*file));
                }
                scene if SCENES.contains(&scene) => wanted.scenes.push(scene),
                unknown => {
                    let scenes = SCENES.join(", ");
                    return Err(format!("`{unknown}` is no scene; these are: {scenes}").into());
                }
            }
        }
        Ok(wanted)
    }

    fn only(scene: &'a str) -> Self {
        Self {
            scenes: vec![scene],
            ..Self::default()
        }
    }

    fn has(&self, scene: &str) -> bool {
        self.scenes.is_empty() || self.scenes.contains(&scene)
    }
}
