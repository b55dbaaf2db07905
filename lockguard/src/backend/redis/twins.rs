//! Which nodes turn out to be one server.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::validity::LONGEST_NODE_BUDGET;

/// Which run of a server each node of a manager was connected to last, so that
/// no server votes twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Twins {
    claims: Arc<Mutex<HashMap<Arc<str>, Claim>>>,
    are_several: bool,
}

#[derive(Debug)]
struct Claim {
    run: String,
    /// When the node was first found to lead to the server of another.
    left: Option<Instant>,
}

impl Claim {
    /// Whether a round that is under way may still count a vote of this run as the
    /// node's.
    fn holds(&self, now: Instant) -> bool {
        let is_left = |left| now.saturating_duration_since(left) >= LONGEST_NODE_BUDGET;
        !self.left.is_some_and(is_left)
    }
}

impl Twins {
    /// For so many nodes.
    pub(crate) fn of(nodes: usize) -> Self {
        Self {
            claims: Arc::default(),
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
    /// The node that claimed the run before, and keeps the vote, also while it is
    /// not connected: what it was granted counts.
    /// It loses the vote only once it leads to another node's server itself:
    /// otherwise nodes whose addresses were swapped would keep each other out for
    /// good.
    pub(super) fn claim(&self, node: &Arc<str>, run: &str, now: Instant) -> Result<(), Arc<str>> {
        let mut claims = self.claims.lock();
        let twin = claims
            .iter()
            .find(|(other, claim)| *other != node && claim.run == run && claim.holds(now))
            .map(|(other, _)| Arc::clone(other));
        if let Some(twin) = twin {
            if let Some(claim) = claims.get_mut(node) {
                claim.left.get_or_insert(now);
            }
            return Err(twin);
        }
        let run = run.to_owned();
        claims.insert(Arc::clone(node), Claim { run, left: None });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Arc<str>, Arc<str>) {
        (Arc::from("a:1"), Arc::from("b:1"))
    }

    #[test]
    fn one_server_is_claimed_by_one_node() {
        let ((a, b), now) = (names(), Instant::now());
        let twins = Twins::default();
        twins.claim(&a, "x", now).unwrap();
        twins.claim(&a, "x", now).unwrap();
        assert_eq!(twins.claim(&b, "x", now).unwrap_err(), a);
        twins.claim(&b, "y", now).unwrap();
        // The first leads to another server now.
        twins.claim(&a, "z", now).unwrap();
        twins.claim(&b, "x", now).unwrap();
    }

    #[test]
    fn a_node_that_is_gone_keeps_its_server_however_long() {
        let ((a, b), now) = (names(), Instant::now());
        let twins = Twins::default();
        twins.claim(&a, "x", now).unwrap();
        for later in [now, now + 1000 * LONGEST_NODE_BUDGET] {
            assert_eq!(twins.claim(&b, "x", later).unwrap_err(), a);
        }
    }

    #[test]
    fn a_node_that_led_to_anothers_server_for_a_while_keeps_its_own() {
        let ((a, b), now) = (names(), Instant::now());
        let twins = Twins::default();
        twins.claim(&a, "x", now).unwrap();
        twins.claim(&b, "y", now).unwrap();
        twins.claim(&a, "y", now).unwrap_err();
        twins.claim(&a, "x", now).unwrap();
        let later = now + LONGEST_NODE_BUDGET;
        assert_eq!(twins.claim(&b, "x", later).unwrap_err(), a);
    }

    /// But not while a server may be asked by one name whose answer by the other
    /// still counts.
    #[test]
    fn servers_whose_names_were_swapped_are_claimed_anew() {
        let ((a, b), now) = (names(), Instant::now());
        let twins = Twins::default();
        twins.claim(&a, "x", now).unwrap();
        twins.claim(&b, "y", now).unwrap();
        let later = now + LONGEST_NODE_BUDGET;
        for too_early in [now, later - LONGEST_NODE_BUDGET / 2] {
            twins.claim(&a, "y", too_early).unwrap_err();
            twins.claim(&b, "x", too_early).unwrap_err();
        }
        twins.claim(&a, "y", later).unwrap();
        twins.claim(&b, "x", later).unwrap();
    }
}
