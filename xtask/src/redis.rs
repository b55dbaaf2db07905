//! Finds a Redis or Valkey server, or installs one.

use std::{
    env,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use crate::{
    packages::{Wanted, is_program, on_path},
    step::Steps,
};

/// Where tests and examples look for the server.
pub(crate) const VARIABLE: &str = "LOCKGUARD_REDIS_SERVER";

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

const REDIS: Wanted = Wanted {
    what: "Redis server",
    variable: VARIABLE,
    packages: &[
        ("apt-get", &["redis-server", "valkey-server"]),
        ("dnf", &["redis", "valkey"]),
        ("apk", &["redis", "valkey"]),
        ("pacman", &["redis", "valkey"]),
        ("brew", &["redis", "valkey"]),
    ],
    find,
};

/// The server program that the tests start.
///
/// Some systems start a service on port 6379 when they install one. It is left
/// alone: tests and examples start servers of their own, on other ports.
///
/// # Errors
///
/// Says what to type, where there is none and it may not be installed.
pub(crate) fn find_or_install(steps: &mut Steps) -> Result<PathBuf, String> {
    REDIS.find_or_install(steps)
}

/// The version that some tests need: servers before it give no right to read a
/// key and not to write it, and do not say beforehand what a user may do.
const OLDEST_TESTED: u32 = 7;

/// Whether this server can do what tests ask of it.
///
/// # Errors
///
/// Says what to do where it is too old.
pub(crate) fn check_version(server: &Path) -> Result<(), String> {
    let output = Command::new(server).arg("--version").output();
    let output = output.map_err(|error| format!("{}: {error}", server.display()))?;
    match major_version(&String::from_utf8_lossy(&output.stdout)) {
        Some(version) if version < OLDEST_TESTED => Err(format!(
            "{} is version {version}, and some tests need version {OLDEST_TESTED} or later; set \
             {VARIABLE} to a newer Redis, or to a Valkey server",
            server.display()
        )),
        _ => Ok(()),
    }
}

/// The first number of the version, as a server says it: `Redis server v=7.0.15 …`.
fn major_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("v=")?;
    version.split('.').next()?.parse().ok()
}

/// The server that the user named, or one on the path.
fn find() -> Result<Option<PathBuf>, String> {
    match env::var_os(VARIABLE).map(PathBuf::from) {
        // Tests run in other directories. Links stay: the name that a server
        // is called by may be what makes it one.
        Some(named) if is_program(&named) => Ok(Some(absolute(&named).unwrap_or(named))),
        Some(named) => Err(format!(
            "{VARIABLE} is set to {}, which is no program",
            named.display()
        )),
        None => Ok(PROGRAMS.into_iter().find_map(on_path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_version_is_read_from_what_it_says() {
        let redis = "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64";
        assert_eq!(major_version(redis), Some(6));
        assert_eq!(major_version("Valkey server v=8.0.1 sha=0"), Some(8));
        assert_eq!(major_version("no such option"), None);
    }
}
