//! Commands, from question to answer.

mod encode;
mod question;

use std::{mem, sync::Arc, time::Duration};

use redis::Value;
use tokio::{sync::oneshot, time::Instant};

use self::question::Question;
use super::{
    failure,
    owed::Debt,
    probe::NodeFacts,
    reply::{Verdict, extend_reply, is_denied, is_noscript, script_reply},
};
use crate::{
    backend::{
        AcquireReply, AcquireRequest, BackendError, ExtendReply, ExtendRequest, Holder,
        ReleaseReply, ReleaseRequest, Standing, Ticket,
    },
    node_error::NodeError,
    token::OwnerToken,
    validity::FAR,
};

/// Where the answer to a command goes, once.
pub(super) struct Answer<R>(Option<oneshot::Sender<Result<R, BackendError>>>);

impl<R> Answer<R> {
    /// An answer, and where it comes.
    pub(super) fn channel() -> (Self, oneshot::Receiver<Result<R, BackendError>>) {
        let (answer, reply) = oneshot::channel();
        (Self(Some(answer)), reply)
    }

    /// Nobody waits for it.
    fn to_nobody() -> Self {
        Self(None)
    }

    fn send(&mut self, answer: Result<R, BackendError>) {
        if let Some(caller) = self.0.take() {
            let _ = caller.send(answer);
        }
    }

    fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|caller| !caller.is_closed())
    }
}

/// One command to a node, from its caller's call to its answer.
///
/// Every command may be sent again on another connection: an owner token is
/// used by one attempt only, so a repeated acquire finds its own token and is
/// granted, and the scripts compare the token.
pub(super) struct Command {
    pub(super) task: Task,
    /// When it was last written to a connection, if ever.
    pub(super) sent: Option<Instant>,
    /// How many behind it were written with it in one call, and are answered by the
    /// same reply; set whenever it is written.
    pub(super) followers: usize,
    /// How many connections broke with it before its answer came.
    repeats: u32,
    form: Form,
    /// Whether the server lets us see the line beside the lock.
    knows_line: bool,
    /// How long its caller waits, until it has been told that there is no
    /// answer.
    pub(super) limit: Option<Limit>,
}

/// How long a caller waits for an answer.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) asked: Instant,
    pub(super) budget: Duration,
}

impl Limit {
    /// When that time is over.
    pub(super) fn end(self) -> Instant {
        self.end_within(self.budget)
    }

    /// When that time is over, or a shorter one.
    pub(super) fn end_within(self, time: Duration) -> Instant {
        self.asked + self.budget.min(time).min(FAR)
    }

    /// What a caller is told whose time is over.
    pub(super) fn passed_at(self, node: impl Into<Arc<str>>) -> BackendError {
        BackendError::no_answer(node, self.budget)
    }
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
        /// The answers for the first of them, where the server has refused all at once.
        heard: Extended,
        /// How many of the others are asked for next.
        at_once: usize,
    },
    Release {
        request: ReleaseRequest,
        answer: Answer<ReleaseReply>,
    },
    /// Asks how the server is.
    Look { answer: Answer<NodeFacts> },
}

impl Task {
    /// Asks for a lock, by what is to be asked first.
    pub(super) fn acquire(request: AcquireRequest, answer: Answer<AcquireReply>) -> Self {
        let question = Question::first(&request);
        Self::Acquire {
            request,
            answer,
            question,
        }
    }

    /// Extends all of them at once.
    pub(super) fn extend(requests: Vec<ExtendRequest>, answer: Answer<Extended>) -> Self {
        Self::Extend {
            at_once: requests.len(),
            requests,
            answer,
            heard: Vec::new(),
        }
    }
}

/// One answer for each request.
pub(super) type Extended = Vec<Result<ExtendReply, BackendError>>;

/// How many keys one script extends: enough that the call itself costs next to
/// nothing, few enough that the server is never kept from others for long.
pub(super) const MOST_EXTENDED: usize = 64;

/// How a script is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    ByHash,
    InFull,
}

impl Command {
    pub(super) fn new(task: Task, limit: Option<Limit>) -> Self {
        Self {
            task,
            sent: None,
            followers: 0,
            repeats: 0,
            form: Form::ByHash,
            knows_line: true,
            limit,
        }
    }

