//! `cargo xtask compile-cost`: what the attribute costs the compiler, and the
//! futures of the functions that have it.
//!
//! Counted is the processor time, of programs and of the system, of `cargo
//! check` for one crate whose dependencies are checked already.
//! Other work on the machine changes it by some percent, where it multiplies
//! the time on the clock; the crates are checked in turns, and the median of
//! each counts.
//! An `async` block around the body is checked too: less than that no
//! attribute can cost that knows when a body ends.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use crate::step::{cargo, root};

/// How many functions a crate has.
const COUNTS: [usize; 3] = [0, 200, 1000];

/// Each crate is checked so often; the median counts.
const REPEATS: usize = 5;

/// At most so many milliseconds over the plain function.
const MOST_MILLISECONDS: f64 = 2.0;

/// At most so many bytes over the plain future, beside by-value arguments.
const MOST_BYTES: i64 = 128;

pub(crate) fn run() -> Result<(), String> {
    let workspace = Workspace::write()?;
    let times = workspace.check_all()?;
    let sizes = workspace.sizes()?;
    report_times(&times);
    report_sizes(&sizes);
    Ok(())
}

/// What stands above a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Locked,
    Instrumented,
    /// No attribute, and the body in an `async` block: the least that wraps it.
    Wrapped,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Plain, Self::Locked, Self::Instrumented, Self::Wrapped];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Locked => "distributed_lock",
            Self::Instrumented => "instrument",
            Self::Wrapped => "async_block",
        }
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Plain | Self::Wrapped => "",
            Self::Locked => {
                "#[lockguard::distributed_lock(key = \"seat:{seat}\", ttl = \"2s\", wait = \"5s\")]"
            }
            Self::Instrumented => "#[tracing::instrument(skip(buyer))]",
        }
    }

    /// What stands around the statements of a function's body.
    fn around_body(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain | Self::Locked | Self::Instrumented => ("{", "}"),
            Self::Wrapped => ("{ async move {", "}.await }"),
        }
    }
}

/// How long the crates of one kind take, by [`COUNTS`].
struct Times {
    kind: Kind,
    medians: Vec<Duration>,
}

impl Times {
    /// Milliseconds a function: the largest crate against the empty one.
    fn per_function(&self) -> f64 {
        let [Some(empty), Some(largest)] = [self.medians.first(), self.medians.last()] else {
            return f64::NAN;
        };
        let functions = COUNTS.iter().copied().max().unwrap_or(1);
        let took = largest.as_secs_f64() - empty.as_secs_f64();
        took * 1000.0 / f64::from(u32::try_from(functions).unwrap_or(u32::MAX))
    }
}

/// The sizes of one function's future.
struct Size {
    shape: String,
    plain: i64,
    locked: i64,
    by_value: i64,
}

impl Size {
    /// What the lock adds.
    fn added(&self) -> i64 {
        self.locked - self.plain
    }

    /// The body owns arguments that were the function's: one that the plain
    /// future keeps once is kept twice, and one that it keeps twice is too.
    fn is_small(&self) -> bool {
        self.added() <= MOST_BYTES + self.by_value
    }
}

/// The generated crates, in a workspace of their own under the target
/// directory.
struct Workspace {
    directory: PathBuf,
}

impl Workspace {
    fn write() -> Result<Self, String> {
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let workspace = Self {
            directory: target.join("compile-cost"),
        };
        let lockguard = root().join("lockguard").display().to_string();
        workspace.file(
            "Cargo.toml",
            &format!(
                "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n\n\
                 [workspace.dependencies]\n\
                 lockguard = {{ path = {lockguard:?}, default-features = false }}\n\
                 tracing = {{ version = \"0.1\", default-features = false, features = [\"std\", \"attributes\"] }}\n"
            ),
        )?;
        // The versions of our own workspace, which are on this machine.
        let lock = root().join("Cargo.lock");
        fs::copy(&lock, workspace.directory.join("Cargo.lock"))
            .map_err(|error| format!("copy {}: {error}", lock.display()))?;
        for kind in Kind::ALL {
            for count in COUNTS {
                workspace.package(&package(kind, count), "lib.rs", &functions(kind, count))?;
            }
        }
        workspace.package("sizes", "main.rs", SIZES)?;
        Ok(workspace)
    }

