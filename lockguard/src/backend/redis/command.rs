//! Commands as they go over the wire, and what their replies mean.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::{failure, fence_key::fence_key, probe::NodeFacts};
use crate::{
    backend::{
        AcquireReply, AcquireRequest, BackendError, ExtendReply, ExtendRequest, FenceRequest,
        Holder, ReleaseReply, ReleaseRequest,
    },
    error::NodeError,
    fencing_token::FencingToken,
    key::LockKey,
    keys::LockKeys,
    token::OwnerToken,
};

/// Where the answer to a command goes.
pub(super) type Answer<R> = oneshot::Sender<Result<R, BackendError>>;

/// One command to a node, from its caller's call to its answer.
///
/// Every command may be sent again on another connection: an owner token is
/// used by one attempt only, so a repeated acquire finds its own token and is
/// granted without a longer ttl, and the scripts compare the token.
pub(super) struct Command {
    pub(super) task: Task,
    /// Whether it has ever been written to a connection.
    pub(super) is_sent: bool,
    /// How many connections broke with it before its answer came.
    repeats: u32,
    form: Form,
    /// Counts it as unanswered while it lives.
    _counted: Option<Counted>,
}

/// On how many connections after its first an acquire or an extend is tried.
///
/// More than a flaky network asks for within a node budget, and few enough for
/// a server that dies of a command.
const MOST_REPEATS: u32 = 5;

/// What a command is about.
pub(super) enum Task {
    Acquire {
        request: AcquireRequest,
        answer: Answer<AcquireReply>,
        question: Question,
    },
    /// At most [`MOST_EXTENDED`], by one script.
    Extend {
        requests: Vec<ExtendRequest>,
        answer: Answer<Extended>,
    },
    Release {
        request: ReleaseRequest,
        /// `None` when nobody waits for it any more.
        answer: Option<Answer<ReleaseReply>>,
    },
    /// Asks how the server is.
    Look { answer: Answer<NodeFacts> },
}

/// One answer for each request.
pub(super) type Extended = Vec<Result<ExtendReply, BackendError>>;

/// How many keys one script extends: enough that the call itself costs next to
/// nothing, few enough that the server is never kept from others for long.
pub(super) const MOST_EXTENDED: usize = 64;

/// What is asked about an acquire.
#[derive(Clone, Copy)]
pub(super) enum Question {
    /// A single key, first.
    IsItMine,
    /// A single key, where the first question was refused.
    WhoseIsIt,
    /// Several keys, in one step.
    AreTheyMine,
    /// One key or several, with a fencing token.
    AreTheyMineAt(FenceRequest),
}

impl Question {
    /// The first to ask.
    pub(super) fn first(request: &AcquireRequest) -> Self {
        match (request.fence, request.keys.as_slice()) {
            (Some(fence), _) => Self::AreTheyMineAt(fence),
            (None, [_]) => Self::IsItMine,
            (None, _) => Self::AreTheyMine,
        }
    }
}

/// How a script is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    ByHash,
    InFull,
}

impl Command {
    pub(super) fn new(task: Task, counted: Option<Counted>) -> Self {
        Self {
            task,
            is_sent: false,
            repeats: 0,
            form: Form::ByHash,
            _counted: counted,
        }
    }

    /// A release that is owed, and that nobody waits for.
    pub(super) fn owed(request: ReleaseRequest) -> Self {
        let task = Task::Release {
            request,
            answer: None,
        };
        Self::new(task, None)
    }

