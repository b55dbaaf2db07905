//! What the replies of servers mean.

use std::{sync::Arc, time::Duration};

use redis::Value;

use super::{command::Extended, failure, helper_key::fence_key};
use crate::{
    backend::{AcquireReply, AcquireRequest, BackendError, ExtendReply, Holder},
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    node_error::NodeError,
    token::OwnerToken,
};

/// Why a reply is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server failed, or answered what no server answers.
    Server(String),
    /// A key, the only one or this, holds something of this type.
    NoLock(Option<LockKey>, String),
    /// No fencing token is left for this key.
    SpoiltFence(LockKey),
}

impl Failure {
    fn of(reply: &Value) -> Self {
        match reply {
            Value::ServerError(error) => Self::Server(failure::of_reply(error)),
            _ => Self::nonsense(),
        }
    }

    /// The reply itself is kept out: it may hold an owner token.
    fn nonsense() -> Self {
        Self::Server("answered what no Redis server answers".to_owned())
    }

    pub(super) fn at(self, node: &Arc<str>) -> BackendError {
        match self {
            Self::Server(reason) => {
                BackendError::unavailable(NodeError::new(Arc::clone(node), reason))
            }
            Self::NoLock(key, kind) => BackendError::InvalidKey {
                key,
                reason: format!("holds a {kind}, not a lock").into(),
            },
            Self::SpoiltFence(key) => {
                let name = fence_key(&key).concat();
                let reason = format!(
                    "has a spoilt fence: `{name}` on {node} holds no number below 2^53 - 992, so \
                     that no fencing token is left; set it to the greatest token that the \
                     protected resource has seen"
                );
                BackendError::invalid_key_of(key, reason)
            }
        }
    }
}

pub(super) fn is_noscript(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Whether the user lacks a right.
pub(super) fn is_denied(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOPERM")
}

/// The reply to `SET … NX`; `None` when the key is taken.
pub(super) fn set_reply(reply: Value) -> Option<Result<AcquireReply, Failure>> {
    match reply {
        Value::Okay => Some(Ok(AcquireReply::Granted)),
        Value::Nil => None,
        reply => Some(Err(Failure::of(&reply))),
    }
}

/// The reply to `holder.lua`.
pub(super) fn holder_reply(reply: Value, token: &OwnerToken) -> Result<AcquireReply, Failure> {
    match reply {
        Value::Nil => Ok(AcquireReply::Split),
        Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::BulkString(value), Value::Int(left)]) => Ok(held_by(&value, left, token)),
            _ => Err(Failure::nonsense()),
        },
        Value::BulkString(kind) => Err(Failure::NoLock(None, kind_name(&kind))),
        reply => Err(Failure::of(&reply)),
    }
}

/// The reply to `claim.lua`.
pub(super) fn claim_reply(reply: Value) -> Result<AcquireReply, Failure> {
    match reply {
        Value::Int(1) => Ok(AcquireReply::Granted),
        Value::BulkString(kind) => Err(Failure::NoLock(None, kind_name(&kind))),
        Value::Array(parts) => match <[Value; 3]>::try_from(parts) {
            Ok([Value::BulkString(value), Value::Int(left), Value::Int(at)]) => {
                let holder = Holder::new(owner(&value), expiry(left)).with_place(place(at));
                Ok(AcquireReply::Busy(holder))
            }
            _ => Err(Failure::nonsense()),
        },
        reply => Err(Failure::of(&reply)),
    }
}

/// The reply to `claim.lua` for one of several keys.
pub(super) fn entered_reply(
    reply: Value,
    request: &AcquireRequest,
    nth: usize,
    fence: Option<FencingToken>,
) -> Result<AcquireReply, Failure> {
    // Given back between two questions.
    if reply == Value::Int(0) {
        return Ok(AcquireReply::Split);
    }
    let key = request.keys.as_slice().get(nth);
    match (claim_reply(reply)?, key) {
        (AcquireReply::Busy(holder), Some(key)) => Ok(AcquireReply::Busy(
            holder.of_key(key.clone()).with_fence(fence),
        )),
        _ => Err(Failure::nonsense()),
    }
}

/// A place in line; below zero is none.
fn place(at: i64) -> Option<u32> {
    u32::try_from(at).ok()
}

