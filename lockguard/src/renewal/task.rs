//! The one task that renews: what is due goes out in batches.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{task::yield_now, time::Instant};

use super::Shared;
use crate::{
    backend::{BackendError, BoxFuture, ExtendReply, ReleaseRequest},
    cadence::{renewal_tick, retry_pause},
    clock::{until, until_unless},
    extend::{NotExtended, all_extended},
    holding::Holding,
    validity::node_budget,
};

/// The most calls that wait for an answer; what is due then waits.
const MOST_BATCHES: usize = 64;

/// Longer than any task sleeps without a reason.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// A renewal on its way, and the ttl that it asks for.
type Sent = (Arc<Holding>, Duration);

type Replies = BoxFuture<'static, Vec<Result<ExtendReply, BackendError>>>;

/// What the task does next.
enum Step {
    /// A batch was put on its way; more may be due.
    Sent(BoxFuture<'static, ()>),
    /// Nothing was sent; more may be due.
    Again,
    /// Nothing is due before this instant.
    Wait(Instant),
    /// No lease is left to be renewed.
    End,
}

/// Notes that the task has ended, however it ends.
struct Running(Option<Arc<Shared>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            // With its runtime, or by a panic of a backend; the next lease
            // starts it again.
            shared.schedule.lock().is_running = false;
        }
    }
}

/// Begins the task; `false` where no runtime is left for it.
pub(super) fn spawn(shared: &Arc<Shared>) -> bool {
    let running = Running(Some(Arc::clone(shared)));
    shared.background.spawn(work(Arc::clone(shared), running))
}

/// The task: as long as there are leases to be renewed.
async fn work(shared: Arc<Shared>, mut running: Running) {
    let mut flights: Vec<BoxFuture<'static, ()>> = Vec::new();
    loop {
        let mut changed = pin!(shared.changed.notified());
        // From here on no change is missed.
        changed.as_mut().enable();
        match shared.step(flights.len()) {
            Step::Sent(mut flight) => {
                let first = poll_fn(|cx| Poll::Ready(flight.as_mut().poll(cx))).await;
                if first.is_pending() {
                    flights.push(flight);
                }
                // Batches are work for the runtime's other tasks to interrupt.
                yield_now().await;
            }
            Step::Again => yield_now().await,
            Step::Wait(at) => {
                let moved = poll_fn(|cx| {
                    let in_flight = flights.len();
                    flights.retain_mut(|flight| flight.as_mut().poll(cx).is_pending());
                    if changed.as_mut().poll(cx).is_ready() || flights.len() < in_flight {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                until(at, moved).await;
            }
            Step::End => {
                // Said under the lock, since when another task may run.
                running.0 = None;
                return;
            }
        }
    }
}

impl Shared {
    /// What the task does next.
    fn step(self: &Arc<Self>, in_flight: usize) -> Step {
        let now = Instant::now();
        let mut schedule = self.schedule.lock();
        if schedule.live == 0 {
            schedule.clear();
        }
        if schedule.is_empty() && in_flight == 0 {
            schedule.is_running = false;
            return Step::End;
        }
        if in_flight >= MOST_BATCHES {
            return Step::Wait(now + IDLE);
        }
        let batch = schedule.take_due(now);
        if batch.is_empty() {
            return Step::Wait(schedule.first().unwrap_or(now + IDLE));
        }
        drop(schedule);
        self.send(batch)
    }

    /// Puts one batch on its way.
    fn send(self: &Arc<Self>, batch: Vec<Arc<Holding>>) -> Step {
        let mut sent = Vec::with_capacity(batch.len());
        let mut requests = Vec::with_capacity(batch.len());
        let sending = self.sending.lock();
        let asked = Instant::now();
        for holding in batch {
            let Some(deadline) = holding.deadline(asked) else {
                continue;
            };
            let due = self.next_due(holding.ttl, deadline, asked);
            if due > asked + renewal_tick(holding.ttl) {
                // Extended by its owner since.
                self.renew_at(due, &holding);
                continue;
            }
            let Some(ttl) = holding.ttl_needed(deadline, asked) else {
                continue;
            };
            requests.extend(holding.extends(ttl));
            sent.push((holding, ttl));
        }
        if sent.is_empty() {
            return Step::Again;
        }
        let replies = self.backend.extend(requests);
        drop(sending);
        Step::Sent(Box::pin(Arc::clone(self).settle(asked, sent, replies)))
    }

    /// Waits for the answers to a batch, and does what follows.
    async fn settle(self: Arc<Self>, asked: Instant, sent: Vec<Sent>, replies: Replies) {
        let replies = self.answers(asked, &sent, replies).await;
        let now = Instant::now();
        let mut rest = &replies[..];
        let mut failing: Option<(Arc<Holding>, usize, BackendError)> = None;
        for (holding, ttl) in sent {
            let keys = holding.lease.keys().len();
            let (answers, others) = rest.split_at_checked(keys).unwrap_or((rest, &[]));
            rest = others;
            let extended = all_extended(answers, keys);
            if holding.renewed.is_given_back() {
                self.give_back_again(&holding);
                continue;
            }
            match extended {
                Ok(()) => {
                    if let Some(deadline) = holding.was_renewed(asked, ttl) {
                        self.renew_at(self.next_due(holding.ttl, deadline, now), &holding);
                    }
                }
                Err(NotExtended::Taken(nth)) => holding.was_taken(nth),
                Err(NotExtended::Failed(_, error)) => {
                    let retry = asked + retry_pause(holding.ttl);
                    self.renew_at(self.on_the_raster(retry, holding.ttl), &holding);
                    if holding.renewed.failed() {
                        let (_, count, _) = failing.get_or_insert((holding, 0, error));
                        *count = count.saturating_add(1);
                    }
                }
            }
        }
        if let Some((holding, count, error)) = failing {
            holding.warn_of_failure(count, &error);
        }
    }

    /// The answers to a batch, of whatever does not answer in time too.
    async fn answers(
        &self,
        asked: Instant,
        sent: &[Sent],
        replies: Replies,
    ) -> Vec<Result<ExtendReply, BackendError>> {
        let budgets = sent.iter().map(|(holding, _)| node_budget(holding.ttl));
        let budget = budgets.max().unwrap_or_default();
        let keeps_time = self.backend.keeps_time();
        let replies = until_unless(keeps_time, || asked + budget, replies).await;
        replies.unwrap_or_else(|| {
            let silent = BackendError::no_answer(self.backend.address(), budget);
            let keys = sent.iter().map(|(holding, _)| holding.lease.keys().len());
            vec![Err(silent); keys.sum()]
        })
    }

    fn renew_at(&self, at: Instant, holding: &Arc<Holding>) {
        self.schedule.lock().push(at, holding.ttl, holding);
    }

    /// The renewal was on its way when the lease was given back.
    ///
    /// It creates no key, so that a key that was freed stays free.
    /// One that is kept for a rest may have been lengthened again, by a node
    /// that got the two in the other order.
    fn give_back_again(&self, holding: &Holding) {
        let min_hold = holding.terms.min_hold;
        if min_hold.is_zero() || holding.renewed.is_left() {
            return;
        }
        let rest = holding.lease.rest_of(min_hold, Instant::now()).left;
        for key in holding.lease.keys() {
            let request = ReleaseRequest::new(key.clone(), holding.token.clone()).keeping(rest);
            let release = self.backend.release(request);
            self.background.finish(Box::pin(async move {
                let _ = release.await;
            }));
        }
    }
}