    /// Whether its caller has gone, and it is no release: it need not be sent
    /// again.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.task {
            Task::Acquire { answer, .. } => answer.is_closed(),
            Task::Extend { answer, .. } => answer.is_closed(),
            Task::Look { answer } => answer.is_closed(),
            Task::Release { .. } => false,
        }
    }

    /// The acquire that this is about, if it is about one.
    pub(super) fn as_acquire(&self) -> Option<&AcquireRequest> {
        match &self.task {
            Task::Acquire { request, .. } => Some(request),
            _ => None,
        }
    }

    pub(super) fn is_release(&self) -> bool {
        matches!(self.task, Task::Release { .. })
    }

    /// Whether it has been tried on so many connections that it may be what
    /// breaks them.
    pub(super) fn is_worn_out(&self) -> bool {
        self.repeats >= MOST_REPEATS && !self.is_release()
    }

    /// Makes it ready for another connection.
    pub(super) fn repeat(&mut self) {
        self.repeats = self.repeats.saturating_add(1);
        self.form = Form::ByHash;
        if let Task::Acquire {
            request, question, ..
        } = &mut self.task
        {
            *question = Question::first(request);
        }
    }

    /// The command as the server reads it.
    pub(super) fn to_wire(&self) -> Cmd {
        match &self.task {
            Task::Acquire {
                request,
                question: Question::AreTheyMine,
                ..
            } => {
                let keys: Vec<_> = request.keys.iter().map(LockKey::as_str).collect();
                let mut acquire = self.script(&ACQUIRE, &keys);
                acquire.arg(request.token.expose()).arg(millis(request.ttl));
                acquire
            }
            Task::Acquire {
                request,
                question: Question::AreTheyMineAt(fence),
                ..
            } => {
                let fences: Vec<_> = request.keys.iter().map(fence_key).collect();
                let locks = request.keys.iter().map(LockKey::as_str);
                let keys: Vec<_> = locks.chain(fences.iter().map(String::as_str)).collect();
                let mut acquire = self.script(&ACQUIRE_FENCED, &keys);
                acquire
                    .arg(request.token.expose())
                    // Nobody hands a lock on inside this process yet.
                    .arg("")
                    .arg(millis(request.ttl))
                    .arg(fence.proposal.get())
                    .arg(millis(fence.keep));
                acquire
            }
            Task::Acquire {
                request,
                question: Question::IsItMine,
                ..
            } => {
                let mut set = Cmd::with_capacity(6, 192);
                set.arg("SET")
                    .arg(request.keys.first().as_str())
                    .arg(request.token.expose())
                    .arg("NX")
                    .arg("PX")
                    .arg(millis(request.ttl));
                set
            }
            Task::Acquire { request, .. } => self.script(&HOLDER, &[request.keys.first().as_str()]),
            Task::Extend { requests, .. } => {
                let keys: Vec<_> = requests.iter().map(|it| it.key.as_str()).collect();
                let mut extend = self.script(&EXTEND, &keys);
                for request in requests {
                    let successor = request.successor.as_ref();
                    extend
                        .arg(request.token.expose())
                        .arg(millis(request.ttl))
                        .arg(successor.map_or("", OwnerToken::expose));
                }
                extend
            }
            Task::Release { request, .. } => {
                let mut release = self.script(&RELEASE, &[request.key.as_str()]);
                release.arg(request.token.expose());
                if let Some(rest) = request.keep {
                    release.arg(millis(rest));
                }
                release
            }
            Task::Look { .. } => redis::cmd("INFO"),
        }
    }

    fn script(&self, script: &Script, keys: &[&str]) -> Cmd {
        let room = keys.len().saturating_mul(96).saturating_add(160);
        let mut cmd = Cmd::with_capacity(keys.len().saturating_mul(3).saturating_add(6), room);
        match self.form {
            Form::ByHash => cmd.arg("EVALSHA").arg(&script.hash),
            Form::InFull => cmd.arg("EVAL").arg(script.code),
        };
        cmd.arg(keys.len());
        for key in keys {
            cmd.arg(key);
        }
        cmd
    }

    /// Answers the caller by the server's reply, or gives back the command
    /// that must be sent next.
    ///
    /// What is sent next may be overtaken by commands that are on their way.
    /// The second question of an acquire only reads.
    /// A release that comes later than an acquire of the same key lets that
    /// acquire be refused once, and compares its own token, so it can never
    /// free the lock of another.
    pub(super) fn accept(mut self, reply: Value, node: &Arc<str>) -> Option<Self> {
        if self.form == Form::ByHash && is_noscript(&reply) {
            self.form = Form::InFull;
            return Some(self);
        }
        match self.task {
            Task::Acquire {
                ref request,
                ref mut question,
                ..
            } => {
                let heard = match question {
                    Question::IsItMine => set_reply(reply),
                    Question::WhoseIsIt => Some(holder_reply(reply, &request.token)),
                    Question::AreTheyMine => Some(several_reply(reply, &request.keys)),
                    Question::AreTheyMineAt(_) => Some(fenced_reply(reply, &request.keys)),
                };
                let Some(heard) = heard else {
                    *question = Question::WhoseIsIt;
                    // Only the caller wants to know.
                    return (!self.is_abandoned()).then_some(self);
                };
                self.settle_acquire(heard.map_err(|failure| failure.at(node)));
            }
            Task::Extend { requests, answer } => {
                let _ = answer.send(Ok(extend_reply(&reply, requests.len(), node)));
            }
            Task::Look { answer } => {
                // An error is an answer too.
                let _ = answer.send(Ok(NodeFacts::of_reply(Some(reply))));
            }
            Task::Release { answer, .. } => {
                let heard = script_reply(&reply).map(|verdict| match verdict {
                    Verdict::Done => ReleaseReply::Freed,
                    // The first try may have freed it, and its answer was lost.
                    Verdict::Nobody if self.repeats > 0 => ReleaseReply::Freed,
                    Verdict::Nobody => ReleaseReply::NotHeld,
                    Verdict::Other => ReleaseReply::NotOwner,
                });
                if let Some(answer) = answer {
                    let _ = answer.send(heard.map_err(|failure| failure.at(node)));
                }
            }
        }
        None
    }

    fn settle_acquire(self, answer_is: Result<AcquireReply, BackendError>) {
        if let Task::Acquire { answer, .. } = self.task {
            let _ = answer.send(answer_is);
        }
    }

    /// Answers the caller that the node gave no answer; a release is given
    /// back, since it is owed then.
    pub(super) fn fail(self, error: &NodeError) -> Option<ReleaseRequest> {
        let error = BackendError::unavailable(error.clone());
        match self.task {
            Task::Acquire { answer, .. } => {
                let _ = answer.send(Err(error));
                None
            }
            Task::Extend { answer, .. } => {
                let _ = answer.send(Err(error));
                None
            }
            Task::Look { answer } => {
                let _ = answer.send(Err(error));
                None
            }
            Task::Release { request, answer } => {
                if let Some(answer) = answer {
                    let _ = answer.send(Err(error));
                }
                Some(request)
            }
        }
    }
}

