//! Finds a Redis or Valkey server, or installs one.

use std::{
    env,
    path::{PathBuf, absolute},
};

use crate::{
    packages::{Installer, Wanted, is_program, on_path},
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
    if let Some(server) = find()? {
        return Ok(server);
    }
    let installer = Installer::of(&REDIS)?;
    installer.refresh(steps);
    installer.install(&REDIS, steps)
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
