//! Messages that are sent later: `erlang:send_after` and what belongs to it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use etf::{Pid, Reference, Term, tuple};
use tokio::sync::Notify;

use super::{Context, Dest};
use crate::{clock, node::Inner};

/// What is to be sent.
#[derive(Debug, PartialEq)]
struct Timer {
    reference: Reference,
    from: Pid,
    dest: Dest,
    message: Term,
}

/// The timers of a node as a value: which are due when. How many there are is this program's own affair; no peer can
/// ask for one.
#[derive(Debug, Default)]
struct Queue {
    /// By when they are due, and those of one moment in the order in which they were set.
    timers: BTreeMap<(Instant, u64), Timer>,
    due: HashMap<Reference, (Instant, u64)>,
    next: u64,
}

impl Queue {
    /// Whether it is the first of all to be due.
    fn insert(&mut self, at: Instant, timer: Timer) -> bool {
        let place = (at, self.next);
        self.next += 1;
        self.due.insert(timer.reference.clone(), place);
        self.timers.insert(place, timer);
        self.timers.first_key_value().is_some_and(|(first, _)| *first == place)
    }

    /// How long it would have taken, if it is still to come.
    fn left(&self, reference: &Reference, now: Instant) -> Option<Duration> {
        self.due.get(reference).map(|(at, _)| at.saturating_duration_since(now))
    }

    fn cancel(&mut self, reference: &Reference, now: Instant) -> Option<Duration> {
        let left = self.left(reference, now);
        if let Some(place) = self.due.remove(reference) {
            self.timers.remove(&place);
        }
        left
    }

    /// The next that is due.
    fn poll(&mut self, now: Instant) -> Option<Timer> {
        let first = self.timers.first_entry().filter(|first| first.key().0 <= now)?;
        let timer = first.remove();
        self.due.remove(&timer.reference);
        Some(timer)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }
}

/// The timers of a node.
#[derive(Default)]
pub(crate) struct Timers {
    queue: Mutex<Queue>,
    /// Another one is the first to be due.
    changed: Notify,
}

impl Timers {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds this lock")
    }

    fn set(&self, after: Duration, timer: Timer) {
        // What nobody lives to see is never.
        let Some(at) = clock::now().checked_add(after) else { return };
        if self.queue().insert(at, timer) {
            self.changed.notify_one();
        }
    }

    /// Sends what is due, until the node ends.
    pub(crate) async fn run(inner: Arc<Inner>) {
        let timers = &inner.timers;
        loop {
            loop {
                let Some(timer) = timers.queue().poll(clock::now()) else { break };
                inner.emit_send(&timer.from, timer.dest, timer.message, None);
            }
            let next = timers.queue().poll_timeout();
            let until = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until => {}
                () = timers.changed.notified() => {}
            }
        }
    }
}

impl Context {
    /// `erlang:send_after(Time, Dest, Message)`: sends a message later, also if this process has ended by then. The
    /// reference is what [`cancel_timer`](Self::cancel_timer) takes.
    ///
    /// A name is looked up when the message is sent; what is for nobody then is lost. It comes no earlier than asked for,
    /// and usually within the millisecond after.
    pub fn send_after(&self, after: Duration, dest: impl Into<Dest>, message: impl Into<Term>) -> Reference {
        let reference = self.make_ref();
        self.set_timer(after, reference.clone(), dest.into(), message.into());
        reference
    }

    /// `erlang:start_timer(Time, Dest, Message)`: as [`send_after`](Self::send_after), with the message
    /// `{timeout, Ref, Message}`, which tells it from one of a timer that was cancelled too late.
    pub fn start_timer(&self, after: Duration, dest: impl Into<Dest>, message: impl Into<Term>) -> Reference {
        let reference = self.make_ref();
        let message = tuple!(atom "timeout", &reference, message.into());
        self.set_timer(after, reference.clone(), dest.into(), message);
        reference
    }

    fn set_timer(&self, after: Duration, reference: Reference, dest: Dest, message: Term) {
        let from = self.pid().clone();
        self.inner().timers.set(after, Timer { reference, from, dest, message });
    }

    /// `erlang:cancel_timer(Ref)`: how long it still would have taken; nothing where the message was sent already, or
    /// there is no such timer. Any process of the node may do it.
    pub fn cancel_timer(&self, timer: &Reference) -> Option<Duration> {
        self.inner().timers.queue().cancel(timer, clock::now())
    }

    /// `erlang:read_timer(Ref)`: the same without cancelling it.
    #[must_use]
    pub fn read_timer(&self, timer: &Reference) -> Option<Duration> {
        self.inner().timers.queue().left(timer, clock::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(n: u32) -> Timer {
        let reference = Reference::new(etf::Atom::from("a@h"), 1, &[n]).expect("one word");
        let from = Pid::new(etf::Atom::from("a@h"), 1, 0, 1);
        Timer { reference, from, dest: Dest::from("name"), message: n.into() }
    }

    #[test]
    fn timers_come_when_they_are_due_and_in_the_order_in_which_they_were_set() {
        let (now, ms) = (clock::now(), Duration::from_millis);
        let mut queue = Queue::default();
        assert!(queue.insert(now + ms(20), timer(1)));
        assert!(queue.insert(now + ms(10), timer(2)));
        assert!(!queue.insert(now + ms(10), timer(3)));
        assert!(!queue.insert(now + ms(15), timer(4)));
        assert_eq!((queue.poll(now), queue.poll_timeout()), (None, Some(now + ms(10))));
        let left = queue.left(&timer(1).reference, now + ms(5));
        assert_eq!((left, queue.cancel(&timer(4).reference, now + ms(5))), (Some(ms(15)), Some(ms(10))));
        assert_eq!(queue.cancel(&timer(4).reference, now), None);
        let due = [queue.poll(now + ms(10)), queue.poll(now + ms(10)), queue.poll(now + ms(10))];
        assert_eq!(due, [Some(timer(2)), Some(timer(3)), None]);
        assert_eq!(queue.cancel(&timer(2).reference, now), None, "it was sent");
        assert_eq!(queue.poll(now + ms(30)), Some(timer(1)));
        assert_eq!((queue.poll_timeout(), queue.due.len()), (None, 0));
    }
}