    fn package(&self, name: &str, source: &str, text: &str) -> Result<(), String> {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nlockguard.workspace = true\ntracing.workspace = true\n"
        );
        self.file(&format!("crates/{name}/Cargo.toml"), &manifest)?;
        self.file(&format!("crates/{name}/src/{source}"), text)
    }

    fn file(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.directory.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        written.map_err(|error| format!("write {}: {error}", path.display()))
    }

    /// Checks every crate several times, in turns, so that whatever else the
    /// machine does meets all of them.
    fn check_all(&self) -> Result<Vec<Times>, String> {
        let mut check = self.cargo("check --quiet --offline --workspace");
        succeed(&mut check)?;
        let mut times = vec![vec![Vec::new(); COUNTS.len()]; Kind::ALL.len()];
        for repeat in 1..=REPEATS {
            eprintln!("==> round {repeat} of {REPEATS}");
            for (kind, times) in Kind::ALL.into_iter().zip(&mut times) {
                for (count, times) in COUNTS.into_iter().zip(times) {
                    times.push(self.check(&package(kind, count))?);
                }
            }
        }
        let times = Kind::ALL.into_iter().zip(times);
        Ok(times
            .map(|(kind, times)| Times {
                kind,
                medians: times.into_iter().map(median).collect(),
            })
            .collect())
    }

    /// Checks one crate, whose dependencies are checked already.
    fn check(&self, package: &str) -> Result<Duration, String> {
        let source = self.directory.join(format!("crates/{package}/src/lib.rs"));
        let touched = fs::File::options()
            .append(true)
            .open(&source)
            .and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(|error| format!("touch {}: {error}", source.display()))?;
        let mut check = self.cargo("check --quiet --offline --package");
        check.arg(package);
        let said = succeed(&mut timed(&check))?;
        let times = said.lines().last().and_then(cpu_time);
        times.ok_or_else(|| format!("read the time that `sh` has counted:\n{said}"))
    }

    /// Runs the program that prints the sizes.
    fn sizes(&self) -> Result<Vec<Size>, String> {
        let mut command = self.cargo("run --quiet --offline --package sizes");
        let output = command
            .output()
            .map_err(|error| format!("print the sizes: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let sizes: Vec<Size> = text.lines().filter_map(size).collect();
        if !output.status.success() || sizes.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("print the sizes:\n{said}"));
        }
        Ok(sizes)
    }

    fn cargo(&self, words: &str) -> Command {
        let mut command = cargo(words);
        command
            .current_dir(&self.directory)
            .env("CARGO_TARGET_DIR", self.directory.join("target"))
            // Whole crates are compared, and not what a cache left over.
            .env("CARGO_INCREMENTAL", "0");
        command
    }
}

fn package(kind: Kind, count: usize) -> String {
    format!("{}_{count}", kind.name())
}

/// A crate of functions as small as those of a service get, so that what
/// stands above them is what takes the time.
fn functions(kind: Kind, count: usize) -> String {
    let attribute = kind.attribute();
    let (before, after) = kind.around_body();
    let mut text = String::from(
        "use lockguard::LockError;\n\n\
         pub async fn look(seat: u64) -> Result<u64, LockError> { Ok(seat) }\n",
    );
    for index in 0..count {
        let _ = write!(
            text,
            "\n{attribute}\n\
             pub async fn book_{index}(seat: u64, buyer: &str) -> Result<String, LockError> {before}\n    \
             let seat = look(seat).await?;\n    \
             Ok(format!(\"seat {{seat}} for {{buyer}}\"))\n{after}\n"
        );
    }
    text
}

