//! A backend that answers as it is told.

use std::{borrow::Cow, collections::VecDeque, fmt, future::pending, sync::Arc, time::Duration};

use lockguard::{
    BoxFuture, LockKey, NodeError, OwnerToken,
    backend::{
        AcquireReply, AcquireRequest, Backend, BackendError, ExtendReply, ExtendRequest, Memory,
        ReleaseReply, ReleaseRequest, Standing,
    },
};
use parking_lot::Mutex;
use tokio::time::sleep;

/// How one call is answered.
///
/// A step is made by [`pass`](Self::pass), [`reply`](Self::reply),
/// [`fail`](Self::fail) or [`never`](Self::never), and refined by the other
/// methods: `Step::never().applied()` is a call that takes effect and whose
/// reply is lost.
#[derive(Debug, Clone)]
#[must_use = "a step does nothing until a `Scripted` is told it"]
pub struct Step<R> {
    before: Duration,
    is_applied: bool,
    after: Duration,
    answer: Answer<R>,
}

#[derive(Debug, Clone)]
enum Answer<R> {
    /// What the memory behind the script says.
    Memory,
    Reply(R),
    Fail(BackendError),
    Never,
}

impl<R> Step<R> {
    /// Does what the memory backend does.
    pub fn pass() -> Self {
        Self {
            is_applied: true,
            ..Self::answering(Answer::Memory)
        }
    }

    /// Answers this, and changes nothing.
    pub fn reply(reply: R) -> Self {
        Self::answering(Answer::Reply(reply))
    }

    /// Answers that the node is unavailable, and changes nothing.
    pub fn fail() -> Self {
        let node = NodeError::new("scripted", "told to fail");
        Self::fail_with(BackendError::unavailable(node))
    }

    /// Answers this error, and changes nothing.
    pub fn fail_with(error: BackendError) -> Self {
        Self::answering(Answer::Fail(error))
    }

    /// Never answers, and changes nothing.
    pub fn never() -> Self {
        Self::answering(Answer::Never)
    }

    /// Changes the memory as the call asks, whatever is answered.
    pub fn applied(mut self) -> Self {
        self.is_applied = true;
        self
    }

    /// Does everything that much later.
    pub fn after(mut self, delay: Duration) -> Self {
        self.before = delay;
        self
    }

    /// Answers that much later than it takes effect.
    pub fn answering_after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    fn answering(answer: Answer<R>) -> Self {
        Self {
            before: Duration::ZERO,
            is_applied: false,
            after: Duration::ZERO,
            answer,
        }
    }
}

impl<R: Clone> Step<R> {
    /// The step that answers a batch of `count` requests alike.
    fn for_batch(self, count: usize) -> Step<Vec<Result<R, BackendError>>> {
        let answer = match self.answer {
            Answer::Memory => Answer::Memory,
            Answer::Reply(reply) => Answer::Reply(vec![Ok(reply); count]),
            Answer::Fail(error) => Answer::Fail(error),
            Answer::Never => Answer::Never,
        };
        Step {
            before: self.before,
            is_applied: self.is_applied,
            after: self.after,
            answer,
        }
    }
}

/// A backend that answers as it is told, and records what it is asked.
///
/// Each operation has a queue of steps, one for each call; when it is empty,
/// the operation's standing step answers, which is [`Step::pass`] unless told
/// otherwise.
/// Behind the script is a [`Memory`].
///
/// Clones share script, memory and record.
#[derive(Clone)]
pub struct Scripted(Arc<Shared>);

struct Shared {
    address: Cow<'static, str>,
    has_wakes: bool,
    memory: Mutex<Memory>,
    acquires: Mutex<Script<AcquireReply>>,
    extends: Mutex<Script<ExtendReply>>,
    releases: Mutex<Script<ReleaseReply>>,
    calls: Mutex<Vec<Call>>,
}

impl Scripted {
    /// Makes a backend that passes everything through.
    pub fn new() -> Self {
        Self::build("scripted", true)
    }

    /// Makes a backend that is called `address` in errors.
    pub fn named(address: impl Into<Cow<'static, str>>) -> Self {
        Self::build(address, true)
    }

    /// Makes a backend that cannot tell when a key is given back.
    pub fn without_wakes() -> Self {
        Self::build("scripted", false)
    }

    fn build(address: impl Into<Cow<'static, str>>, has_wakes: bool) -> Self {
        Self(Arc::new(Shared {
            address: address.into(),
            has_wakes,
            memory: Mutex::default(),
            acquires: Mutex::default(),
            extends: Mutex::default(),
            releases: Mutex::default(),
            calls: Mutex::default(),
        }))
    }

    /// Adds steps for the next acquires.
    pub fn on_acquire(&self, steps: impl IntoIterator<Item = Step<AcquireReply>>) -> &Self {
        self.0.acquires.lock().next.extend(steps);
        self
    }

    /// Adds steps for the next extends; a batch takes one step for all.
    pub fn on_extend(&self, steps: impl IntoIterator<Item = Step<ExtendReply>>) -> &Self {
        self.0.extends.lock().next.extend(steps);
        self
    }

    /// Adds steps for the next releases.
    pub fn on_release(&self, steps: impl IntoIterator<Item = Step<ReleaseReply>>) -> &Self {
        self.0.releases.lock().next.extend(steps);
        self
    }

    /// Answers every acquire like this, once no step is left.
    pub fn on_every_acquire(&self, step: Step<AcquireReply>) -> &Self {
        self.0.acquires.lock().standing = step;
        self
    }

