//! Finds a Redis or Valkey server, or installs one.

use std::{
    env,
    path::{PathBuf, absolute},
};

use crate::{
    install::{Wanted, is_program, on_path},
    step::Steps,
    test::SERVER,
};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// Some systems start a service on port 6379 as well.
/// It is left alone: the tests start servers of their own, on other ports.
const WANTED: Wanted = Wanted {
    name: "a Redis server",
    packages: |manager| match manager {
        "apt-get" => &["redis-server", "valkey-server"],
        _ => &["redis", "valkey"],
    },
    variable: SERVER,
    find,
};

/// The server program that the tests start.
///
/// # Errors
///
/// Says what to type, where there is none and it may not be installed.
pub(crate) fn find_or_install(steps: &mut Steps) -> Result<PathBuf, String> {
    WANTED.find_or_install(steps)
}

/// The server that the user named, or one on the path.
fn find() -> Result<Option<PathBuf>, String> {
    match env::var_os(SERVER).map(PathBuf::from) {
        // Tests run in other directories. Links stay: the name that a server
        // is called by may be what makes it one.
        Some(named) if is_program(&named) => Ok(Some(absolute(&named).unwrap_or(named))),
        Some(named) => Err(format!(
            "{SERVER} is set to {}, which is no program",
            named.display()
        )),
        None => Ok(PROGRAMS.into_iter().find_map(on_path)),
    }
}
