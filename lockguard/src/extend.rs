//! Extends every key of a lease, or says why not.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    backend::{BackendError, ExtendReply, ExtendRequest},
    clock::until_unless,
    core::Core,
    node_error::NodeError,
    validity::node_budget,
};

/// Why a lease was not extended.
pub(crate) enum NotExtended {
    /// The nth key is not ours any more.
    Taken(usize),
    /// Nobody knows whether the nth key was.
    Failed(usize, BackendError),
}

/// Extends every key.
pub(crate) async fn extend_all(
    core: &Core,
    requests: impl Iterator<Item = ExtendRequest>,
    ttl: Duration,
) -> Result<(), NotExtended> {
    let budget = node_budget(ttl);
    let keeps_time = core.backend.keeps_time();
    let deadline = || Instant::now() + budget;
    let requests: Vec<_> = requests.collect();
    let keys = requests.len();
    let replies = core.backend.extend(requests);
    match until_unless(keeps_time, deadline, replies).await {
        Some(replies) => all_extended(&replies, keys),
        None => Err(NotExtended::Failed(0, core.no_answer(budget))),
    }
}

/// What the replies for so many keys of one lease come to: one that is not ours
/// any more is a loss, whatever is known of the others.
pub(crate) fn all_extended(
    replies: &[Result<ExtendReply, BackendError>],
    keys: usize,
) -> Result<(), NotExtended> {
    let is_taken = |reply: &Result<ExtendReply, BackendError>| {
        matches!(reply, Ok(ExtendReply::NotHeld | ExtendReply::NotOwner))
    };
    if let Some(nth) = replies.iter().position(is_taken) {
        return Err(NotExtended::Taken(nth));
    }
    for (nth, reply) in replies.iter().enumerate() {
        if let Err(error) = reply {
            return Err(NotExtended::Failed(nth, error.clone()));
        }
    }
    if replies.len() < keys {
        let node = NodeError::new("lock store", "answered fewer requests than it was asked");
        let error = BackendError::unavailable(node);
        return Err(NotExtended::Failed(replies.len(), error));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent() -> BackendError {
        BackendError::unavailable(NodeError::new("a", "is silent"))
    }

    #[test]
    fn a_key_that_is_lost_counts_before_one_that_nobody_answered_for() {
        let replies = [
            Ok(ExtendReply::Extended),
            Err(silent()),
            Ok(ExtendReply::NotOwner),
        ];
        let extended = all_extended(&replies, 3);
        assert!(matches!(extended, Err(NotExtended::Taken(2))));
        let extended = all_extended(&replies[..2], 2);
        assert!(matches!(extended, Err(NotExtended::Failed(1, _))));
        assert!(all_extended(&replies[..1], 1).is_ok());
    }

    #[test]
    fn a_key_without_a_reply_is_not_extended() {
        let replies = [Ok(ExtendReply::Extended)];
        let extended = all_extended(&replies, 2);
        assert!(matches!(extended, Err(NotExtended::Failed(1, _))));
        let extended = all_extended(&[], 1);
        assert!(matches!(extended, Err(NotExtended::Failed(0, _))));
    }
}
