//! Finds the programs of PostgreSQL, or installs them.

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
};

use crate::{
    packages::{Installer, Wanted, is_program, on_path},
    step::Steps,
};

/// Where the example looks for the programs: their directory.
pub(crate) const VARIABLE: &str = "LOCKGUARD_POSTGRES";

/// What makes a cluster, and what serves it; they have to be of one version.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// Where systems keep them off the path, one directory a version: what stands
/// before its number, and what follows.
const VERSIONS: [(&str, &str); 6] = [
    ("/usr/lib/postgresql/", "bin"),
    ("/usr/lib/postgresql", "bin"),
    ("/usr/libexec/postgresql", ""),
    ("/usr/pgsql-", "bin"),
    ("/opt/homebrew/opt/postgresql@", "bin"),
    ("/usr/local/opt/postgresql@", "bin"),
];

/// What Debian makes with each version that is installed is said here.
const DEBIAN: &str = "/etc/postgresql-common/createcluster.conf";

const POSTGRES: Wanted = Wanted {
    what: "PostgreSQL server",
    variable: VARIABLE,
    packages: &[
        ("apt-get", &["postgresql"]),
        ("dnf", &["postgresql-server"]),
        ("apk", &["postgresql"]),
        ("pacman", &["postgresql"]),
        ("brew", &["postgresql@17", "postgresql"]),
    ],
    find,
};

/// The directory of the programs that the example starts.
///
/// No cluster of the system is started, used or made.
///
/// # Errors
///
/// Says what to type, where there are none and they may not be installed.
pub(crate) fn find_or_install(steps: &mut Steps) -> Result<PathBuf, String> {
    if let Some(programs) = find()? {
        return Ok(programs);
    }
    let installer = Installer::of(&POSTGRES)?;
    installer.refresh(steps);
    if installer.is("apt-get") {
        without_a_cluster(&installer, steps)
    } else {
        installer.install(&POSTGRES, steps)
    }
}

/// Debian's package makes a cluster and starts it, unless it is told not to.
fn without_a_cluster(installer: &Installer, steps: &mut Steps) -> Result<PathBuf, String> {
    installer.package("postgresql-common", steps)?;
    let before = fs::read(DEBIAN).map_err(|error| format!("read {DEBIAN}: {error}"))?;
    let set = ["-i.before", "$acreate_main_cluster = false", DEBIAN];
    steps.run("want no cluster", installer.command("sed", &set))?;
    let found = installer.install(&POSTGRES, steps);
    let saved = format!("{DEBIAN}.before");
    let restore = installer.command("mv", &[&saved, DEBIAN]);
    steps.run("leave the system as it was", restore)?;
    match fs::read(DEBIAN) {
        Ok(after) if after == before => found,
        _ => Err(format!("{DEBIAN} is not what it was")),
    }
}

/// The directory that the user named, the one on the path, or the newest one.
fn find() -> Result<Option<PathBuf>, String> {
    match env::var_os(VARIABLE).map(PathBuf::from) {
        Some(named) if has_programs(&named) => Ok(Some(absolute(&named).unwrap_or(named))),
        Some(named) => Err(format!(
            "{VARIABLE} is set to {}, where there is no {}",
            named.display(),
            PROGRAMS.join(" and no ")
        )),
        None => Ok(on_the_path().or_else(newest)),
    }
}

fn on_the_path() -> Option<PathBuf> {
    let directory = on_path(PROGRAMS[0])?.parent()?.to_owned();
    has_programs(&directory).then_some(directory)
}

fn newest() -> Option<PathBuf> {
    let (_, newest) = VERSIONS
        .iter()
        .flat_map(|(before, after)| versions(before, after))
        .filter(|(_, directory)| has_programs(directory))
        .max()?;
    Some(newest)
}

/// Directories whose names begin like this and go on with a number.
fn versions(before: &str, after: &str) -> Vec<(u32, PathBuf)> {
    let (parent, beginning) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = fs::read_dir(parent).into_iter().flatten();
    let versions = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let version = name.to_str()?.strip_prefix(beginning)?.parse().ok()?;
        Some((version, entry.path().join(after)))
    });
    versions.collect()
}

fn has_programs(directory: &Path) -> bool {
    PROGRAMS
        .iter()
        .all(|program| is_program(&directory.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_number_at_the_end_of_a_directory_s_name() {
        let root = env::temp_dir().join(format!("lockguard-xtask-{}", std::process::id()));
        for name in ["9", "17", "17.old", "common"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let mut found = versions(&format!("{}/", root.display()), "bin");
        found.sort();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            found,
            [(9, root.join("9/bin")), (17, root.join("17/bin"))],
            "9 is older than 17"
        );
    }
}