/// The reply to `acquire.lua`.
pub(super) fn several_reply(reply: Value, keys: &LockKeys) -> Result<AcquireReply, Failure> {
    let parts = match reply {
        Value::Int(1) => return Ok(AcquireReply::Granted),
        Value::Array(parts) => parts,
        reply => return Err(Failure::of(&reply)),
    };
    let Some(Value::Int(nth)) = parts.first() else {
        return Err(Failure::nonsense());
    };
    let key = nth_key(*nth, keys)?;
    match &parts[..] {
        [_, Value::BulkString(value), Value::Int(left)] => {
            let holder = Holder::new(owner(value), expiry(*left)).of_key(key);
            Ok(AcquireReply::Busy(holder))
        }
        [_, Value::BulkString(kind)] => Err(Failure::NoLock(Some(key), kind_name(kind))),
        _ => Err(Failure::nonsense()),
    }
}

/// The reply to `acquire_fenced.lua`.
pub(super) fn fenced_reply(reply: Value, keys: &LockKeys) -> Result<AcquireReply, Failure> {
    match reply {
        Value::BulkString(token) => match fencing_token(&token) {
            Some(token) => Ok(AcquireReply::GrantedWith(token)),
            None => Err(Failure::nonsense()),
        },
        Value::Array(parts) => match &parts[..] {
            [Value::Int(nth)] => Err(Failure::SpoiltFence(nth_key(*nth, keys)?)),
            [of @ .., Value::BulkString(fence)] if of.len() == 3 => {
                Ok(AcquireReply::Busy(fenced_holder(of, fence, keys)?))
            }
            [of @ .., Value::BulkString(fence), Value::Int(at)] if of.len() == 3 => {
                let holder = fenced_holder(of, fence, keys)?;
                Ok(AcquireReply::Busy(holder.with_place(place(*at))))
            }
            _ => several_reply(Value::Array(parts), keys),
        },
        reply => Err(Failure::of(&reply)),
    }
}

fn fenced_holder(of: &[Value], fence: &[u8], keys: &LockKeys) -> Result<Holder, Failure> {
    match several_reply(Value::Array(of.to_vec()), keys)? {
        AcquireReply::Busy(holder) => Ok(holder.with_fence(fencing_token(fence))),
        _ => Err(Failure::nonsense()),
    }
}

/// A fencing token as servers write it; `0` is none.
fn fencing_token(text: &[u8]) -> Option<FencingToken> {
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    FencingToken::new(number)
}

/// The key that a script counts from one.
fn nth_key(nth: i64, keys: &LockKeys) -> Result<LockKey, Failure> {
    let nth = usize::try_from(nth).ok().and_then(|nth| nth.checked_sub(1));
    nth.and_then(|nth| keys.as_slice().get(nth))
        .cloned()
        .ok_or_else(Failure::nonsense)
}

/// A type as users know it.
fn kind_name(kind: &[u8]) -> String {
    match kind {
        b"zset" => "sorted set".to_owned(),
        other => String::from_utf8_lossy(other).into_owned(),
    }
}

/// What is left of a ttl; less than nothing is left of a key without expiry.
fn expiry(left: i64) -> Option<Duration> {
    u64::try_from(left).ok().map(Duration::from_millis)
}

/// The owner whose value this is, or for whom the lock is reserved by it.
fn owner(value: &[u8]) -> &[u8] {
    value.strip_suffix(b" reserved").unwrap_or(value)
}

fn held_by(value: &[u8], left: i64, token: &OwnerToken) -> AcquireReply {
    if value == token.expose().as_bytes() {
        return AcquireReply::Granted;
    }
    AcquireReply::Busy(Holder::new(owner(value), expiry(left)))
}

/// The reply to `extend.lua`.
pub(super) fn extend_reply(reply: &Value, keys: usize, node: &Arc<str>) -> Extended {
    let one = |reply| {
        let verdict = script_reply(reply).map_err(|failure| failure.at(node))?;
        Ok(match verdict {
            Verdict::Done => ExtendReply::Extended,
            Verdict::Nobody => ExtendReply::NotHeld,
            Verdict::Other => ExtendReply::NotOwner,
        })
    };
    match reply {
        Value::Array(replies) if replies.len() == keys => replies.iter().map(one).collect(),
        reply => vec![Err(Failure::of(reply).at(node)); keys],
    }
}

/// The reply to each of several releases that were one call: a list has one for
/// each, and anything else, 1 or an error, is the reply to all.
pub(super) fn release_replies(reply: Value, releases: usize) -> Vec<Value> {
    match reply {
        Value::Array(replies) if replies.len() == releases => replies,
        reply => vec![reply; releases],
    }
}