    /// Answers every extend like this, once no step is left.
    pub fn on_every_extend(&self, step: Step<ExtendReply>) -> &Self {
        self.0.extends.lock().standing = step;
        self
    }

    /// Answers every release like this, once no step is left.
    pub fn on_every_release(&self, step: Step<ReleaseReply>) -> &Self {
        self.0.releases.lock().standing = step;
        self
    }

    /// What is behind the script, for looking at and for interfering.
    pub fn memory(&self) -> Memory {
        self.0.memory.lock().clone()
    }

    /// Loses every key, as a server does that restarts empty.
    ///
    /// Waiters are woken: nobody can tell them any more.
    pub fn lose_data(&self) {
        *self.0.memory.lock() = Memory::new();
    }

    /// What was asked so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().clone()
    }

    /// What was asked so far of one operation.
    pub fn calls_of(&self, operation: Operation) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.operation == operation);
        calls
    }

    fn record(
        &self,
        operation: Operation,
        key: &LockKey,
        token: &OwnerToken,
        standing: Option<Standing>,
    ) -> Recorded {
        let mut calls = self.0.calls.lock();
        calls.push(Call {
            operation,
            key: key.clone(),
            token: token.clone(),
            standing,
            fate: Fate::Unpolled,
        });
        Recorded {
            shared: Arc::clone(&self.0),
            nth: calls.len() - 1,
        }
    }
}

impl Default for Scripted {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Scripted {
    fn acquire(
        &self,
        request: AcquireRequest,
    ) -> BoxFuture<'static, Result<AcquireReply, BackendError>> {
        let (key, token) = (request.keys.first(), &request.token);
        let recorded = vec![self.record(Operation::Acquire, key, token, None)];
        let step = self.0.acquires.lock().next_step();
        let memory = self.memory();
        Box::pin(perform(step, recorded, async move {
            memory.acquire(request).await
        }))
    }

    fn extend(
        &self,
        requests: Vec<ExtendRequest>,
    ) -> BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>> {
        let recorded = requests
            .iter()
            .map(|request| self.record(Operation::Extend, &request.key, &request.token, None))
            .collect();
        let step = self.0.extends.lock().next_step();
        let memory = self.memory();
        let count = requests.len();
        Box::pin(async move {
            let step = step.for_batch(count);
            let applied = async move { Ok(memory.extend(requests).await) };
            match perform(step, recorded, applied).await {
                Ok(replies) => replies,
                Err(error) => vec![Err(error); count],
            }
        })
    }

    fn release(
        &self,
        request: ReleaseRequest,
    ) -> BoxFuture<'static, Result<ReleaseReply, BackendError>> {
        let (key, token, standing) = (&request.key, &request.token, request.standing.clone());
        let recorded = vec![self.record(Operation::Release, key, token, standing)];
        let step = self.0.releases.lock().next_step();
        let memory = self.memory();
        Box::pin(perform(step, recorded, async move {
            memory.release(request).await
        }))
    }

    fn freed(&self, key: &LockKey) -> Option<BoxFuture<'static, ()>> {
        self.0.has_wakes.then(|| self.memory().freed(key))?
    }

    fn address(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0.address)
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("address", &self.0.address)
            .field("calls", &self.0.calls.lock())
            .finish_non_exhaustive()
    }
}

/// One call, as it was seen.
#[derive(Debug, Clone)]
pub struct Call {
    /// What was asked for.
    pub operation: Operation,
    /// The key that was named; of several, the first.
    pub key: LockKey,
    /// The owner token that was named.
    pub token: OwnerToken,
    /// What a release says of the line, if anything.
    pub standing: Option<Standing>,
    /// What became of the call's future.
    pub fate: Fate,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    Acquire,
    Extend,
    Release,
}

/// What became of a call's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has polled it yet.
    Unpolled,
    /// It has been polled, and has not answered.
    Pending,
    /// It has answered.
    Answered,
    /// It was dropped before it answered.
    Dropped,
}

struct Script<R> {
    next: VecDeque<Step<R>>,
    standing: Step<R>,
}

impl<R: Clone> Script<R> {
    fn next_step(&mut self) -> Step<R> {
        self.next
            .pop_front()
            .unwrap_or_else(|| self.standing.clone())
    }
}

impl<R> Default for Script<R> {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            standing: Step::pass(),
        }
    }
}

/// Keeps a call's fate up to date, and knows when its future is dropped.
struct Recorded {
    shared: Arc<Shared>,
    nth: usize,
}

impl Recorded {
    fn set(&self, fate: Fate) {
        self.shared.calls.lock()[self.nth].fate = fate;
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let fate = &mut self.shared.calls.lock()[self.nth].fate;
        if *fate != Fate::Answered {
            *fate = Fate::Dropped;
        }
    }
}

async fn perform<R>(
    step: Step<R>,
    recorded: Vec<Recorded>,
    operation: impl Future<Output = Result<R, BackendError>>,
) -> Result<R, BackendError> {
    for call in &recorded {
        call.set(Fate::Pending);
    }
    pause(step.before).await;
    let applied = if step.is_applied {
        Some(operation.await)
    } else {
        None
    };
    pause(step.after).await;
    let answer = match (step.answer, applied) {
        (Answer::Memory, Some(applied)) => applied,
        (Answer::Reply(reply), _) => Ok(reply),
        (Answer::Fail(error), _) => Err(error),
        (Answer::Never | Answer::Memory, _) => pending().await,
    };
    for call in &recorded {
        call.set(Fate::Answered);
    }
    answer
}

/// A pause of no length does not yield: an undelayed step is ready at once.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}
