//! Who waits for a message of a node, and the channel that it comes by.

use std::{
    collections::BTreeMap,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use redis::{PushKind, Value};
use tokio::sync::oneshot;

use crate::{
    backend::{BoxFuture, Pass},
    clock::sleep,
    opening::OPEN,
    random,
    token::OwnerToken,
};

/// The waiters of this process that a node can tell something, and the channel
/// by which it does.
///
/// A message is the last half of the digits of the token that a lock is reserved
/// for; with a `+` behind it the lock is open to others, and the waiter asks in
/// a moment.
/// Both are hints: whoever forges one makes a waiter ask, and nothing else.
/// All of the digits say that the token has the lock: before that is told, only
/// those know them who may read the line.
pub(super) struct Pushes {
    channel: Arc<str>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// `None` before the first connection.
    is_had: Option<bool>,
    /// By the last half of the token's digits, and the number of the question;
    /// with all digits.
    waiters: BTreeMap<(u64, u64), (u128, oneshot::Sender<Message>)>,
    questions: u64,
}

/// What a waiter is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Granted,
    Reserved,
    /// To ask after others.
    Open,
}

impl Pushes {
    /// With a channel that nobody else has.
    pub(super) fn new() -> Self {
        Self {
            channel: format!("lockguard:{:032x}", random::secret()).into(),
            told: Mutex::default(),
        }
    }

    /// What this process listens to on every connection to the node.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// Resolves at the next message for this token, or when a connection has
    /// been made and the node can be asked; `None` where its connection carries no
    /// messages.
    pub(super) fn passed(self: &Arc<Self>, next: &OwnerToken) -> Option<BoxFuture<'static, Pass>> {
        let mut told = self.told.lock();
        if told.is_had == Some(false) {
            return None;
        }
        let (tell, message) = oneshot::channel();
        told.questions = told.questions.wrapping_add(1);
        let random = next.random();
        let of = (last_half(random), told.questions);
        told.waiters.insert(of, (random, tell));
        Some(Box::pin(Passed {
            pushes: Arc::clone(self),
            of,
            message,
            pause: None,
        }))
    }

    /// Whether anybody waits for a message.
    #[cfg(test)]
    fn are_awaited(&self) -> bool {
        !self.told.lock().waiters.is_empty()
    }

    /// A connection has been made, which carries messages or does not, and by
    /// which the node can be asked.
    ///
    /// All waiters are woken: what was told meanwhile is lost, and the node
    /// may have forgotten them.
    pub(super) fn connected(&self, is_had: bool) {
        let mut told = self.told.lock();
        told.is_had = Some(is_had);
        let waiters = mem::take(&mut told.waiters);
        // In this order: whoever is woken, its sender being gone, may look here at
        // once.
        drop(told);
        drop(waiters);
    }

    /// Takes in what the node has sent unasked.
    pub(super) fn receive(&self, kind: &PushKind, data: &[Value]) {
        let (PushKind::Message, Some(Value::BulkString(message))) = (kind, data.get(1)) else {
            return;
        };
        let Some((digits, message)) = read(message) else {
            return;
        };
        let half = last_half(digits);
        let is_meant = |random: u128| message != Message::Granted || random == digits;
        let mut told = self.told.lock();
        let those = told.waiters.range((half, 0)..=(half, u64::MAX));
        let meant = those.filter(|(_, (random, _))| is_meant(*random));
        let meant: Vec<_> = meant.map(|(of, _)| *of).collect();
        let waiters: Vec<_> = meant
            .iter()
            .filter_map(|of| told.waiters.remove(of))
            .collect();
        // Whoever is woken may look here at once.
        drop(told);
        for (_, waiter) in waiters {
            let _ = waiter.send(message);
        }
    }
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").finish_non_exhaustive()
    }
}

/// The digits of a token, or its last half, and what its waiter is told.
fn read(message: &[u8]) -> Option<(u128, Message)> {
    const HALF: usize = 16;
    const ALL: usize = 2 * HALF;
    let (digits, message) = match message {
        [half @ .., b'+'] if half.len() == HALF => (half, Message::Open),
        half if half.len() == HALF => (half, Message::Reserved),
        all if all.len() == ALL => (all, Message::Granted),
        _ => return None,
    };
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u128::from_str_radix(digits, 16).ok()?, message))
}

#[expect(clippy::cast_possible_truncation, reason = "the half that is meant")]
fn last_half(random: u128) -> u64 {
    random as u64
}

/// One waiter's question; forgotten when it is dropped.
struct Passed {
    pushes: Arc<Pushes>,
    of: (u64, u64),
    message: oneshot::Receiver<Message>,
    /// Once it is told to ask later.
    pause: Option<BoxFuture<'static, ()>>,
}