/// `shape plain locked by-value`, in bytes.
fn size(line: &str) -> Option<Size> {
    let mut words = line.rsplitn(4, ' ');
    let [by_value, locked, plain] = [words.next()?, words.next()?, words.next()?];
    Some(Size {
        shape: words.next()?.to_owned(),
        plain: plain.parse().ok()?,
        locked: locked.parse().ok()?,
        by_value: by_value.parse().ok()?,
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The same command, in a shell that prints the time that it has used: time on
/// a processor, which other programs on the machine hardly change.
fn timed(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\" && times", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

/// The sum of `0m5.098s 0m0.307s`, what the programs and the system have used.
fn cpu_time(line: &str) -> Option<Duration> {
    let times = line.split_whitespace().map(|time| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        let minutes: f64 = minutes.parse().ok()?;
        let seconds: f64 = seconds.parse().ok()?;
        Duration::try_from_secs_f64(minutes * 60.0 + seconds).ok()
    });
    times.sum::<Option<Duration>>()
}

fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("check the generated crates: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("check the generated crates:\n{said}"))
}

fn report_times(times: &[Times]) {
    let per_function = |kind| {
        let of_kind = times.iter().find(|times| times.kind == kind);
        of_kind.map_or(f64::NAN, Times::per_function)
    };
    let plain = per_function(Kind::Plain);
    let locked = per_function(Kind::Locked) - plain;
    let instrumented = per_function(Kind::Instrumented) - plain;
    eprintln!(
        "\n`cargo check` without its dependencies, median of {REPEATS}, in CPU milliseconds:\n"
    );
    let counts = COUNTS.map(|count| format!("{count:>9}")).concat();
    eprintln!(
        "{:<18}{counts}   a function   over plain   beside instrument",
        "functions"
    );
    for times in times {
        let all = times.per_function();
        let over = all - plain;
        let mut medians = String::new();
        for median in &times.medians {
            let _ = write!(medians, "{:>9.0}", median.as_secs_f64() * 1000.0);
        }
        eprintln!(
            "{:<18}{medians}{all:>13.2}{over:>13.2}{:>20.2}",
            times.kind.name(),
            over / instrumented,
        );
    }
    eprintln!();
    verdict(
        locked <= MOST_MILLISECONDS,
        &format!("at most {MOST_MILLISECONDS} ms a function over the plain one"),
    );
    verdict(locked < instrumented, "less than `instrument`");
}

fn report_sizes(sizes: &[Size]) {
    eprintln!("\nThe futures, in bytes:\n");
    eprintln!(
        "{:<44}{:>8}{:>8}{:>10}{:>8}",
        "function", "plain", "locked", "by value", "added"
    );
    for size in sizes {
        eprintln!(
            "{:<44}{:>8}{:>8}{:>10}{:>8}",
            size.shape,
            size.plain,
            size.locked,
            size.by_value,
            size.added()
        );
    }
    eprintln!();
    verdict(
        sizes.iter().all(Size::is_small),
        &format!(
            "at most {MOST_BYTES} bytes over the plain future and one copy of by-value arguments"
        ),
    );
}

fn verdict(met: bool, target: &str) {
    eprintln!("{}  {target}", if met { "met    " } else { "NOT MET" });
}

/// The program that prints the sizes.
const SIZES: &str = include_str!("compile_cost/sizes.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_from_what_a_shell_says() {
        let time = cpu_time("0m5.098s 1m0.302s");
        assert_eq!(time, Some(Duration::from_millis(65_400)));
        assert_eq!(cpu_time("0m5"), None);
    }

    #[test]
    fn a_size_is_read_from_its_line() {
        let size = size("one number, two awaits 24 120 8").unwrap();
        assert_eq!(size.shape, "one number, two awaits");
        assert_eq!(size.added(), 96);
        assert!(size.is_small());
    }
}