    /// What is owed, and nobody waits for.
    pub(super) fn owed(debt: impl Into<Debt>) -> Self {
        let task = match debt.into() {
            Debt::Release(request) => Task::Release {
                request,
                answer: Answer::to_nobody(),
            },
            Debt::HandBack(requests) => Task::extend(requests, Answer::to_nobody()),
        };
        Self::new(task, None)
    }

    /// What takes its ticket out of a line that a server has entered it into, or
    /// may have, and gives on what was reserved for it since.
    ///
    /// What was granted stays: the token that stands in line may be that of a
    /// later attempt.
    fn departure(&self) -> Option<ReleaseRequest> {
        let Task::Acquire {
            request, question, ..
        } = &self.task
        else {
            return None;
        };
        // Where this was not sent, a release of an attempt before may have.
        let may_be_in_line = |ticket: &Ticket| self.sent.is_some() || ticket.is_closed();
        let waiter = request.waiter.as_ref();
        let waiter = waiter.filter(|waiter| may_be_in_line(&waiter.ticket))?;
        let key = question.line_of(request)?.clone();
        let release = ReleaseRequest::new(key, waiter.next.reserved());
        Some(release.leaving(waiter.ticket.clone()))
    }

    /// Whether its caller has gone, and the node may miss it: it need not be sent
    /// again.
    pub(super) fn is_abandoned(&self) -> bool {
        let is_awaited = match &self.task {
            Task::Acquire { answer, .. } => answer.is_awaited(),
            Task::Extend { answer, .. } => answer.is_awaited(),
            Task::Look { answer } => answer.is_awaited(),
            Task::Release { answer, .. } => answer.is_awaited(),
        };
        !is_awaited && !self.is_debt()
    }

    /// What is to be sent on another connection: what was asked, or, where its
    /// caller has gone, what that has left behind.
    pub(super) fn unless_abandoned(self) -> Option<Self> {
        if !self.is_abandoned() {
            return Some(self);
        }
        self.departure_if_closed()
    }

    /// What takes out a ticket that nobody stands by any more.
    fn departure_if_closed(&self) -> Option<Self> {
        let waiter = self.as_acquire()?.waiter.as_ref()?;
        if !waiter.ticket.is_closed() {
            return None;
        }
        self.departure().map(Self::owed)
    }

    /// Until when its caller waits, if one does.
    pub(super) fn due(&self) -> Option<Instant> {
        self.limit.map(Limit::end)
    }

    /// Tells the caller that there is no answer yet, and why if that is known;
    /// what was asked for goes on.
    pub(super) fn keep_waiting_no_longer(&mut self, node: &Arc<str>, why: Option<&NodeError>) {
        if let Some(limit) = self.limit.take() {
            self.tell(match why {
                Some(why) => BackendError::unavailable(why.clone()),
                None => limit.passed_at(Arc::clone(node)),
            });
        }
    }

    fn tell(&mut self, error: BackendError) {
        match &mut self.task {
            Task::Acquire { answer, .. } => answer.send(Err(error)),
            Task::Extend {
                requests,
                answer,
                heard,
                ..
            } => {
                let mut heard = heard.clone();
                heard.resize(requests.len(), Err(error));
                answer.send(Ok(heard));
            }
            Task::Look { answer } => answer.send(Err(error)),
            Task::Release { answer, .. } => answer.send(Err(error)),
        }
    }

    /// The acquire that this is about, if it is about one.
    pub(super) fn as_acquire(&self) -> Option<&AcquireRequest> {
        match &self.task {
            Task::Acquire { request, .. } => Some(request),
            _ => None,
        }
    }

    /// Whether the node must not miss it: a release, or a hand-back, that it has
    /// not executed leaves a key behind.
    pub(super) fn is_debt(&self) -> bool {
        match &self.task {
            Task::Release { .. } => true,
            Task::Extend { requests, .. } => requests.iter().any(|request| request.is_hand_back),
            Task::Acquire { .. } | Task::Look { .. } => false,
        }
    }

    /// The release that this is about, if that says nothing but its token, and the
    /// server has not refused it for its script or its line: it may go out with
    /// others, in one call.
    pub(super) fn as_plain_release(&self) -> Option<&ReleaseRequest> {
        let Task::Release { request, .. } = &self.task else {
            return None;
        };
        let is_plain = request.keep.is_none() && request.standing.is_none() && !request.is_open;
        let is_unrefused = self.form == Form::ByHash && self.knows_line;
        (is_plain && is_unrefused).then_some(request)
    }

