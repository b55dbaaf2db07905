//! A witness of critical sections that survives the processes it watches.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tempfile::TempPath;

/// Numbers the sections of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Records critical sections in a file, and finds those that overlap.
///
/// Any number of processes on one machine append to one file, one line a
/// record, stamped by the monotonic clock that they share; a process that is
/// killed leaves what it has written.
/// The file is gone when the process that made the witness is.
///
/// A stamp is taken inside the section: [`enter`](Self::enter) comes after the
/// lock was acquired, and [`Section::leave`] before it is released.
#[derive(Clone)]
pub struct Witness {
    path: PathBuf,
    file: Arc<File>,
    /// Removes the file with the last clone of the witness that made it.
    made: Option<Arc<TempPath>>,
}

impl Witness {
    /// Makes a witness with a file of its own.
    pub fn new() -> Self {
        let made = tempfile::Builder::new()
            .prefix("witness-")
            .tempfile_in(lockguard_servers::directory())
            .expect("make a file for the witness")
            .into_temp_path();
        let mut witness = Self::join(&made);
        witness.made = Some(Arc::new(made));
        witness
    }

    /// Joins the witness that another process has made.
    pub fn join(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap_or_else(|error| panic!("open the witness {}: {error}", path.display()));
        Self {
            path,
            file: Arc::new(file),
            made: None,
        }
    }

    /// Where the file is, for [`join`](Self::join) in another process.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records that the caller is inside a critical section of the resource.
    ///
    /// # Panics
    ///
    /// When the resource contains a line break.
    pub fn enter(&self, resource: &str) -> Section {
        self.record_start(resource, None)
    }

    /// As [`enter`](Self::enter), under a fencing token.
    pub fn enter_fenced(&self, resource: &str, fence: u64) -> Section {
        self.record_start(resource, Some(fence))
    }

    fn record_start(&self, resource: &str, fence: Option<u64>) -> Section {
        assert!(!resource.contains('\n'), "one line a record");
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{nth}", process::id());
        let fence = fence.map_or_else(|| "-".to_owned(), |fence| fence.to_string());
        self.record(&format!("start {} {id} {fence} {resource}\n", now()));
        Section {
            witness: self.clone(),
            id,
        }
    }

    /// One write, so that lines of several processes never mix.
    fn record(&self, line: &str) {
        (&*self.file)
            .write_all(line.as_bytes())
            .expect("write to the witness");
    }

    /// Every section so far, in order of their starts.
    pub fn sections(&self) -> Vec<Interval> {
        let text = fs::read_to_string(&self.path).expect("read the witness");
        let mut sections: Vec<Interval> = Vec::new();
        let mut unfinished = HashMap::new();
        for line in text.lines() {
            let (what, rest) = line.split_once(' ').expect("a record of the witness");
            if what == "start" {
                let section = Interval::parse(rest);
                unfinished.insert(section.id.clone(), sections.len());
                sections.push(section);
            } else {
                let (at, id) = rest.split_once(' ').expect("an end of a section");
                let nth = unfinished.remove(id).expect("a section that has started");
                sections[nth].end = Some(stamp(at));
            }
        }
        sections.sort_by_key(|section| section.start);
        sections
    }

    /// Finds every two sections of one resource that overlap, and every
    /// fencing token that is not above those before it.
    ///
    /// Of a section without an end, whose process was killed, only the start
    /// is known.
    pub fn check(&self) -> Vec<Violation> {
        let mut by_resource: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
        for section in self.sections() {
            let sections = by_resource.entry(section.resource.clone()).or_default();
            sections.push(section);
        }
        by_resource
            .values()
            .flat_map(|sections| [overlaps(sections), fences_out_of_order(sections)].concat())
            .collect()
    }

    /// Passes when there were at least so many sections and
    /// [`check`](Self::check) finds nothing.
    ///
    /// # Panics
    ///
    /// Otherwise; the message lists what was found.
    #[track_caller]
    pub fn assert_exclusive(&self, at_least: usize) {
        let seen = self.sections().len();
        assert!(
            seen >= at_least,
            "{seen} sections were seen, fewer than {at_least}"
        );
        let found = self.check();
        let list: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{}", list.join("\n"));
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A critical section that has been entered.
///
/// Dropping it records its end too, so that a section that is cancelled ends.
#[derive(Debug)]
#[must_use = "the section ends when this is dropped"]
pub struct Section {
    witness: Witness,
    id: String,
}

impl Section {
    /// Records the end of the section.
    pub fn leave(self) {
        drop(self);
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        self.witness.record(&format!("end {} {}\n", now(), self.id));
    }
}

/// One section, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The process and the number of the section in it.
    pub id: String,
    /// What the section was about.
    pub resource: String,
    /// The fencing token, if there was one.
    pub fence: Option<u64>,
    /// When it started, on the monotonic clock.
    pub start: Duration,
    /// When it ended; `None` when its process was killed inside.
    pub end: Option<Duration>,
}

impl Interval {
    fn parse(rest: &str) -> Self {
        let fields: Vec<_> = rest.splitn(4, ' ').collect();
        let [at, id, fence, resource] = fields[..] else {
            panic!("not a start of a section: {rest}");
        };
        Self {
            id: id.to_owned(),
            resource: resource.to_owned(),
            fence: (fence != "-").then(|| fence.parse().expect("a fencing token")),
            start: stamp(at),
            end: None,
        }
    }

    fn known_end(&self) -> Duration {
        self.end.unwrap_or(self.start)
    }
}

/// What must not happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Two sections were inside at once.
    Overlap(Interval, Interval),
    /// The second section's fencing token is not above the first one's.
    FenceNotRising(Interval, Interval),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap(first, second) => write!(
                f,
                "`{}`: section {} started {:?} before {} ended",
                first.resource,
                second.id,
                first.known_end().saturating_sub(second.start),
                first.id,
            ),
            Self::FenceNotRising(first, second) => write!(
                f,
                "`{}`: section {} has fencing token {:?}, after {} had {:?}",
                first.resource, second.id, second.fence, first.id, first.fence,
            ),
        }
    }
}

/// Each section that starts before the longest of those before it has ended.
fn overlaps(sections: &[Interval]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut longest: Option<&Interval> = None;
    for section in sections {
        if let Some(longest) = longest
            && section.start < longest.known_end()
        {
            found.push(Violation::Overlap(longest.clone(), section.clone()));
        }
        if longest.is_none_or(|longest| section.known_end() > longest.known_end()) {
            longest = Some(section);
        }
    }
    found
}

fn fences_out_of_order(sections: &[Interval]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut highest: Option<&Interval> = None;
    for section in sections.iter().filter(|section| section.fence.is_some()) {
        match highest {
            Some(highest) if section.fence <= highest.fence => {
                found.push(Violation::FenceNotRising(highest.clone(), section.clone()));
            }
            _ => highest = Some(section),
        }
    }
    found
}

/// Nanoseconds on the clock that all processes of this machine share.
fn now() -> u128 {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::try_from(now)
        .expect("a clock that runs forward")
        .as_nanos()
}

fn stamp(nanos: &str) -> Duration {
    Duration::from_nanos(nanos.parse().expect("a stamp in nanoseconds"))
}
