//! Rules that look right and are not.

use super::node::{Ask, Bounds, Node, Owner, Reply};

/// One rule of fencing, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A node counts its owners, and the token is the greatest count of a
    /// quorum.
    CountsOwners,
    /// A node that another owner holds says yes to a token that it stores.
    AcknowledgesForAnother,
    /// A node says yes to its owner's proposal although its fence is beyond.
    AcknowledgesBelowItsFence,
    /// A new owner may get the token that the node has accepted before.
    KeepsTheFenceOnAGrant,
    /// A release removes the fence with the lock.
    ClearsTheFenceOnRelease,
    /// An attempt is done when a quorum has granted, with the greatest token.
    AgreesOnGrants,
    /// All attempts of a client have one owner token.
    ReusesAnOwnerToken,
    /// A raise is cut as a proposal is.
    CapsTheRaise,
    /// One node is a quorum.
    NeedsOneNode,
    /// A lock may end before its owner's lease.
    EndsEarly,
    /// A release does not compare the owner token.
    ReleasesAnothers,
}

/// What a node with this fault answers, if it has one.
pub(super) fn acquire(node: &mut Node, ask: Ask, bounds: Bounds, fault: Option<Fault>) -> Reply {
    let mine = node.lock == Some(ask.owner);
    let free = node.lock.is_none() || node.lock == ask.from;
    match fault {
        Some(Fault::CountsOwners) => node.acquire(Ask { proposal: 0, ..ask }, bounds),
        Some(Fault::AcknowledgesForAnother) if !mine && !free && node.fence == ask.proposal => {
            Reply::Granted(ask.proposal)
        }
        Some(Fault::AcknowledgesBelowItsFence) if mine && ask.proposal < node.fence => {
            Reply::Granted(ask.proposal)
        }
        Some(Fault::KeepsTheFenceOnAGrant) if free && ask.proposal <= node.fence => {
            node.lock = Some(ask.owner);
            Reply::Granted(node.fence)
        }
        Some(Fault::CapsTheRaise) if mine => {
            let proposal = ask.proposal.min(bounds.cap);
            node.acquire(Ask { proposal, ..ask }, bounds)
        }
        _ => node.acquire(ask, bounds),
    }
}

/// A release by a node with this fault, if it has one.
pub(super) fn release(node: &mut Node, owner: Owner, fault: Option<Fault>) {
    match fault {
        Some(Fault::ReleasesAnothers) => node.lock = None,
        Some(Fault::ClearsTheFenceOnRelease) if node.lock == Some(owner) => {
            *node = Node::default();
        }
        _ => node.release(owner),
    }
}