    /// Whether a release by this token may go out before it.
    ///
    /// Only before a plain `SET` by another token, which may be granted then and not
    /// refused.
    /// Anything else could give the token the key, or take the key from it: released
    /// before that, the key would be left behind, or the answer be wrong.
    pub(super) fn may_be_overtaken_by(&self, token: &OwnerToken) -> bool {
        matches!(
            &self.task,
            Task::Acquire { request, question: Question::IsItMine, .. } if request.token != *token
        )
    }

    /// Whether it is refused where many are waiting.
    pub(super) fn is_refusable(&self) -> bool {
        !self.is_debt() && !matches!(self.task, Task::Look { .. })
    }

    /// Whether it has been tried on so many connections that it may be what
    /// breaks them.
    pub(super) fn is_worn_out(&self) -> bool {
        self.repeats >= MOST_REPEATS && !self.is_debt()
    }

    /// Makes it ready for another connection; gives back what is to be sent before
    /// it.
    ///
    /// It is asked from its first question on, but where the next only reads: a
    /// release that was asked for later may have been answered meanwhile, and must
    /// not find the key taken again behind it.
    ///
    /// Who asked for a place in the line of one of several keys asks for all of them
    /// again, and where they are granted nobody would take it out.
    pub(super) fn repeat(&mut self) -> Option<Self> {
        let departure = match &self.task {
            Task::Acquire {
                question: Question::LetMeWait(..),
                ..
            } => self.departure().map(Self::owed),
            _ => None,
        };
        self.repeats = self.repeats.saturating_add(1);
        self.form = Form::ByHash;
        if let Task::Acquire {
            request, question, ..
        } = &mut self.task
        {
            // What refuses it now may be its own token, stored before.
            request.is_curt = false;
            if *question != Question::WhoseIsIt {
                *question = Question::first(request);
            }
        }
        departure
    }

    /// Why a server that replied so is to be given up, if it is.
    ///
    /// Each key of an extend has a reply of its own, and counts as if it had been
    /// alone.
    pub(super) fn unfit(&self, reply: &Value) -> Option<String> {
        match (&self.task, reply) {
            (
                Task::Extend {
                    requests, heard, ..
                },
                Value::Array(replies),
            ) => {
                let mut each = requests.iter().skip(heard.len()).zip(replies);
                each.find_map(|(request, reply)| failure::unfit(reply, request.is_hand_back))
            }
            _ => failure::unfit(reply, self.is_debt()),
        }
    }

    /// Answers the caller by the server's reply, or gives back the command
    /// that must be sent next.
    ///
    /// What is sent next may be overtaken by commands that are on their way.
    /// The second question of an acquire only reads, or is asked by a waiter
    /// that is still there: what it sends when it leaves comes later.
    /// A release that comes later than an acquire of the same key lets that
    /// acquire be refused once, and compares its own token, so it can never
    /// free the lock of another.
    pub(super) fn accept(mut self, reply: Value, node: &Arc<str>) -> Option<Self> {
        if self.form == Form::ByHash && is_noscript(&reply) {
            self.form = Form::InFull;
            // What its caller has given back meanwhile must not come after.
            return (!self.is_abandoned()).then_some(self);
        }
        if is_denied(&reply) && self.forget_line() {
            return (!self.is_abandoned()).then_some(self);
        }
        match self.task {
            Task::Acquire {
                ref mut request,
                ref mut question,
                ..
            } => {
                let heard = question.read(reply, request);
                let next = match &heard {
                    None => question.next(request, None),
                    Some(Ok(AcquireReply::Busy(holder))) => question.next(request, Some(holder)),
                    Some(_) => None,
                };
                if let Some(next) = next {
                    *question = next;
                    self.form = Form::ByHash;
                    // Only the caller wants to know.
                    return (!self.is_abandoned()).then_some(self);
                }
                // Refused, and not asked by whom.
                let heard = heard.unwrap_or_else(|| Ok(AcquireReply::Busy(Holder::unknown())));
                return self.settle_acquire(heard.map_err(|failure| failure.at(node)));
            }
            Task::Extend {
                ref requests,
                ref mut answer,
                ref mut heard,
                ref mut at_once,
            } => {
                if is_denied(&reply) && *at_once > 1 {
                    // It may be for one of the keys, and is not said for which.
                    *at_once /= 2;
                } else {
                    heard.append(&mut extend_reply(&reply, *at_once, node));
                    *at_once = (2 * *at_once).min(requests.len() - heard.len());
                }
                if *at_once > 0 {
                    self.form = Form::ByHash;
                    return (!self.is_abandoned()).then_some(self);
                }
                answer.send(Ok(mem::take(heard)));
            }
            // An error is an answer too.
            Task::Look { ref mut answer } => answer.send(Ok(NodeFacts::of_reply(Some(reply)))),
            Task::Release { ref mut answer, .. } => {
                let heard = script_reply(&reply).map(|verdict| match verdict {
                    Verdict::Done => ReleaseReply::Freed,
                    // The first try may have freed it, or have passed it on,
                    // and its answer was lost.
                    Verdict::Nobody | Verdict::Other if self.repeats > 0 => ReleaseReply::Freed,
                    Verdict::Nobody => ReleaseReply::NotHeld,
                    Verdict::Other => ReleaseReply::NotOwner,
                });
                answer.send(heard.map_err(|failure| failure.at(node)));
            }
        }
        None
    }

