//! Measures lockguard against a user's own code on the redis crate.
//!
//! ```sh
//! cargo xtask bench             # everything, some minutes
//! cargo xtask bench --quick     # everything, coarsely
//! cargo xtask bench cycle       # one scene
//! cargo xtask bench --plots docs/plots growth
//! ```
//!
//! The servers are started here, on loopback.
//! Contenders take turns within each round, so that whatever else the machine
//! does hits all alike: trust the ratios, and processor time before time on
//! the wall.
//! Idle cores of a virtual machine take longer to wake than a round trip
//! takes; processes of idle priority keep them awake meanwhile.
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
mod driver;
mod load;
mod meter;
mod numbers;
mod plot;
mod report;
mod scenes;

use std::{env, path::Path, process::ExitCode, time::Duration};

use crate::{
    awake::Awake,
    contender::Failure,
    driver::Driver,
    report::Report,
    scenes::{Run, bad_node, cycle, growth, handoff, heap, memory, renewal},
};

const SCENES: [&str; 7] = [
    "cycle", "bad_node", "handoff", "renewal", "heap", "memory", "growth",
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["spin"] => Awake::spin(),
        ["driver", "handoff", urls, key, tasks, millis] => drive(urls, key, tasks, millis),
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

fn drive(urls: &str, key: &str, tasks: &str, millis: &str) -> Result<(), Failure> {
    let time = Duration::from_millis(millis.parse()?);
    runtime()?.block_on(handoff::drive(urls, key, tasks.parse()?, time))
}

/// The same for everybody who is measured.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

fn bench(words: &[&str]) -> Result<(), Failure> {
    let Wanted {
        scenes,
        is_quick,
        plots,
    } = Wanted::parse(words)?;
    let is_wanted = |scene| scenes.is_empty() || scenes.contains(&scene);
    let mut run = Run {
        rounds: if is_quick { 3 } else { 7 },
        slice: Duration::from_millis(if is_quick { 300 } else { 1000 }),
        report: Report::default(),
    };
    let is_against_peers = is_wanted("cycle") || is_wanted("handoff");
    let peers = if is_against_peers {
        Driver::peers()
    } else {
        Vec::new()
    };
    let awake = Awake::begin();
    println!(
        "{} cores are kept awake; {} rounds",
        awake.cores(),
        run.rounds
    );
    if is_wanted("memory") {
        memory::measure(&mut run)?;
    }
    runtime()?.block_on(async {
        if is_wanted("cycle") {
            cycle::measure(&mut run, 1, &peers).await?;
            cycle::measure(&mut run, 5, &peers).await?;
        }
        if is_wanted("bad_node") {
            bad_node::measure(&mut run).await?;
        }
        if is_wanted("handoff") {
            handoff::measure(&mut run, &peers)?;
        }
        if is_wanted("renewal") {
            renewal::measure(&mut run).await?;
        }
        if is_wanted("heap") {
            heap::measure(&mut run).await?;
        }
        if is_wanted("growth") {
            growth::measure(&mut run).await?;
        }
        Ok::<_, Failure>(())
    })?;
    println!("\nmedian of the rounds, least…greatest, ratio to the first of each list");
    println!("{}", run.report.text());
    run.report.write_json(Path::new("target/bench.json"))?;
    if let Some(directory) = plots {
        plot::draw(&run.report, directory)?;
    }
    Ok(())
}

/// What the command line asks for.
#[derive(Default)]
struct Wanted<'a> {
    /// None: all of them.
    scenes: Vec<&'a str>,
    is_quick: bool,
    plots: Option<&'a Path>,
}

impl<'a> Wanted<'a> {
    fn parse(words: &[&'a str]) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => wanted.is_quick = true,
                "--plots" => {
                    let directory = words.next().ok_or("`--plots` takes a directory")?;
                    wanted.plots = Some(Path::new(*directory));
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
}
