//! Commands as a server reads them.

use std::time::Duration;

use super::{Command, Form, Question, Task};
use crate::{
    backend::{
        AcquireRequest, FenceRequest, ReleaseRequest, Standing, Ticket, Waiter,
        redis::{
            helper_key::{Parts, fence_key, line_key},
            packed::Packed,
            script::{ACQUIRE, ACQUIRE_FENCED, CLAIM, EXTEND, HOLDER, RELEASE, Script, TRANSFER},
        },
    },
    backoff::LONGEST_UNTOLD_PAUSE,
    token::OwnerToken,
    validity::node_budget,
};

impl Command {
    /// Writes the command as the server reads it; `packed` is empty before.
    ///
    /// Waiters are told by this channel.
    pub(in crate::backend::redis) fn to_wire(&self, packed: &mut Packed, channel: Option<&str>) {
        match &self.task {
            Task::Acquire {
                request, question, ..
            } => self.acquire(packed, request, *question, channel),
            Task::Extend {
                requests,
                heard,
                at_once,
                ..
            } => {
                self.form.call(packed, &EXTEND, *at_once);
                let requests = requests.iter().skip(heard.len()).take(*at_once);
                for request in requests.clone() {
                    packed.arg(request.key.as_str());
                }
                for request in requests {
                    let successor = request.successor.as_ref();
                    packed
                        .arg(request.token.expose())
                        .number(millis(request.ttl))
                        .arg(successor.map_or("", OwnerToken::expose));
                }
            }
            Task::Release { request, .. } => self.release(packed, request, channel),
            Task::Look { .. } => {
                packed.arg("INFO");
            }
        }
    }

    /// Writes several [plain releases](Command::as_plain_release) as one call;
    /// `packed` is empty before.
    ///
    /// By hash: what is asked in full goes alone.
    pub(in crate::backend::redis) fn releases_to_wire<'a>(
        releases: impl Iterator<Item = &'a ReleaseRequest> + Clone,
        packed: &mut Packed,
    ) {
        let keys = 2 * releases.clone().count();
        Form::ByHash.call(packed, &RELEASE, keys);
        for release in releases.clone() {
            packed.arg(release.key.as_str());
        }
        for release in releases.clone() {
            packed.joined(&line_key(&release.key));
        }
        for release in releases {
            packed.arg(release.token.expose());
        }
    }

    fn acquire(
        &self,
        packed: &mut Packed,
        request: &AcquireRequest,
        question: Question,
        channel: Option<&str>,
    ) {
        let (key, token, ttl) = (request.keys.first(), &request.token, millis(request.ttl));
        match question {
            Question::IsItMine => {
                packed.arg("SET").arg(key.as_str()).arg(token.expose());
                packed.arg("NX").arg("PX").number(ttl);
            }
            Question::WhoseIsIt => {
                self.form.call(packed, &HOLDER, 1);
                packed.arg(key.as_str());
            }
            Question::AreTheyMine => {
                self.form
                    .call(packed, &ACQUIRE, request.keys.as_slice().len());
                for key in &request.keys {
                    packed.arg(key.as_str());
                }
                packed.arg(token.expose()).number(ttl);
            }
            Question::AreTheyMineAt(fence) => self.fenced(packed, request, fence, None),
            Question::IsItOurs => {
                let replaced = request.replaces.as_ref().map_or("", OwnerToken::expose);
                self.form.call(packed, &TRANSFER, 1);
                packed
                    .arg(key.as_str())
                    .arg(token.expose())
                    .number(ttl)
                    .arg(replaced);
            }
            Question::IsItMyTurn => {
                self.form.call(packed, &CLAIM, 2);
                packed.arg(key.as_str()).joined(&line_key(key));
                packed.arg(token.expose()).number(ttl);
                if let Some(waiter) = &request.waiter {
                    let is_taker = waiter.takes_grants;
                    let grant = if is_taker { millis(waiter.ttl) } else { 0 };
                    add_waiter(packed, waiter, channel, window(waiter, channel), grant);
                }
            }
            Question::IsItMyTurnAt(fence) => {
                self.fenced(packed, request, fence, Some(line_key(key)));
                if let Some(waiter) = &request.waiter {
                    add_waiter(packed, waiter, channel, window(waiter, channel), 0);
                }
            }
            Question::LetMeWait(nth, _) => {
                let key = request.keys.nth(nth);
                self.form.call(packed, &CLAIM, 2);
                packed.arg(key.as_str()).joined(&line_key(key));
                packed.arg(token.expose()).number(0);
                if let Some(waiter) = &request.waiter {
                    add_waiter(packed, waiter, channel, 0, 0);
                }
            }
        }
    }

    fn fenced(
        &self,
        packed: &mut Packed,
        request: &AcquireRequest,
        fence: FenceRequest,
        line: Option<Parts<'_>>,
    ) {
        let keys = request.keys.as_slice();
        let count = 2 * keys.len() + usize::from(line.is_some());
        self.form.call(packed, &ACQUIRE_FENCED, count);
        for key in keys {
            packed.arg(key.as_str());
        }
        for name in keys.iter().map(fence_key).chain(line) {
            packed.joined(&name);
        }
        packed
            .arg(request.token.expose())
            .arg(request.replaces.as_ref().map_or("", OwnerToken::expose))
            .number(millis(request.ttl))
            .number(fence.proposal.get())
            .number(millis(fence.keep));
    }

    fn release(&self, packed: &mut Packed, request: &ReleaseRequest, channel: Option<&str>) {
        let line = self.knows_line.then(|| line_key(&request.key));
        self.form
            .call(packed, &RELEASE, 1 + usize::from(line.is_some()));
        packed.arg(request.key.as_str());
        if let Some(line) = line {
            packed.joined(&line);
        }
        packed.arg(request.token.expose());
        // Most have nothing to say here, which is not said.
        match request.keep {
            Some(rest) => {
                packed.number(millis(rest));
            }
            None if request.is_open => {
                packed.arg("open");
            }
            None if request.standing.is_some() => {
                packed.arg("");
            }
            None => {}
        }
        match &request.standing {
            Some(Standing::Leaves(ticket)) => add_ticket(packed, ticket),
            Some(Standing::Stays(waiter)) => {
                add_waiter(packed, waiter, channel, window(waiter, channel), 0);
            }
            None => {}
        }
    }
}