    /// Answers the caller of an acquire; where its ticket has been entered and
    /// was closed meanwhile, gives back what takes it out.
    fn settle_acquire(mut self, reply: Result<AcquireReply, BackendError>) -> Option<Self> {
        let is_refused = matches!(reply, Ok(AcquireReply::Busy(_)));
        // First the answer: whoever closes the ticket looks for it afterwards.
        if let Task::Acquire { answer, .. } = &mut self.task {
            answer.send(reply);
        }
        is_refused.then(|| self.departure_if_closed()).flatten()
    }

    /// Asks without the line, which the server does not let us see; whether
    /// that was asked for.
    fn forget_line(&mut self) -> bool {
        match &mut self.task {
            Task::Acquire {
                request, question, ..
            } if question.line_of(request).is_some() => {
                // Its token cannot have been left in a line here.
                request.waiter = None;
                *question = Question::first(request);
                self.form = Form::ByHash;
                true
            }
            Task::Release { .. } => mem::take(&mut self.knows_line),
            _ => false,
        }
    }

    /// Answers the caller that the node gave no answer; what is owed then is given
    /// back, and so is what takes a waiter out of a line that the node may have
    /// entered it into.
    pub(super) fn fail(mut self, error: &NodeError) -> Option<Debt> {
        self.tell(BackendError::unavailable(error.clone()));
        let departure = self.departure();
        match self.task {
            Task::Release { request, .. } => Some(without_staying(request).into()),
            Task::Extend { mut requests, .. } => {
                requests.retain(|request| request.is_hand_back);
                (!requests.is_empty()).then_some(Debt::HandBack(requests))
            }
            Task::Acquire { .. } | Task::Look { .. } => departure.map(Debt::Release),
        }
    }

    /// Answers the caller by a reply for which the server is given up; gives back
    /// what is owed then.
    pub(super) fn fail_by(mut self, reply: &Value, error: &NodeError) -> Option<Debt> {
        if let Task::Extend { heard, at_once, .. } = &mut self.task
            && matches!(reply, Value::Array(_))
        {
            // A hand-back that was done is owed with one that was refused, and found
            // done.
            heard.append(&mut extend_reply(reply, *at_once, &error.node().into()));
        }
        self.fail(error)
    }
}

