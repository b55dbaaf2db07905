//! Which nodes turn out to be one server.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

/// Which run of a server each node of a manager was connected to last, so that
/// no server votes twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Twins {
    runs: Arc<Mutex<HashMap<Arc<str>, String>>>,
    are_several: bool,
}

impl Twins {
    /// For so many nodes.
    pub(crate) fn of(nodes: usize) -> Self {
        Self {
            runs: Arc::default(),
            are_several: nodes > 1,
        }
    }

    /// Whether other nodes are asked at the same time.
    pub(super) fn are_several(&self) -> bool {
        self.are_several
    }

    /// Notes that the node is connected to this run.
    ///
    /// # Errors
    ///
    /// The node that was before it, and keeps the vote, also while it is not
    /// connected: what it was granted counts.
    pub(super) fn claim(&self, node: &Arc<str>, run: &str) -> Result<(), Arc<str>> {
        let mut runs = self.runs.lock();
        let twin = runs
            .iter()
            .find(|(other, of)| *other != node && *of == run)
            .map(|(other, _)| Arc::clone(other));
        if let Some(twin) = twin {
            return Err(twin);
        }
        runs.insert(Arc::clone(node), run.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_claimed_by_one_node() {
        let (a, b) = (Arc::from("a:1"), Arc::from("b:1"));
        let twins = Twins::default();
        twins.claim(&a, "x").unwrap();
        twins.claim(&a, "x").unwrap();
        assert_eq!(twins.claim(&b, "x").unwrap_err(), a);
        twins.claim(&b, "y").unwrap();
        // The first leads to another server now.
        twins.claim(&a, "z").unwrap();
        twins.claim(&b, "x").unwrap();
    }
}