/// Adds one to a number while it lives.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// `None` when there are `most` already.
    pub(super) fn below(most: usize, count: &Arc<AtomicUsize>) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let counted = Self(Arc::clone(count));
        // Dropping it takes the one back.
        (before < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A script, and the name that servers know it by.
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self { code, hash }
    }
}

static ACQUIRE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/acquire.lua")));
static ACQUIRE_FENCED: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/acquire_fenced.lua")));
static HOLDER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/holder.lua")));
static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/extend.lua")));
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));

/// The code of every script, to be loaded when a server is connected to.
pub(super) fn scripts() -> [&'static str; 5] {
    [
        ACQUIRE.code,
        ACQUIRE_FENCED.code,
        HOLDER.code,
        EXTEND.code,
        RELEASE.code,
    ]
}

/// A ttl as servers take it: whole milliseconds, rounded up.
fn millis(ttl: Duration) -> u64 {
    let millis = ttl.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// Why a reply is no answer.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
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

    fn at(self, node: &Arc<str>) -> BackendError {
        match self {
            Self::Server(reason) => {
                BackendError::unavailable(NodeError::new(Arc::clone(node), reason))
            }
            Self::NoLock(key, kind) => BackendError::InvalidKey {
                key,
                reason: format!("holds a {kind}, not a lock").into(),
            },
            Self::SpoiltFence(key) => {
                let name = fence_key(&key);
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

fn is_noscript(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// The reply to `SET … NX`; `None` when the key is taken.
fn set_reply(reply: Value) -> Option<Result<AcquireReply, Failure>> {
    match reply {
        Value::Okay => Some(Ok(AcquireReply::Granted)),
        Value::Nil => None,
        reply => Some(Err(Failure::of(&reply))),
    }
}

/// The reply to `holder.lua`.
fn holder_reply(reply: Value, token: &OwnerToken) -> Result<AcquireReply, Failure> {
    match reply {
        Value::Nil => Ok(AcquireReply::Split),
        Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::BulkString(value), Value::Int(left)]) => Ok(held_by(value, left, token)),
            _ => Err(Failure::nonsense()),
        },
        Value::BulkString(kind) => Err(Failure::NoLock(None, kind_name(&kind))),
        reply => Err(Failure::of(&reply)),
    }
}

/// The reply to `acquire.lua`.
fn several_reply(reply: Value, keys: &LockKeys) -> Result<AcquireReply, Failure> {
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
            let holder = Holder::new(&value[..], expiry(*left)).of_key(key);
            Ok(AcquireReply::Busy(holder))
        }
        [_, Value::BulkString(kind)] => Err(Failure::NoLock(Some(key), kind_name(kind))),
        _ => Err(Failure::nonsense()),
    }
}

