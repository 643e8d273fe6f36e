//! What waits for a process: messages in the order in which they were delivered.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::Waker,
};

use atomic_waker::AtomicWaker;
use etf::{Atom, Pid, Reference, Term, tuple};

use super::seq_trace::Token;

/// A message in a process's mailbox.
///
/// Erlang has only terms here; the ones that the runtime itself makes have a shape of their own in Rust.
/// [`Message::into_term`] gives what an Erlang process would have received.
#[derive(Clone, PartialEq)]
pub enum Message {
    /// What another process sent.
    Term(Term),
    /// `{'EXIT', From, Reason}`: a link broke, or `exit/2` was called, and this process traps exits.
    Exit {
        /// The process at the other end.
        from: Pid,
        /// Why.
        reason: Term,
    },
    /// `{'DOWN', Ref, process, Item, Reason}`: what was monitored is gone.
    Down {
        /// What [`Context::monitor`](crate::Context::monitor) gave.
        reference: Reference,
        /// What was monitored, as it was named then.
        item: Monitored,
        /// Why; `noproc` if it was not there, `noconnection` if the link to its node was lost.
        reason: Term,
    },
    /// `{spawn_reply, Ref, ok|error, Pid|Reason}`.
    SpawnReply {
        /// What the request was given.
        reference: Reference,
        /// The process, or why there is none.
        result: Result<Pid, Atom>,
    },
    /// A node came or went, for a process that asked by
    /// [`Context::monitor_nodes`](crate::Context::monitor_nodes).
    Node(NodeEvent),
}

/// What a monitor watches.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Monitored {
    /// A process.
    Pid(Pid),
    /// A registered name at a node.
    Name(Atom, Atom),
}

/// A connection to another node came up or went down.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEvent {
    /// The node is connected. Comes before any message of that connection.
    Up {
        /// Its name.
        node: Atom,
        /// Whether both sides are visible.
        visible: bool,
    },
    /// It no longer is. Comes after every message of that connection, and after links and monitors fired.
    Down {
        /// Its name.
        node: Atom,
        /// Whether both sides were visible.
        visible: bool,
        /// Why, in the words of `net_kernel`: `connection_closed`, `net_tick_timeout`, `killed`, …
        reason: Term,
    },
}

impl Message {
    /// The term that an Erlang process would have received.
    #[must_use]
    pub fn into_term(self) -> Term {
        match self {
            Self::Term(term) => term,
            Self::Exit { from, reason } => tuple!(atom "EXIT", from, reason),
            Self::Down { reference, item, reason } => {
                let item = match item {
                    Monitored::Pid(pid) => Term::Pid(pid),
                    Monitored::Name(name, node) => tuple!(name, node),
                };
                tuple!(atom "DOWN", reference, atom "process", item, reason)
            }
            Self::SpawnReply { reference, result: Ok(pid) } => {
                tuple!(atom "spawn_reply", reference, atom "ok", pid)
            }
            Self::SpawnReply { reference, result: Err(reason) } => {
                tuple!(atom "spawn_reply", reference, atom "error", reason)
            }
            Self::Node(NodeEvent::Up { node, .. }) => tuple!(atom "nodeup", node),
            Self::Node(NodeEvent::Down { node, .. }) => tuple!(atom "nodedown", node),
        }
    }

    /// The term that another process sent, if this is one.
    #[must_use]
    pub fn as_term(&self) -> Option<&Term> {
        if let Self::Term(term) = self { Some(term) } else { None }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.clone().into_term())
    }
}

impl fmt::Debug for Monitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "{pid:?}"),
            Self::Name(name, node) => write!(f, "{{{name},{node}}}"),
        }
    }
}

/// A message, and what it is traced by.
pub(crate) type Arrived = (Message, Token);

