//! The programs in `examples`, found so that no list goes stale.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::step::{cargo, root};

/// How long an example may run: each ends by itself.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Every example, by name.
pub(crate) fn all() -> Result<Vec<String>, String> {
    // Cargo knows best what an example is; without a name it lists them all.
    let mut command = cargo("run --quiet --example");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("list the examples: {error}"))?;
    let answer = String::from_utf8_lossy(&output.stderr);
    let names = listed(&answer);
    if names.is_empty() && has_sources(&root().join("examples")) {
        return Err(format!("list the examples; Cargo said:\n{answer}"));
    }
    Ok(names)
}

/// Runs one example; `--check` makes those that serve check themselves, and
/// the others check themselves anyway.
pub(crate) fn command(name: &str) -> Command {
    let words = "run --quiet --all-features --example";
    let mut command = cargo(words);
    command.args([name, "--", "--check"]);
    command
}

/// The indented lines after `Available examples:`.
fn listed(answer: &str) -> Vec<String> {
    answer
        .lines()
        .skip_while(|line| !line.starts_with("Available examples"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// Whether there is something that looks like an example.
fn has_sources(package: &Path) -> bool {
    let nested = package.join("examples");
    [package, &nested]
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .any(|entry| entry.path().extension().is_some_and(|it| it == "rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_what_cargo_says() {
        let answer = "error: \"--example\" takes one argument.\nAvailable examples:\n    double_booking\n    quickstart\n\n";
        assert_eq!(listed(answer), ["double_booking", "quickstart"]);
        assert!(listed("No examples available.").is_empty());
    }
}