/// The reply to `acquire_fenced.lua`.
fn fenced_reply(reply: Value, keys: &LockKeys) -> Result<AcquireReply, Failure> {
    match reply {
        Value::BulkString(token) => match fencing_token(&token) {
            Some(token) => Ok(AcquireReply::GrantedWith(token)),
            None => Err(Failure::nonsense()),
        },
        Value::Array(parts) => match &parts[..] {
            [Value::Int(nth)] => Err(Failure::SpoiltFence(nth_key(*nth, keys)?)),
            [of @ .., Value::BulkString(fence)] if of.len() == 3 => {
                match several_reply(Value::Array(of.to_vec()), keys)? {
                    AcquireReply::Busy(holder) => {
                        Ok(AcquireReply::Busy(holder.with_fence(fencing_token(fence))))
                    }
                    _ => Err(Failure::nonsense()),
                }
            }
            _ => several_reply(Value::Array(parts), keys),
        },
        reply => Err(Failure::of(&reply)),
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

fn held_by(value: Vec<u8>, left: i64, token: &OwnerToken) -> AcquireReply {
    if value == token.expose().as_bytes() {
        return AcquireReply::Granted;
    }
    AcquireReply::Busy(Holder::new(value, expiry(left)))
}

/// The reply to `extend.lua`.
fn extend_reply(reply: &Value, keys: usize, node: &Arc<str>) -> Extended {
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

/// What `extend.lua`, for each key, and `release.lua` reply.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Nobody,
    Other,
}

fn script_reply(reply: &Value) -> Result<Verdict, Failure> {
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
    fn a_ttl_is_rounded_up_to_whole_milliseconds() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(10)), 10);
        assert_eq!(millis(Duration::from_micros(10_001)), 11);
    }

    #[test]
    fn an_acquire_is_a_plain_set() {
        let (answer, _keep) = oneshot::channel();
        let token = token();
        let key = LockKey::new("seat:1").unwrap();
        let request = AcquireRequest::new(key, token.clone(), Duration::from_secs(2));
        let task = Task::Acquire {
            request,
            answer,
            question: Question::IsItMine,
        };
        let wire = Command::new(task, None).to_wire();
        let mut expected = redis::cmd("SET");
        expected.arg(&["seat:1", token.expose(), "NX", "PX", "2000"]);
        assert_eq!(wire.get_packed_command(), expected.get_packed_command());
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
    fn nonsense_is_a_failure_and_shows_nothing_of_itself() {
        for nonsense in [Value::Okay, held("secret", 1), Value::Int(7)] {
            let Err(Failure::Server(reason)) = script_reply(&nonsense) else {
                panic!("{nonsense:?} was accepted");
            };
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn a_command_beyond_the_most_is_not_counted() {
        let count = Arc::default();
        let first = Counted::below(1, &count);
        assert!(first.is_some());
        assert!(Counted::below(1, &count).is_none());
        drop(first);
        assert!(Counted::below(1, &count).is_some());
    }
}