/// The queue of one process. Putting in never waits: nothing on the way in from a peer may.
///
/// The process takes out all there is at once, so that it and those who put in seldom want the lock at the same time.
pub(crate) struct Mailbox {
    queue: Mutex<VecDeque<Arrived>>,
    /// Whether there is something in `queue`: who only looks needs no lock.
    has_some: AtomicBool,
    /// Priority messages: the process puts them before all others that are not.
    urgent: Mutex<Vec<Arrived>>,
    has_urgent: AtomicBool,
    /// How the process waits. Who puts the first message in wakes it.
    waits: AtomicU8,
    /// Its task, by whose waker it waits as a rule.
    task: OnceLock<Waker>,
    /// Whatever else it waits by: what it awaits besides may have wakers of its own.
    other: AtomicWaker,
    /// How many messages the process has taken out and not received yet.
    taken: AtomicUsize,
    messages_max: usize,
}

/// The mailbox has as many messages as it may have.
pub(crate) struct MailboxFull;

/// The process does not wait.
const NOT: u8 = 0;
/// It is woken by the waker of its task.
const BY_TASK: u8 = 1;
/// It is woken by `other`.
const BY_OTHER: u8 = 2;

/// A queue that has grown past this many messages gives its memory back when it is empty.
const KEEP_MESSAGES_MAX: usize = 1024;

/// From so many on messages come with the memory that they are in. Fewer are copied, so that no process keeps memory that
/// was made for more.
const SWAP_MESSAGES_MIN: usize = 32;

impl Mailbox {
    pub(crate) fn new(messages_max: usize) -> Self {
        let (queue, has_some, urgent, has_urgent, waits, task, other, taken) = Default::default();
        Self { queue, has_some, urgent, has_urgent, waits, task, other, taken, messages_max }
    }

    /// Puts a priority message in.
    pub(crate) fn push_urgent(&self, arrived: Arrived) -> Result<(), MailboxFull> {
        let mut urgent = self.urgent();
        if urgent.len() + self.queue().len() + self.taken.load(Relaxed) >= self.messages_max {
            return Err(MailboxFull);
        }
        urgent.push(arrived);
        self.has_urgent.store(true, Release);
        drop(urgent);
        self.wake();
        Ok(())
    }

    /// The priority messages that have come.
    pub(crate) fn take_urgent(&self) -> Vec<Arrived> {
        if !self.has_urgent.load(Acquire) {
            return Vec::new();
        }
        let mut urgent = self.urgent();
        self.has_urgent.store(false, Relaxed);
        mem::take(&mut urgent)
    }

    /// Puts messages in; those that have no room are dropped.
    pub(crate) fn push_all(
        &self,
        messages: impl ExactSizeIterator<Item = Arrived>,
    ) -> Result<(), MailboxFull> {
        let (count, mut queue) = (messages.len(), self.queue());
        let (was_empty, taken) = (queue.is_empty(), self.taken.load(Relaxed));
        let room = self.messages_max.saturating_sub(queue.len() + taken);
        queue.extend(messages.take(room));
        self.has_some.store(!queue.is_empty(), Release);
        drop(queue);
        if was_empty {
            self.wake();
        }
        if count > room { Err(MailboxFull) } else { Ok(()) }
    }

    /// Puts in what `messages` has, which is empty afterwards; those that have no room are dropped.
    pub(crate) fn push_batch(&self, messages: &mut Vec<Arrived>) -> Result<(), MailboxFull> {
        if messages.len() < SWAP_MESSAGES_MIN {
            return self.push_all(messages.drain(..));
        }
        let mut queue = self.queue();
        let (was_empty, taken) = (queue.is_empty(), self.taken.load(Relaxed));
        let room = self.messages_max.saturating_sub(queue.len() + taken);
        let without_room = messages.split_off(room.min(messages.len()));
        if was_empty {
            // Nothing is copied: each has the memory of the other.
            let full = VecDeque::from(mem::take(messages));
            *messages = mem::replace(&mut *queue, full).into();
        } else {
            queue.extend(messages.drain(..));
        }
        self.has_some.store(!queue.is_empty(), Release);
        drop(queue);
        if was_empty {
            self.wake();
        }
        if without_room.is_empty() { Ok(()) } else { Err(MailboxFull) }
    }

