//! Which addresses a name has.

use std::{future::poll_fn, io, mem, net::SocketAddr, sync::Arc, task::Poll};

use tokio::{net::lookup_host, sync::Mutex};

use crate::backend::BoxFuture;

type Addresses = io::Result<Vec<SocketAddr>>;

/// Looks names up for one node.
///
/// A system that looks a name up cannot be told to stop, and keeps one of the
/// runtime's threads until it has the answer.
/// So an attempt to connect that is given up leaves its lookup to the next, which
/// hears the answer where it takes longer than an attempt may, and there are never
/// more than [`MOST_AT_ONCE`].
#[derive(Clone, Default)]
pub(super) struct Lookup(Arc<Mutex<Vec<BoxFuture<'static, Addresses>>>>);

/// So many that a question which got lost on its way, and is repeated after
/// seconds, holds up nobody; few, since other work of the program needs threads.
const MOST_AT_ONCE: usize = 4;

impl Lookup {
    pub(super) async fn of(&self, host: &str, port: u16) -> Addresses {
        let host = host.to_owned();
        self.first_of_those_and(async move { Ok(lookup_host((host, port)).await?.collect()) })
            .await
    }

    /// Whether the last attempt was given up before there was an answer.
    pub(super) fn is_under_way(&self) -> bool {
        self.0.try_lock().is_ok_and(|asked| !asked.is_empty())
    }

    /// The first answer to this, or to what was asked before.
    async fn first_of_those_and(
        &self,
        asked: impl Future<Output = Addresses> + Send + 'static,
    ) -> Addresses {
        let mut under_way = self.0.lock().await;
        if under_way.len() < MOST_AT_ONCE {
            under_way.push(Box::pin(asked));
        }
        poll_fn(|cx| {
            // Gone where one of them panics, as it does where the system has no
            // thread for it: it must not be polled again.
            let mut asked = mem::take(&mut *under_way);
            for one in &mut asked {
                if let Poll::Ready(answer) = one.as_mut().poll(cx) {
                    return Poll::Ready(answer);
                }
            }
            *under_way = asked;
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        net::Ipv4Addr,
        time::Duration,
    };

    use tokio::time::{sleep, timeout};

    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(1);

    fn found() -> Vec<SocketAddr> {
        vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1))]
    }

    /// What an attempt to connect hears that asks this.
    async fn heard(
        lookup: &Lookup,
        asked: impl Future<Output = Addresses> + Send + 'static,
    ) -> Option<Vec<SocketAddr>> {
        let heard = timeout(ATTEMPT, lookup.first_of_those_and(asked)).await;
        Some(heard.ok()?.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_longer_than_an_attempt_is_heard_by_the_next() {
        let lookup = Lookup::default();
        let slow = async {
            sleep(ATTEMPT * 3 / 2).await;
            Ok(found())
        };
        assert_eq!(heard(&lookup, slow).await, None);
        assert!(lookup.is_under_way());
        assert_eq!(heard(&lookup, pending()).await, Some(found()));
        assert!(!lookup.is_under_way());
        // It is not kept: the name may lead elsewhere by then.
        assert_eq!(heard(&lookup, pending()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_got_lost_holds_nobody_up() {
        let lookup = Lookup::default();
        assert_eq!(heard(&lookup, pending()).await, None);
        assert_eq!(heard(&lookup, ready(Ok(found()))).await, Some(found()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_never_answers_is_asked_a_few_times_at_once() {
        let lookup = Lookup::default();
        for _ in 0..MOST_AT_ONCE {
            assert_eq!(heard(&lookup, pending()).await, None);
        }
        let asked = async { unreachable!("one more thread is taken") };
        assert_eq!(heard(&lookup, asked).await, None);
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_not_polled_again() {
        let lookup = Lookup::default();
        let panics = {
            let lookup = lookup.clone();
            async move { heard(&lookup, async { panic!("no thread for it") }).await }
        };
        assert!(tokio::spawn(panics).await.unwrap_err().is_panic());
        assert_eq!(heard(&lookup, ready(Ok(found()))).await, Some(found()));
    }
}