impl Form {
    /// A call of the script, before its keys.
    fn call(self, packed: &mut Packed, script: &Script, keys: usize) {
        match self {
            Self::ByHash => packed.arg("EVALSHA").arg(&script.hash),
            Self::InFull => packed.arg("EVAL").arg(script.code),
        };
        packed.number(keys);
    }
}

/// The ticket, the waiter as it stands in a line, and how long the line is
/// kept at most: for twice the ttl, as whoever is gone holds nothing for longer.
///
/// `window` says for how many milliseconds the lock is reserved for it (0: it is
/// only told), `grant` for how many it may be granted to it (0: it has to ask).
fn add_waiter(
    packed: &mut Packed,
    waiter: &Waiter,
    channel: Option<&str>,
    window: u64,
    grant: u64,
) {
    let entry = format!(
        "{} {window} {grant} {} {}",
        hex(&waiter.ticket),
        channel.unwrap_or("-"),
        waiter.next.expose()
    );
    add_ticket(packed, &waiter.ticket);
    packed
        .arg(&entry)
        .number(millis(waiter.ttl.saturating_mul(2)));
}

fn add_ticket(packed: &mut Packed, ticket: &Ticket) {
    packed.number(ticket.stamp()).arg(&hex(ticket));
}

/// For how many milliseconds a lock is reserved for a waiter: twice what a node
/// is waited for, so that a waiter that is there has time to claim it on all; for
/// one that nobody can tell, as long as it takes to ask twice.
fn window(waiter: &Waiter, channel: Option<&str>) -> u64 {
    let window = node_budget(waiter.ttl).saturating_mul(2);
    let window = match channel {
        Some(_) => window,
        None => window.max(LONGEST_UNTOLD_PAUSE.saturating_mul(2)),
    };
    millis(window.min(waiter.ttl))
}

fn hex(ticket: &Ticket) -> String {
    format!("{:016x}", ticket.number())
}

/// A ttl as servers take it: whole milliseconds, rounded up.
fn millis(ttl: Duration) -> u64 {
    let millis = ttl.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::Answer, *};
    use crate::key::LockKey;

    #[test]
    fn a_ttl_is_rounded_up_to_whole_milliseconds() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(10)), 10);
        assert_eq!(millis(Duration::from_micros(10_001)), 11);
    }

    #[test]
    fn an_acquire_is_a_plain_set() {
        let (answer, _keep) = Answer::channel();
        let token = OwnerToken::with_label("me");
        let key = LockKey::new("seat:1").unwrap();
        let request = AcquireRequest::new(key, token.clone(), Duration::from_secs(2));
        let (mut packed, mut wire) = (Packed::default(), Vec::new());
        Command::new(Task::acquire(request, answer), None).to_wire(&mut packed, None);
        packed.append_to(&mut wire);
        let mut expected = redis::cmd("SET");
        expected.arg(&["seat:1", token.expose(), "NX", "PX", "2000"]);
        assert_eq!(wire, expected.get_packed_command());
    }
}