    /// Moves all messages to the end of what `into` gives, which the process keeps. It is asked only if there are some;
    /// whether there were.
    pub(crate) fn try_take<'a>(&self, into: impl FnOnce() -> &'a mut VecDeque<Arrived>) -> bool {
        if !self.has_some.load(Acquire) {
            return false;
        }
        let mut queue = self.queue();
        self.has_some.store(false, Relaxed);
        let into = into();
        if into.is_empty() {
            mem::swap(&mut *queue, into);
        } else {
            into.append(&mut queue);
        }
        if queue.capacity() > KEEP_MESSAGES_MAX {
            *queue = VecDeque::new();
        }
        self.set_taken(into.len());
        true
    }

    /// The task of the process. What was put in before it was known wakes nobody.
    pub(crate) fn set_task(&self, task: &Waker) {
        self.task.get_or_init(|| task.clone());
    }

    /// Wakes the task of the process, which looks at more than its mailbox.
    pub(crate) fn wake_task(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Who is woken by the first message that is put in, or by a priority message.
    pub(crate) fn register(&self, waker: &Waker) {
        let is_task = self.task.get().is_some_and(|task| task.will_wake(waker));
        if !is_task {
            self.other.register(waker);
        }
        // Together with the one in `wake`: either that one comes later and sees this, or what was put in before it is seen
        // by the look that follows.
        self.waits.swap(if is_task { BY_TASK } else { BY_OTHER }, AcqRel);
    }

    fn wake(&self) {
        match self.waits.swap(NOT, AcqRel) {
            BY_TASK => self.wake_task(),
            BY_OTHER => self.other.wake(),
            _ => {}
        }
    }

    /// The process has ended: nobody receives what is left.
    pub(crate) fn clear(&self) {
        drop(mem::take(&mut *self.queue()));
        drop(mem::take(&mut *self.urgent()));
    }

    /// Whether priority messages have come.
    pub(crate) fn has_urgent(&self) -> bool {
        self.has_urgent.load(Acquire)
    }

    /// Puts messages back that were taken out and not received, before all others.
    pub(crate) fn give_back(&self, messages: VecDeque<Arrived>) {
        if messages.is_empty() {
            return;
        }
        let mut queue = self.queue();
        messages.into_iter().rev().for_each(|arrived| queue.push_front(arrived));
        self.has_some.store(true, Release);
        drop(queue);
        self.wake();
    }

    /// So many of what was taken out are still to be received.
    pub(crate) fn set_taken(&self, messages: usize) {
        self.taken.store(messages, Relaxed);
    }

    pub(crate) fn len(&self) -> usize {
        self.urgent().len() + self.queue().len() + self.taken.load(Relaxed)
    }

    /// What the messages take, without what they point to.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * size_of::<Arrived>()
    }

    /// Locked before the queue where both are.
    fn urgent(&self) -> MutexGuard<'_, Vec<Arrived>> {
        self.urgent.lock().expect("nothing panics while it holds this lock")
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arrived>> {
        self.queue.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    /// As a process does it.
    async fn take(mailbox: &Mailbox, own: &mut VecDeque<Arrived>) {
        poll_fn(|cx| {
            mailbox.register(cx.waker());
            let has_some = mailbox.try_take(|| own) || mailbox.has_urgent();
            if has_some { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn message(n: i64) -> Message {
        Message::Term(n.into())
    }

    fn push(mailbox: &Mailbox, n: i64) -> bool {
        mailbox.push_all([(message(n), None)].into_iter()).is_ok()
    }

    #[test]
    fn what_was_taken_out_counts_until_it_is_received() {
        let (mailbox, mut own) = (Mailbox::new(3), VecDeque::new());
        for n in 0..3 {
            assert!(push(&mailbox, n));
        }
        assert!(mailbox.try_take(|| &mut own));
        assert!(!mailbox.try_take(|| &mut own));
        assert_eq!((own.len(), mailbox.len()), (3, 3));
        assert!(!push(&mailbox, 3));
        own.pop_front();
        mailbox.set_taken(own.len());
        assert!(mailbox.push_all([(message(3), None), (message(4), None)].into_iter()).is_err());
        assert!(mailbox.try_take(|| &mut own));
        let received: Vec<Message> = own.drain(..).map(|(message, _)| message).collect();
        assert_eq!(received, [message(1), message(2), message(3)]);
    }

    #[tokio::test]
    async fn priority_messages_wake_the_process_and_count() {
        let (mailbox, mut own) = (Mailbox::new(3), VecDeque::new());
        let urgent = |n| mailbox.push_urgent((message(n), None)).is_ok();
        let waiting = take(&mailbox, &mut own);
        tokio::join!(waiting, async { assert!(urgent(0)) });
        assert!(own.is_empty());
        assert!(push(&mailbox, 1) && urgent(2));
        assert!(!urgent(3), "it is full");
        assert_eq!(mailbox.len(), 3);
        let taken: Vec<Message> = mailbox.take_urgent().into_iter().map(|(message, _)| message).collect();
        assert_eq!(taken, [message(0), message(2)]);
        assert!(mailbox.take_urgent().is_empty());
    }

    #[tokio::test]
    async fn a_message_wakes_the_process_that_waits() {
        let (mailbox, mut own) = (Mailbox::new(3), VecDeque::new());
        let putting = async {
            for n in 0..1000 {
                while !push(&mailbox, n) {
                    tokio::task::yield_now().await;
                }
            }
        };
        let receiving = async {
            for n in 0..1000 {
                if own.is_empty() {
                    take(&mailbox, &mut own).await;
                }
                assert_eq!(own.pop_front().map(|(message, _)| message), Some(message(n)));
                mailbox.set_taken(own.len());
            }
        };
        tokio::join!(receiving, putting);
    }

    #[test]
    fn batches_keep_their_order_and_the_limit() {
        let (mailbox, mut own) = (Mailbox::new(150), VecDeque::new());
        let mut batch = Vec::new();
        let mut next = 0..200;
        for count in [1, SWAP_MESSAGES_MIN, 3, 2 * SWAP_MESSAGES_MIN, 1] {
            batch.extend(next.by_ref().take(count).map(|n| (message(n), None)));
            assert!(mailbox.push_batch(&mut batch).is_ok() && batch.is_empty());
            if count == 1 {
                assert!(mailbox.try_take(|| &mut own));
            }
        }
        assert_eq!(next.start, 101, "there is room for 49 of the next");
        batch.extend(next.by_ref().take(99).map(|n| (message(n), None)));
        assert!(mailbox.push_batch(&mut batch).is_err() && batch.is_empty());
        assert!(mailbox.try_take(|| &mut own));
        let received: Vec<Message> = own.into_iter().map(|(message, _)| message).collect();
        assert_eq!(received, (0..150).map(message).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_given_back_comes_first() {
        let (mailbox, mut own) = (Mailbox::new(9), VecDeque::new());
        assert!(push(&mailbox, 0) && push(&mailbox, 1));
        assert!(mailbox.try_take(|| &mut own));
        assert!(push(&mailbox, 2));
        mailbox.give_back(own.split_off(0));
        assert!(mailbox.try_take(|| &mut own));
        let received: Vec<Message> = own.drain(..).map(|(message, _)| message).collect();
        assert_eq!(received, [message(0), message(1), message(2)]);
    }

    #[test]
    fn a_burst_leaves_no_memory_behind() {
        let (mailbox, mut own) = (Mailbox::new(1 << 20), VecDeque::new());
        for _ in 0..2 {
            for n in 0..100_000 {
                assert!(push(&mailbox, n));
            }
            assert!(mailbox.try_take(|| &mut own));
            own.clear();
        }
        assert!(push(&mailbox, 1));
        assert!(mailbox.queue().capacity() <= KEEP_MESSAGES_MAX);
    }
}
