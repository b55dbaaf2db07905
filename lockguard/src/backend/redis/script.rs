//! The scripts that servers run for us.

use std::sync::LazyLock;

/// A script, and the name that servers know it by.
pub(super) struct Script {
    pub(super) code: &'static str,
    pub(super) hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self { code, hash }
    }
}

/// A script behind what it needs to know of lines.
macro_rules! with_line {
    ($script:literal) => {
        concat!(include_str!("scripts/line.lua"), include_str!($script))
    };
}

pub(super) static ACQUIRE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/acquire.lua")));
pub(super) static ACQUIRE_FENCED: LazyLock<Script> =
    LazyLock::new(|| Script::new(with_line!("scripts/acquire_fenced.lua")));
pub(super) static CLAIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(with_line!("scripts/claim.lua")));
pub(super) static TRANSFER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/transfer.lua")));
pub(super) static HOLDER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/holder.lua")));
pub(super) static EXTEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/extend.lua")));
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/release_alone.lua"),
        with_line!("scripts/release.lua")
    ))
});

/// The code of every script, to be loaded when a server is connected to.
pub(super) fn codes() -> [&'static str; 7] {
    [
        ACQUIRE.code,
        CLAIM.code,
        TRANSFER.code,
        ACQUIRE_FENCED.code,
        HOLDER.code,
        EXTEND.code,
        RELEASE.code,
    ]
}
