//! Rules that look right and are not.

/// One rule of waiting, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A give-back passes to the lowest other ticket, also to a higher one.
    GivesBackToAny,
    /// The same, and the ticket that gives back is not put back.
    GivesBackToAnyAndLeavesTheLine,
    /// A pass that arrives during a round is not remembered.
    ForgetsAPassDuringARound,
    /// A ticket is entered with the token of the attempt that was refused, and
    /// that attempt is given back on every node that was asked.
    EntersTheRefusedToken,
    /// Whoever leaves frees the lock and tells nobody.
    LeavesWithoutAPass,
    /// Passes are votes.
    CountsPasses,
    /// Whoever holds gives on each pass, the one for its own lease included.
    GivesOnItsOwnLease,
    /// Whoever gets the lock stays in the lines of the other nodes, where passes
    /// are for tickets.
    StaysInOtherLines,
    /// Whoever has left gives no pass on.
    KeepsAPassThatComesTooLate,
    /// A grant is told, and not stored.
    TellsAGrantThatItDoesNotStore,
    /// One node is a quorum.
    NeedsOneNode,
}