/// What `extend.lua`, for each key, and `release.lua` reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    Nobody,
    Other,
}

pub(super) fn script_reply(reply: &Value) -> Result<Verdict, Failure> {
    match reply {
        Value::Int(1) => Ok(Verdict::Done),
        Value::Int(0) => Ok(Verdict::Nobody),
        Value::Int(-1) => Ok(Verdict::Other),
        reply => Err(Failure::of(reply)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> OwnerToken {
        OwnerToken::with_label("me")
    }

    fn held(value: &str, left: i64) -> Value {
        Value::Array(vec![
            Value::BulkString(value.as_bytes().to_vec()),
            Value::Int(left),
        ])
    }

    #[test]
    fn a_taken_key_is_asked_about() {
        assert_eq!(set_reply(Value::Nil), None);
        assert_eq!(set_reply(Value::Okay), Some(Ok(AcquireReply::Granted)));
    }

    #[test]
    fn ones_own_token_under_the_key_is_a_grant() {
        let token = token();
        let reply = holder_reply(held(token.expose(), 5), &token);
        assert_eq!(reply, Ok(AcquireReply::Granted));
    }

    #[test]
    fn another_value_is_busy_with_what_is_left_of_its_ttl() {
        let Ok(AcquireReply::Busy(holder)) = holder_reply(held("them", 1500), &token()) else {
            panic!("not busy");
        };
        assert_eq!(holder.expires_in(), Some(Duration::from_millis(1500)));
    }

    /// And not a value of another library, whose release would wake nobody.
    #[test]
    fn a_reserved_key_is_held_by_whom_it_is_reserved_for() {
        let reserved = token().expose().to_owned() + " reserved";
        let value = || Value::BulkString(reserved.as_bytes().to_vec());
        let keys = LockKey::new("k").unwrap().into();
        let several = Value::Array(vec![Value::Int(1), value(), Value::Int(5)]);
        let waiting = Value::Array(vec![value(), Value::Int(5), Value::Int(0)]);
        for reply in [
            holder_reply(held(&reserved, 5), &token()),
            claim_reply(waiting),
            several_reply(several, &keys),
        ] {
            let Ok(AcquireReply::Busy(holder)) = reply else {
                panic!("not busy");
            };
            assert_eq!(holder.label(), Some("me"));
        }
    }

    #[test]
    fn a_key_without_expiry_is_busy_without_end() {
        let Ok(AcquireReply::Busy(holder)) = holder_reply(held("them", -1), &token()) else {
            panic!("not busy");
        };
        assert_eq!(holder.expires_in(), None);
    }

    #[test]
    fn a_holder_that_left_between_two_questions_is_split() {
        assert_eq!(holder_reply(Value::Nil, &token()), Ok(AcquireReply::Split));
    }

    #[test]
    fn another_type_is_no_lock() {
        let reply = holder_reply(Value::BulkString(b"zset".to_vec()), &token());
        let failure = Failure::NoLock(None, "sorted set".to_owned());
        assert_eq!(reply, Err(failure));
    }

    #[test]
    fn an_extension_that_answers_for_fewer_keys_answers_for_none() {
        let reply = Value::Array(vec![Value::Int(1)]);
        let extended = extend_reply(&reply, 2, &Arc::from("a:6379"));
        assert_eq!(extended.len(), 2);
        assert!(extended.iter().all(Result::is_err));
    }

    /// Else what is behind them would be answered by their replies, or they by
    /// none.
    #[test]
    fn each_of_several_releases_has_one_reply_whatever_comes() {
        let list = |replies: usize| Value::Array(vec![Value::Int(0); replies]);
        assert_eq!(release_replies(list(3), 3), vec![Value::Int(0); 3]);
        let error = redis::parse_redis_value(b"-BUSY a script\r\n").unwrap();
        for reply in [Value::Int(1), error, list(2), list(4)] {
            assert_eq!(release_replies(reply.clone(), 3), vec![reply; 3]);
        }
    }

    #[test]
    fn nonsense_is_a_failure_and_shows_nothing_of_itself() {
        for nonsense in [Value::Okay, held("secret", 1), Value::Int(7)] {
            let Err(Failure::Server(reason)) = script_reply(&nonsense) else {
                panic!("{nonsense:?} was accepted");
            };
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
