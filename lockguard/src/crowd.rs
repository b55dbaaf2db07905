//! Of those here who want several keys and wait for the same one, who asks.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

/// Those of one manager who want several keys and wait for this one, in order.
///
/// The first asks when the key is given back, and lets the next when it has its
/// keys or has to wait for another.
/// One that does not show itself in time is out until it does: a task may keep a
/// future without polling it.
#[derive(Default)]
pub(crate) struct Crowd {
    members: VecDeque<Member>,
    /// When the first has to have shown itself, if there is one.
    due: Option<Instant>,
    /// When one of them last asked; at first, when there was one.
    pub(crate) asked: Option<Instant>,
}

struct Member {
    /// When it began to want its keys.
    came: Instant,
    tell: Tell,
}

/// By what a member is known, and told to look where it stands.
pub(crate) type Tell = Arc<Notify>;

/// How long the first may show nothing of itself when something has changed.
const PROMPT: Duration = Duration::from_millis(100);

/// The same otherwise: longer than it waits between two looks, and asks.
const SILENT: Duration = Duration::from_secs(7);

impl Crowd {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Lets this one show itself: one that is new, or was out, steps up behind
    /// whoever came earlier, and behind the first.
    ///
    /// Gives when to look again; `None` where it is the first.
    pub(crate) fn show(&mut self, me: &Tell, came: Instant, now: Instant) -> Option<Instant> {
        if !self.members.iter().any(|member| member.is(me)) {
            let earlier = self.members.iter().rposition(|member| member.came <= came);
            let behind = earlier.map_or(1, |nth| nth.saturating_add(1));
            let tell = Arc::clone(me);
            let at = behind.min(self.members.len());
            if self.is_empty() {
                self.asked = Some(now);
            }
            self.members.insert(at, Member { came, tell });
        }
        if self.is_first(me) {
            self.due = Some(now + SILENT);
            return None;
        }
        self.due
    }

    /// Puts the first out, if it has not shown itself in time; whom to
    /// [tell](tell_all).
    pub(crate) fn pass_over(&mut self, now: Instant) -> Vec<Tell> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.members.pop_front();
        self.begin_turn(now)
    }

    /// Whoever leaves lets the next ask; whom to [tell](tell_all).
    pub(crate) fn leave(&mut self, me: &Tell, now: Instant) -> Vec<Tell> {
        let was_first = self.is_first(me);
        self.members.retain(|member| !member.is(me));
        if !was_first {
            return Vec::new();
        }
        self.begin_turn(now)
    }

    /// The key has been given back, and the first has to show itself soon; whom to
    /// [tell](tell_all).
    pub(crate) fn freed(&mut self) -> Vec<Tell> {
        let Some(due) = &mut self.due else {
            return Vec::new();
        };
        *due = (*due).min(Instant::now() + PROMPT);
        self.foremost()
    }

    fn begin_turn(&mut self, now: Instant) -> Vec<Tell> {
        self.due = (!self.is_empty()).then(|| now + PROMPT);
        self.foremost()
    }

    /// The first, and the next, who sees to it that the first shows itself.
    fn foremost(&self) -> Vec<Tell> {
        let foremost = self.members.iter().take(2);
        foremost.map(|member| Arc::clone(&member.tell)).collect()
    }

    fn is_first(&self, me: &Tell) -> bool {
        let first = self.members.front();
        first.is_some_and(|first| first.is(me))
    }
}

impl Member {
    fn is(&self, me: &Tell) -> bool {
        Arc::ptr_eq(&self.tell, me)
    }
}

/// Tells them to look where they stand, when nothing is locked: some executors
/// poll at once whom they wake.
pub(crate) fn tell_all(members: Vec<Tell>) {
    for member in members {
        member.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member, and when it came.
    type One = (Tell, Instant);

    /// A crowd into which members that came at these milliseconds have stepped, in
    /// this order, and when that was.
    fn crowd<const N: usize>(came: [u64; N]) -> (Crowd, [One; N], Instant) {
        let start = Instant::now();
        let now = start + Duration::from_secs(1);
        let mut crowd = Crowd::default();
        let members = came.map(|came| {
            let one = (Tell::default(), start + Duration::from_millis(came));
            let is_first = shows_first(&mut crowd, &one, now);
            assert_eq!(is_first, crowd.members.len() == 1);
            one
        });
        (crowd, members, now)
    }

    /// Lets it show itself; whether it is the first.
    fn shows_first(crowd: &mut Crowd, (me, came): &One, now: Instant) -> bool {
        crowd.show(me, *came, now).is_none()
    }

    #[test]
    fn whoever_came_earlier_asks_before_all_but_the_first() {
        let (mut crowd, [first, late, early], now) = crowd([5, 9, 1]);
        for next in [first, early, late] {
            assert!(shows_first(&mut crowd, &next, now));
            crowd.leave(&next.0, now);
        }
        assert!(crowd.is_empty());
    }

    #[test]
    fn a_first_that_shows_nothing_when_the_key_is_freed_is_out_until_it_does() {
        let (mut crowd, [first, second], _) = crowd([1, 2]);
        crowd.freed();
        let end = Instant::now() + PROMPT;
        assert!(!shows_first(&mut crowd, &second, end));
        let told = crowd.pass_over(end);
        assert!(Arc::ptr_eq(&told[0], &second.0));
        assert!(shows_first(&mut crowd, &second, end));
        assert!(!shows_first(&mut crowd, &first, end));
        crowd.leave(&second.0, end);
        assert!(shows_first(&mut crowd, &first, end));
    }

    #[test]
    fn a_first_that_has_shown_itself_is_not_passed_over() {
        let (mut crowd, [first, second], now) = crowd([1, 2]);
        crowd.freed();
        assert!(shows_first(&mut crowd, &first, now));
        crowd.pass_over(now + SILENT - PROMPT);
        assert!(!shows_first(&mut crowd, &second, now));
        crowd.pass_over(now + SILENT);
        assert!(shows_first(&mut crowd, &second, now));
    }
}
