//! Where the programs of a server are: named, or found by `cargo xtask`.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::Failure;

/// What the variable names, or else what `cargo xtask server` finds, or
/// installs where there is nothing to find.
///
/// # Errors
///
/// Nothing was found, and nothing could be installed; `cargo xtask` has said
/// what to type.
pub fn server(which: &str, variable: &str) -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os(variable) {
        return Ok(named.into());
    }
    // Set by `cargo run`, which has let go of its locks by now.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["xtask", "server", which])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("ask `cargo xtask server {which}`: {error}"))?;
    let path = str::from_utf8(&answer.stdout)?.trim_end();
    if answer.status.success() && !path.is_empty() {
        Ok(path.into())
    } else {
        Err(format!("find a server; install {which}, or set {variable} to its path").into())
    }
}
