//! Finds a Redis or Valkey server, or installs one.

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use crate::{
    step::{Steps, succeeds},
    test::SERVER,
};

const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How a system installs packages.
struct Manager {
    program: &'static str,
    /// Brings the list of packages up to date; may fail where parts of it do.
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    /// The first of these that there is.
    packages: &'static [&'static str],
    needs_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: &["update"],
        install: &["install", "-y", "--no-install-recommends"],
        packages: &["redis-server", "valkey-server"],
        needs_root: true,
    },
    Manager {
        program: "dnf",
        refresh: &[],
        install: &["install", "-y"],
        packages: &["redis", "valkey"],
        needs_root: true,
    },
    Manager {
        program: "apk",
        refresh: &["update"],
        install: &["add"],
        packages: &["redis", "valkey"],
        needs_root: true,
    },
    Manager {
        program: "pacman",
        refresh: &["-Sy"],
        install: &["-S", "--noconfirm", "--needed"],
        packages: &["redis", "valkey"],
        needs_root: true,
    },
    Manager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        packages: &["redis", "valkey"],
        needs_root: false,
    },
];

/// The server program that the tests start.
///
/// # Errors
///
/// Says what to type, where there is none and it may not be installed.
pub(crate) fn find_or_install(steps: &mut Steps) -> Result<PathBuf, String> {
    if let Some(server) = find()? {
        return Ok(server);
    }
    let manager = MANAGERS
        .iter()
        .find(|manager| on_path(manager.program).is_some())
        .ok_or_else(|| {
            format!("no Redis server was found; install redis-server, or set {SERVER} to its path")
        })?;
    let rights = Rights::of_this_user();
    if manager.needs_root && rights == Rights::None {
        return Err(format!(
            "no Redis server was found, and installing one needs root; type:\n  sudo {}\n\
             or set {SERVER} to the path of a server",
            manager.spelled()
        ));
    }
    install(manager, rights, steps)
}

fn install(manager: &Manager, rights: Rights, steps: &mut Steps) -> Result<PathBuf, String> {
    eprintln!("==> no Redis server was found; {} has one", manager.program);
    if !manager.refresh.is_empty() {
        let refresh = manager.command(manager.refresh, rights);
        if let Err(problem) = steps.run("refresh the list of packages", refresh) {
            eprintln!("going on with the old list: {problem}");
        }
    }
    for package in manager.packages {
        let words = [manager.install, &[package]].concat();
        let installed = steps.run(
            &format!("install {package}"),
            manager.command(&words, rights),
        );
        if installed.is_ok()
            && let Some(server) = find()?
        {
            // Some systems start a service on port 6379 as well. It is left
            // alone: the tests start servers of their own, on other ports.
            return Ok(server);
        }
    }
    Err(format!(
        "no Redis server could be installed; type:\n  {}\nor set {SERVER} to the path of a server",
        manager.spelled()
    ))
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

impl Manager {
    fn command(&self, words: &[&str], rights: Rights) -> Command {
        let mut command = if self.needs_root && rights == Rights::Sudo {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", self.program]);
            sudo
        } else {
            Command::new(self.program)
        };
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// What one would type, by hand.
    fn spelled(&self) -> String {
        let package = self.packages.first().copied().unwrap_or_default();
        format!("{} {} {package}", self.program, self.install.join(" "))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    /// Through `sudo`, without a password.
    Sudo,
    None,
}

impl Rights {
    fn of_this_user() -> Self {
        let id = Command::new("id").arg("-u").output();
        if id.is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
            return Self::Root;
        }
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "true"]);
        if succeeds(sudo) {
            Self::Sudo
        } else {
            Self::None
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
}