/// A release that is owed: what stands in line by the time that it is sent may be
/// the token of an attempt before, and whoever still waits enters by its next.
fn without_staying(mut release: ReleaseRequest) -> ReleaseRequest {
    if let Some(Standing::Stays(waiter)) = release.standing {
        release.standing = Some(Standing::Leaves(waiter.ticket));
    }
    release
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::Waiter, key::LockKey};

    fn token() -> OwnerToken {
        OwnerToken::with_label("me")
    }

    #[test]
    fn a_repeated_acquire_that_is_refused_asks_whether_its_own_token_is_there() {
        let (answer, mut reply) = Answer::channel();
        let (key, token) = (LockKey::new("seat:1").unwrap(), token());
        let request = AcquireRequest::new(key, token.clone(), Duration::from_secs(2));
        let request = request.curt();
        let mut command = Command::new(Task::acquire(request, answer), None);
        command.repeat();
        let node = Arc::from("a:6379");
        let next = command
            .accept(Value::Nil, &node)
            .expect("refused by its own token");
        let its_own = Value::BulkString(token.expose().as_bytes().to_vec());
        let held = Value::Array(vec![its_own, Value::Int(1000)]);
        assert!(next.accept(held, &node).is_none());
        assert!(matches!(reply.try_recv(), Ok(Ok(AcquireReply::Granted))));
    }

    /// Its first question would take the key behind a release that has been answered.
    #[test]
    fn an_acquire_that_was_refused_asks_on_another_connection_only_by_whom() {
        let (answer, _reply) = Answer::channel();
        let key = LockKey::new("seat:1").unwrap();
        let request = AcquireRequest::new(key, token(), Duration::from_secs(2));
        let command = Command::new(Task::acquire(request, answer), None);
        let next = command.accept(Value::Nil, &Arc::from("a:6379"));
        let mut next = next.expect("it is asked by whom");
        next.repeat();
        let Task::Acquire { question, .. } = next.task else {
            panic!("it is no acquire any more");
        };
        assert!(question == Question::WhoseIsIt);
    }

    /// It would be refused again, together with the others.
    #[test]
    fn a_release_that_was_refused_for_the_line_is_plain_no_more() {
        let request = ReleaseRequest::new(LockKey::new("seat:1").unwrap(), token());
        let command = Command::owed(request);
        assert!(command.as_plain_release().is_some());
        let denied = redis::parse_redis_value(b"-NOPERM no permissions\r\n").unwrap();
        let again = command.accept(denied, &Arc::from("a:6379"));
        assert!(again.is_some_and(|again| again.as_plain_release().is_none()));
    }

    /// Its caller would hold leases for lost that are kept, and ask for all again.
    #[test]
    fn an_extend_whose_time_is_over_says_what_was_extended_by_then() {
        let (answer, mut reply) = Answer::channel();
        let ttl = Duration::from_secs(2);
        let extend = |key| ExtendRequest::new(LockKey::new(key).unwrap(), token(), ttl);
        let task = Task::extend(["a", "b"].map(extend).to_vec(), answer);
        let limit = Limit {
            asked: Instant::now(),
            budget: ttl,
        };
        let command = Command::new(task, Some(limit));
        let node = Arc::from("a:6379");
        let denied = redis::parse_redis_value(b"-NOPERM no permissions\r\n").unwrap();
        let apart = command.accept(denied, &node).expect("they are asked apart");
        let second = apart.accept(Value::Array(vec![Value::Int(1)]), &node);
        let mut second = second.expect("the second is asked for");
        second.keep_waiting_no_longer(&node, None);
        let heard = reply.try_recv().unwrap().unwrap();
        assert!(matches!(heard[..], [Ok(ExtendReply::Extended), Err(_)]));
    }

    #[test]
    fn who_is_entered_too_late_is_taken_out_and_keeps_what_its_next_attempt_is_granted() {
        let (answer, _gone) = Answer::channel();
        let key = LockKey::new("seat:1").unwrap();
        let ttl = Duration::from_secs(2);
        let waiter = Waiter::new(Ticket::draw(), token(), ttl);
        let request = AcquireRequest::new(key, token(), ttl).waiting(waiter.clone());
        waiter.ticket.close();
        let refused = Value::Array(vec![
            Value::BulkString(b"lg1:them:00000000000000000000000000000000".to_vec()),
            Value::Int(1000),
            Value::Int(0),
        ]);
        let mut late = Command::new(Task::acquire(request, answer), None);
        late.sent = Some(Instant::now());
        let leave = late.accept(refused, &Arc::from("a:6379"));
        let Some(Task::Release { request, .. }) = leave.map(|leave| leave.task) else {
            panic!("the ticket stays in line");
        };
        assert!(
            matches!(&request.standing, Some(Standing::Leaves(left)) if *left == waiter.ticket)
        );
        assert_eq!(request.token, waiter.next.reserved());
    }
}
