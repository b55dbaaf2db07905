//! Which addresses a name has.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    task::Poll,
    thread,
};

use tokio::sync::{Mutex, oneshot};

use crate::backend::BoxFuture;

type Addresses = io::Result<Vec<SocketAddr>>;

/// Looks names up for one node.
///
/// The system's resolver cannot be cancelled, and keeps a thread until it answers.
/// So an attempt to connect that is given up leaves its lookup to the next, which
/// hears the answer even if that takes longer than an attempt may; never more than
/// [`MOST_AT_ONCE`] are under way.
#[derive(Clone, Default)]
pub(super) struct Lookup(Arc<Mutex<Vec<BoxFuture<'static, Addresses>>>>);

/// More than one: a resolver repeats a question that got lost after seconds only.
const MOST_AT_ONCE: usize = 4;

impl Lookup {
    pub(super) async fn of(&self, host: &str, port: u16) -> Addresses {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![(ip, port).into()]);
        }
        let host = host.to_owned();
        let asked = in_a_thread(move || Ok((host.as_str(), port).to_socket_addrs()?.collect()));
        self.first_of_those_and(asked).await
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
        let first = poll_fn(|cx| {
            let mut answers = under_way.iter_mut().map(|asked| asked.as_mut().poll(cx));
            answers.find(Poll::is_ready).unwrap_or(Poll::Pending)
        });
        let answer = first.await;
        under_way.clear();
        answer
    }
}

/// Asks in a thread of its own: a runtime that shuts down waits for its threads for
/// blocking work, and panics where the system has no thread left.
async fn in_a_thread(ask: impl FnOnce() -> Addresses + Send + 'static) -> Addresses {
    let (answer, heard) = oneshot::channel();
    let thread = thread::Builder::new().name("lockguard-lookup".to_owned());
    let begun = thread.spawn(move || answer.send(ask()));
    begun.map_err(|error| io::Error::other(format!("no thread to look its name up: {error}")))?;
    heard.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        net::Ipv4Addr,
        sync::mpsc,
        time::Duration,
    };

    use tokio::{
        runtime::Runtime,
        time::{sleep, timeout},
    };

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
    async fn a_name_is_looked_up_and_an_address_is_what_it_is() {
        let lookup = Lookup::default();
        let addresses = lookup.of("localhost", 1).await.unwrap();
        assert!(addresses.iter().all(|it| it.ip().is_loopback()));
        assert!(!addresses.is_empty());
        let addresses = lookup.of("::1", 1).await.unwrap();
        assert_eq!(addresses, ["[::1]:1".parse().unwrap()]);
    }

    #[test]
    fn a_runtime_ends_while_a_name_is_looked_up() {
        let (end, ended) = mpsc::channel::<()>();
        let asked = in_a_thread(move || {
            let _ = ended.recv();
            Ok(found())
        });
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let lookup = Lookup::default();
            let attempt = timeout(Duration::from_millis(1), lookup.first_of_those_and(asked));
            attempt.await.unwrap_err();
        });
        drop(runtime);
        // Until here it was looked up.
        end.send(()).unwrap();
    }
}
