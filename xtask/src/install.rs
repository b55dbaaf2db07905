//! Installs programs and libraries by the system's package manager.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::step::{Steps, succeeds};

/// What is to be there.
pub(crate) struct Wanted {
    /// What it is called: "a Redis server".
    pub(crate) name: &'static str,
    /// Its packages, the best first.
    pub(crate) packages: fn(manager: &str) -> &'static [&'static str],
    /// The variable that names its path.
    pub(crate) variable: &'static str,
    pub(crate) find: fn() -> Result<Option<PathBuf>, String>,
}

/// How a system installs packages.
struct Manager {
    program: &'static str,
    /// Brings the list of packages up to date; may fail where parts of it do.
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    needs_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: &["update"],
        install: &["install", "-y", "--no-install-recommends"],
        needs_root: true,
    },
    Manager {
        program: "dnf",
        refresh: &[],
        install: &["install", "-y"],
        needs_root: true,
    },
    Manager {
        program: "apk",
        refresh: &["update"],
        install: &["add"],
        needs_root: true,
    },
    Manager {
        program: "pacman",
        refresh: &["-Sy"],
        install: &["-S", "--noconfirm", "--needed"],
        needs_root: true,
    },
    Manager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        needs_root: false,
    },
];

impl Wanted {
    /// Finds it, or installs it.
    ///
    /// # Errors
    ///
    /// Says what to type, where there is none and it may not be installed.
    pub(crate) fn find_or_install(&self, steps: &mut Steps) -> Result<PathBuf, String> {
        if let Some(found) = (self.find)()? {
            return Ok(found);
        }
        let managers = MANAGERS.iter();
        let mut managers = managers.filter(|manager| {
            on_path(manager.program).is_some() && !(self.packages)(manager.program).is_empty()
        });
        let manager = managers.next().ok_or_else(|| {
            format!(
                "{} was not found; install it, or set {} to its path",
                self.name, self.variable
            )
        })?;
        let rights = Rights::of_this_user();
        if manager.needs_root && rights == Rights::None {
            return Err(format!(
                "{} was not found, and installing it needs root; type:\n  sudo {}\n\
                 or set {} to its path",
                self.name,
                manager.spelled(self),
                self.variable
            ));
        }
        self.install(manager, rights, steps)
    }

    fn install(
        &self,
        manager: &Manager,
        rights: Rights,
        steps: &mut Steps,
    ) -> Result<PathBuf, String> {
        eprintln!(
            "==> {} was not found; {} has it",
            self.name, manager.program
        );
        if !manager.refresh.is_empty() {
            let refresh = manager.command(manager.refresh, rights);
            if let Err(problem) = steps.run("refresh the list of packages", refresh) {
                eprintln!("going on with the old list: {problem}");
            }
        }
        for package in (self.packages)(manager.program) {
            let words = [manager.install, &[package]].concat();
            let installed = steps.run(
                &format!("install {package}"),
                manager.command(&words, rights),
            );
            if installed.is_ok()
                && let Some(found) = (self.find)()?
            {
                return Ok(found);
            }
        }
        Err(format!(
            "{} could not be installed; type:\n  {}\nor set {} to its path",
            self.name,
            manager.spelled(self),
            self.variable
        ))
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
    fn spelled(&self, wanted: &Wanted) -> String {
        let packages = (wanted.packages)(self.program);
        let package = packages.first().copied().unwrap_or_default();
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

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| is_program(file))
}

#[cfg(unix)]
pub(crate) fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file())
}
