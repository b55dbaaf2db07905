//! `cargo xtask msrv`: the oldest Rust that users are promised.

use std::{fs, process::Command};

use crate::step::{Steps, root, succeeds};

pub(crate) fn run() -> Result<(), String> {
    let version = promised()?;
    if !is_installed(&version) {
        return Err(format!(
            "Rust {version} is not installed; type:\n  rustup toolchain install {version} --profile minimal"
        ));
    }
    let mut steps = Steps::new();
    let mut command = Command::new("rustup");
    command
        .args(["run", &version, "cargo", "check", "--package", "lockguard"])
        .arg("--all-features")
        .current_dir(root());
    steps.run(&format!("check with Rust {version}"), command)?;
    steps.summarize();
    Ok(())
}

/// The `rust-version` of the workspace.
fn promised() -> Result<String, String> {
    let manifest = root().join("Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .map_err(|error| format!("read {}: {error}", manifest.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .ok_or_else(|| format!("{} has no `rust-version`", manifest.display()))
}

fn is_installed(version: &str) -> bool {
    let mut command = Command::new("rustup");
    command
        // It must say no, and not fetch what it was asked for.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .args(["run", version, "rustc", "--version"]);
    succeeds(command)
}