impl Future for Passed {
    type Output = Pass;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Pass> {
        if self.pause.is_none() {
            match ready!(Pin::new(&mut self.message).poll(cx)) {
                Ok(Message::Granted) => return Poll::Ready(Pass::Granted),
                Ok(Message::Open) => self.pause = Some(Box::pin(sleep(OPEN))),
                // A sender that is gone is a wake, too: nobody can be told by it.
                Ok(Message::Reserved) | Err(_) => return Poll::Ready(Pass::Reserved),
            }
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
        }
        Poll::Ready(Pass::Reserved)
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        self.pushes.told.lock().waiters.remove(&self.of);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Poll, Wake, Waker},
    };

    use super::*;

    /// How often whoever was woken could look here.
    struct Looks {
        pushes: Arc<Pushes>,
        could: AtomicUsize,
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            let could = self.pushes.told.try_lock().is_some();
            self.could.fetch_add(usize::from(could), Ordering::Relaxed);
        }
    }

    /// Some executors poll, or drop, what they run as soon as it is woken.
    #[test]
    fn whoever_is_woken_may_look_at_once() {
        let pushes = Arc::new(Pushes::new());
        let looks = Arc::new(Looks {
            pushes: Arc::clone(&pushes),
            could: AtomicUsize::new(0),
        });
        let waker = Waker::from(Arc::clone(&looks));
        let mut cx = Context::from_waker(&waker);
        let (told, connected) = (token(), token());
        let mut told_passed = pushes.passed(&told).unwrap();
        let mut connected_passed = pushes.passed(&connected).unwrap();
        assert!(told_passed.as_mut().poll(&mut cx).is_pending());
        assert!(connected_passed.as_mut().poll(&mut cx).is_pending());
        receive(&pushes, &tail(&told));
        assert_eq!(looks.could.load(Ordering::Relaxed), 1);
        pushes.connected(true);
        assert_eq!(looks.could.load(Ordering::Relaxed), 2);
    }

    fn receive(pushes: &Pushes, payload: &str) {
        let data = ["lockguard:x", payload].map(|text| Value::BulkString(text.into()));
        pushes.receive(&PushKind::Message, &data);
    }

    fn token() -> OwnerToken {
        OwnerToken::with_label("")
    }

    fn tail(token: &OwnerToken) -> String {
        format!("{:016x}", last_half(token.random()))
    }

    async fn heard(passed: &mut BoxFuture<'static, Pass>) -> Option<Pass> {
        poll_fn(|cx| match passed.as_mut().poll(cx) {
            Poll::Ready(pass) => Poll::Ready(Some(pass)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn is_told(passed: &mut BoxFuture<'static, Pass>) -> bool {
        heard(passed).await.is_some()
    }

    #[tokio::test]
    async fn a_message_wakes_its_token_and_no_other() {
        let pushes = Arc::new(Pushes::new());
        let (mine, other) = (token(), token());
        let mut mine_passed = pushes.passed(&mine).unwrap();
        let mut other_passed = pushes.passed(&other).unwrap();
        receive(&pushes, &tail(&mine));
        assert!(is_told(&mut mine_passed).await);
        assert!(!is_told(&mut other_passed).await);
    }

    #[tokio::test]
    async fn all_digits_of_a_token_are_a_grant_and_half_of_them_a_reservation() {
        let pushes = Arc::new(Pushes::new());
        let (granted, reserved) = (token(), token());
        let mut of_granted = pushes.passed(&granted).unwrap();
        let mut of_reserved = pushes.passed(&reserved).unwrap();
        receive(&pushes, &format!("{:032x}", granted.random()));
        receive(&pushes, &tail(&reserved));
        assert_eq!(heard(&mut of_granted).await, Some(Pass::Granted));
        assert_eq!(heard(&mut of_reserved).await, Some(Pass::Reserved));
    }

    #[tokio::test]
    async fn who_knows_half_of_a_token_cannot_forge_a_grant() {
        let pushes = Arc::new(Pushes::new());
        let next = token();
        let mut passed = pushes.passed(&next).unwrap();
        receive(&pushes, &format!("{:032x}", next.random() ^ (1 << 127)));
        receive(&pushes, &format!("0000000000000000{}", tail(&next)));
        assert_eq!(heard(&mut passed).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_of_an_open_lock_asks_a_moment_later() {
        let pushes = Arc::new(Pushes::new());
        let next = token();
        let mut passed = pushes.passed(&next).unwrap();
        receive(&pushes, &format!("{}+", tail(&next)));
        assert!(!is_told(&mut passed).await);
        tokio::time::advance(OPEN).await;
        assert!(is_told(&mut passed).await);
    }

    #[tokio::test]
    async fn a_message_that_comes_before_anybody_looks_is_kept() {
        let pushes = Arc::new(Pushes::new());
        let next = token();
        let mut passed = pushes.passed(&next).unwrap();
        receive(&pushes, &tail(&next));
        assert!(is_told(&mut passed).await);
        let mut again = pushes.passed(&next).unwrap();
        assert!(!is_told(&mut again).await);
    }

    #[tokio::test]
    async fn a_new_connection_wakes_everybody() {
        let pushes = Arc::new(Pushes::new());
        let mut passed = pushes.passed(&token()).unwrap();
        pushes.connected(true);
        assert!(is_told(&mut passed).await);
        assert!(!pushes.are_awaited());
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let pushes = Arc::new(Pushes::new());
        let passed = pushes.passed(&token());
        assert!(pushes.are_awaited());
        drop(passed);
        assert!(!pushes.are_awaited());
    }

    #[test]
    fn nobody_is_promised_a_message_where_there_are_none() {
        let pushes = Arc::new(Pushes::new());
        pushes.connected(false);
        assert!(pushes.passed(&token()).is_none());
    }

    #[tokio::test]
    async fn other_messages_are_ignored() {
        let pushes = Arc::new(Pushes::new());
        let next = token();
        let mut passed = pushes.passed(&next).unwrap();
        let tail = tail(&next);
        let (longer, marked) = (format!("0{tail}"), format!("{tail}-"));
        for payload in [
            "",
            "+",
            "no number",
            "\u{fffd}",
            &tail[1..],
            &longer,
            &marked,
        ] {
            receive(&pushes, payload);
        }
        let meant = Value::BulkString(tail.into());
        pushes.receive(&PushKind::Message, &[]);
        pushes.receive(&PushKind::Invalidate, &[meant.clone(), meant]);
        assert!(!is_told(&mut passed).await);
    }
}
