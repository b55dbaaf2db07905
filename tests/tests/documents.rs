//! What the documents name is there.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::{
    fs, iter,
    path::{Path, PathBuf},
};

/// The files that name tests and paths.
fn documents() -> Vec<(PathBuf, String)> {
    let decisions = fs::read_dir(root().join("docs/decisions")).unwrap();
    decisions
        .map(|entry| entry.unwrap().path())
        .chain(
            ["README.md", "docs/ARCHITECTURE.md", "docs/TESTING.md"].map(|page| root().join(page)),
        )
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What stands between backticks, outside code blocks.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// The text of the file that a test's path names, and of all files of a folder
/// of that name: in `tests/tests`, in `tests/src` for the contract, or in the
/// crate.
fn source_of(path: &str) -> String {
    let file = path.replace("::", "/");
    let place = match file.strip_prefix("lockguard/") {
        Some(module) => root().join("lockguard/src").join(module),
        None if file == "contract" => root().join("tests/src/contract"),
        None => root().join("tests/tests").join(file),
    };
    let folder = fs::read_dir(&place).into_iter().flatten();
    let inside = folder.map(|entry| entry.unwrap().path());
    iter::once(place.with_extension("rs"))
        .chain(inside)
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let mut named = 0;
    for (document, text) in documents() {
        for quote in quoted(&text) {
            let Some((file, test)) = quote.rsplit_once("::") else {
                continue;
            };
            let source = source_of(file);
            // A claim in words, and not a path of Rust's.
            if test.matches('_').count() < 3 {
                continue;
            }
            named += 1;
            assert!(
                source.contains(&format!("{test}(")),
                "{} names `{quote}`",
                document.display()
            );
        }
    }
    assert!(named > 20, "{named} tests are named");
}

#[test]
fn every_path_that_a_document_names_exists() {
    const MEMBERS: [&str; 7] = [
        "lockguard/",
        "lockguard-macros/",
        "tests/",
        "examples/",
        "bench/",
        "xtask/",
        "docs/",
    ];
    let mut named = 0;
    for (document, text) in documents() {
        for quote in quoted(&text) {
            let is_path = MEMBERS.iter().any(|member| quote.starts_with(member));
            if !is_path || quote.contains(['*', '<', ' ']) {
                continue;
            }
            named += 1;
            assert!(
                root().join(quote).exists(),
                "{} names `{quote}`",
                document.display()
            );
        }
    }
    assert!(named > 20, "{named} paths are named");
}

fn is_source(path: &Path) -> bool {
    let is_ours = |kind| kind == "rs" || kind == "lua";
    path.extension().is_some_and(is_ours)
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                Vec::from_iter(is_source(&path).then_some(path))
            }
        })
        .collect()
}

#[test]
fn every_source_file_that_a_document_names_by_the_end_of_its_path_exists() {
    let folders = ["lockguard", "lockguard-macros", "tests", "bench", "xtask"];
    let sources: Vec<_> = folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .collect();
    let mut named = 0;
    for (document, text) in documents() {
        for quote in quoted(&text) {
            if !is_source(Path::new(quote)) {
                continue;
            }
            named += 1;
            assert!(
                sources.iter().any(|source| source.ends_with(quote)),
                "{} names `{quote}`",
                document.display()
            );
        }
    }
    assert!(named > 100, "{named} files are named");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for (document, text) in documents() {
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split([')', '#']).next()) {
            let is_local = !link.is_empty() && !link.starts_with("http");
            assert!(
                !is_local || document.with_file_name(link).exists(),
                "{} links to {link}",
                document.display()
            );
        }
    }
}

/// The file names of the library's modules, but for tests.
fn modules(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            match (path.is_dir(), &*name) {
                (true, "tests") | (false, "lib.rs" | "mod.rs" | "tests.rs") => Vec::new(),
                (true, _) => modules(&path),
                (false, _) if path.extension().is_some_and(|rust| rust == "rs") => vec![name],
                (false, _) => Vec::new(),
            }
        })
        .collect()
}

#[test]
fn every_module_of_the_library_is_on_the_map() {
    let map = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let modules = modules(&root().join("lockguard/src"));
    assert!(modules.len() > 40, "{modules:?}");
    let is_missing = |name: &&String| !map.contains(&format!("{name}`"));
    let missing: Vec<_> = modules.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
