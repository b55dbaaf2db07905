//! Installs what is missing, by the system's package manager.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::step::{Steps, succeeds};

/// A program that tests and examples start.
pub(crate) struct Wanted {
    /// As in "no Redis server was found".
    pub(crate) what: &'static str,
    /// The variable that says where it is.
    pub(crate) variable: &'static str,
    /// By the name of a package manager: the first of these that there is.
    pub(crate) packages: &'static [(&'static str, &'static [&'static str])],
    /// Where it is; an error where the variable leads to nothing.
    pub(crate) find: fn() -> Result<Option<PathBuf>, String>,
}

impl Wanted {
    /// What is there, or has been installed for want of it.
    ///
    /// # Errors
    ///
    /// Says what to type, where there is none and it may not be installed.
    pub(crate) fn find_or_install(&self, steps: &mut Steps) -> Result<PathBuf, String> {
        if let Some(found) = (self.find)()? {
            return Ok(found);
        }
        let installer = Installer::of(self)?;
        installer.refresh(steps);
        installer.install(self, steps)
    }
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

/// A package manager, and the right to use it.
pub(crate) struct Installer {
    manager: &'static Manager,
    rights: Rights,
}

impl Installer {
    /// The one that can install this, here.
    ///
    /// # Errors
    ///
    /// Says what to type, where there is none or it may not be used.
    pub(crate) fn of(wanted: &Wanted) -> Result<Self, String> {
        let Wanted { what, variable, .. } = wanted;
        let manager = MANAGERS
            .iter()
            .find(|manager| on_path(manager.program).is_some())
            .ok_or_else(|| {
                format!("no {what} was found; install one, or set {variable} to its path")
            })?;
        let rights = Rights::of_this_user();
        if manager.needs_root && rights == Rights::None {
            return Err(format!(
                "no {what} was found, and installing one needs root; type:\n  sudo {}\n\
                 or set {variable} to its path",
                manager.spelled(wanted)
            ));
        }
        eprintln!("==> no {what} was found; {} has one", manager.program);
        Ok(Self { manager, rights })
    }

    /// Whether it is the one of this name.
    pub(crate) fn is(&self, program: &str) -> bool {
        self.manager.program == program
    }

    /// Brings the list of packages up to date, as far as it can be.
    pub(crate) fn refresh(&self, steps: &mut Steps) {
        if self.manager.refresh.is_empty() {
            return;
        }
        let refresh = self.command(self.manager.program, self.manager.refresh);
        if let Err(problem) = steps.run("refresh the list of packages", refresh) {
            eprintln!("going on with the old list: {problem}");
        }
    }

    /// Installs one package.
    pub(crate) fn package(&self, package: &str, steps: &mut Steps) -> Result<(), String> {
        let words = [self.manager.install, &[package]].concat();
        let command = self.command(self.manager.program, &words);
        steps.run(&format!("install {package}"), command)
    }

    /// Installs one package after the other, until what is wanted is there.
    pub(crate) fn install(&self, wanted: &Wanted, steps: &mut Steps) -> Result<PathBuf, String> {
        for package in self.manager.packages(wanted) {
            if self.package(package, steps).is_ok()
                && let Some(found) = (wanted.find)()?
            {
                return Ok(found);
            }
        }
        let Wanted { what, variable, .. } = wanted;
        Err(format!(
            "no {what} could be installed; type:\n  {}\nor set {variable} to its path",
            self.manager.spelled(wanted)
        ))
    }

    /// A command with the rights of an installer.
    pub(crate) fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = if self.manager.needs_root && self.rights == Rights::Sudo {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
            sudo
        } else {
            Command::new(program)
        };
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        // Standard output is for what was asked for.
        command.stdout(io::stderr());
        command
    }
}

impl Manager {
    fn packages(&self, wanted: &Wanted) -> &'static [&'static str] {
        let named = |(manager, _): &&(&str, _)| *manager == self.program;
        let found = wanted.packages.iter().find(named);
        found.map_or(&[], |(_, packages)| packages)
    }

    /// What one would type, by hand.
    fn spelled(&self, wanted: &Wanted) -> String {
        let package = self.packages(wanted).first().copied().unwrap_or_default();
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

/// The program of this name that a shell would start.
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
