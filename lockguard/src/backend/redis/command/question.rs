//! What is asked about an acquire, first and next, and what the answer means.

use redis::Value;

use super::super::reply::{
    Failure, claim_reply, entered_reply, fenced_reply, holder_reply, set_reply, several_reply,
};
use crate::{
    backend::{AcquireReply, AcquireRequest, FenceRequest, Holder, Waiter},
    fencing_token::FencingToken,
    key::LockKey,
};

/// What is asked about an acquire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::redis) enum Question {
    /// A single key, first.
    IsItMine,
    /// A single key, where the first question was refused.
    WhoseIsIt,
    /// Several keys, in one step.
    AreTheyMine,
    /// One key or several, with a fencing token.
    AreTheyMineAt(FenceRequest),
    /// A single key, or else a place in its line.
    IsItMyTurn,
    /// The same, with a fencing token.
    IsItMyTurnAt(FenceRequest),
    /// A single key, in the place of another owner of ours.
    IsItOurs,
    /// One of several keys, which is held: a place in its line; with the fence
    /// of all.
    LetMeWait(usize, Option<FencingToken>),
}

impl Question {
    /// The first to ask.
    pub(super) fn first(request: &AcquireRequest) -> Self {
        match (request.fence, request.keys.as_slice(), waiter_of(request)) {
            (Some(fence), _, Some(_)) => Self::IsItMyTurnAt(fence),
            (Some(fence), ..) => Self::AreTheyMineAt(fence),
            (None, _, Some(_)) => Self::IsItMyTurn,
            (None, [_], None) if request.replaces.is_some() => Self::IsItOurs,
            (None, [_], None) => Self::IsItMine,
            (None, ..) => Self::AreTheyMine,
        }
    }

    /// What the reply means; `None`: refused, and the holder is not named.
    pub(super) fn read(
        self,
        reply: Value,
        request: &AcquireRequest,
    ) -> Option<Result<AcquireReply, Failure>> {
        Some(match self {
            Self::IsItMine => return set_reply(reply),
            Self::IsItOurs if reply == Value::Int(1) => Ok(AcquireReply::Granted),
            Self::WhoseIsIt | Self::IsItOurs => holder_reply(reply, &request.token),
            Self::IsItMyTurn => claim_reply(reply),
            Self::LetMeWait(nth, fence) => entered_reply(reply, request, nth, fence),
            Self::AreTheyMine => several_reply(reply, &request.keys),
            Self::AreTheyMineAt(_) | Self::IsItMyTurnAt(_) => fenced_reply(reply, &request.keys),
        })
    }

    /// What to ask where this one was refused, by this holder if it is known.
    pub(super) fn next(self, request: &AcquireRequest, holder: Option<&Holder>) -> Option<Self> {
        match self {
            Self::IsItMine if !request.is_curt => Some(Self::WhoseIsIt),
            Self::AreTheyMine | Self::AreTheyMineAt(_) if request.waiter.is_some() => {
                let holder = holder?;
                let mut keys = request.keys.iter();
                let nth = keys.position(|key| Some(key) == holder.key())?;
                Some(Self::LetMeWait(nth, holder.fence()))
            }
            _ => None,
        }
    }

    /// Which of the keys has a line that the waiter may be in, after this.
    pub(super) fn line_of(self, request: &AcquireRequest) -> Option<&LockKey> {
        match self {
            Self::IsItMyTurn | Self::IsItMyTurnAt(_) => Some(request.keys.first()),
            Self::LetMeWait(nth, _) => request.keys.as_slice().get(nth),
            _ => None,
        }
    }
}

/// Who waits in the line of the one key that is asked for.
fn waiter_of(request: &AcquireRequest) -> Option<&Waiter> {
    request
        .waiter
        .as_ref()
        .filter(|_| !request.keys.are_several())
}
