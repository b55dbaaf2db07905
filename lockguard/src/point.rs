//! Which place in a program takes a lock.

use std::{borrow::Cow, fmt, panic::Location};

/// A lock point's name, or where in the source it stands.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Named(Cow<'static, str>),
    At(&'static Location<'static>),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::At(location) => write!(f, "{}:{}", location.file(), location.line()),
        }
    }
}
