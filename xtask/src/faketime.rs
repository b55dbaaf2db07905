//! Finds libfaketime, or installs it: it changes the clocks of servers.

use std::{env, fs, path::PathBuf};

use crate::{packages::Wanted, step::Steps};

/// Where the tests look for the library.
pub(crate) const VARIABLE: &str = "LOCKGUARD_FAKETIME";

const FAKETIME: Wanted = Wanted {
    what: "libfaketime",
    variable: VARIABLE,
    packages: &[
        ("apt-get", &["libfaketime"]),
        ("dnf", &["libfaketime"]),
        ("apk", &["libfaketime"]),
        ("pacman", &["libfaketime"]),
    ],
    find,
};

/// The library, or `None` where it is not to be had, which is said.
pub(crate) fn find_or_install(steps: &mut Steps) -> Option<PathBuf> {
    FAKETIME
        .find_or_install(steps)
        .inspect_err(|problem| eprintln!("==> without faults of clocks: {problem}"))
        .ok()
}

/// The library that the user named, or one where systems put it.
fn find() -> Result<Option<PathBuf>, String> {
    const NAME: &str = "faketime/libfaketimeMT.so.1";
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        return if named.is_file() {
            Ok(Some(named))
        } else {
            Err(format!(
                "{VARIABLE} is set to {}, which is no file",
                named.display()
            ))
        };
    }
    let roots = ["/usr/lib64", "/usr/lib", "/usr/local/lib"].map(PathBuf::from);
    // Of Debian, one directory for each kind of machine.
    let kinds = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut places = roots.into_iter().chain(kinds.map(|kind| kind.path()));
    Ok(places
        .find(|place| place.join(NAME).is_file())
        .map(|place| place.join(NAME)))
}
