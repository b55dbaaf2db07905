//! Managers that need no server.

use lockguard::{LockManager, backend::Memory};

use crate::{Scripted, redlock_over};

/// One manager of each kind that needs no server, and what it is.
pub fn managers() -> Vec<(&'static str, LockManager)> {
    let memories = (0..3).map(|_| Memory::new());
    let nodes = (0..3).map(|_| Scripted::new());
    vec![
        ("memory", LockManager::memory()),
        (
            "redlock over memory",
            LockManager::new(redlock_over(memories)),
        ),
        ("one node", LockManager::new(Scripted::new())),
        ("redlock", LockManager::new(redlock_over(nodes))),
    ]
}
