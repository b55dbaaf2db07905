//! What one node does: `acquire_fenced.lua` and `release.lua`, for one key.

/// An owner token; two are the same or not, and that is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub u8);

/// The lock and the fence of one key, on one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Who holds the lock.
    pub lock: Option<Owner>,
    /// The greatest token that this node has accepted.
    pub fence: u64,
}

/// A fenced acquire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The attempt's owner token.
    pub owner: Owner,
    /// An owner token of the same process that may be replaced.
    pub from: Option<Owner>,
    /// The proposed fencing token.
    pub proposal: u64,
}

/// How far fences go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The greatest proposal that a new owner is given: the node's clock and
    /// an hour.
    pub cap: u64,
    /// A fence beyond this is spoilt.
    pub limit: u64,
}

/// What a node answers to a fenced acquire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The owner holds the lock, with this token.
    Granted(u64),
    /// Another owner holds the lock.
    Busy {
        /// Who.
        holder: Owner,
        /// The node's fence.
        fence: u64,
    },
    /// There is no room for another token.
    Spoilt,
}

impl Node {
    /// Grants, raises, or refuses and writes nothing.
    pub fn acquire(&mut self, ask: Ask, bounds: Bounds) -> Reply {
        let fence = match self.lock {
            Some(holder) if holder == ask.owner => self.fence.max(ask.proposal),
            Some(holder) if Some(holder) != ask.from => {
                let fence = self.fence;
                return Reply::Busy { holder, fence };
            }
            _ => (self.fence + 1).max(ask.proposal.min(bounds.cap)),
        };
        if fence > bounds.limit {
            return Reply::Spoilt;
        }
        self.lock = Some(ask.owner);
        self.fence = fence;
        Reply::Granted(fence)
    }

    /// Gives the lock back, if this owner holds it.
    pub fn release(&mut self, owner: Owner) {
        if self.lock == Some(owner) {
            self.lock = None;
        }
    }
}
