//! What waits for a process: messages in the order in which they were delivered.

use std::{collections::VecDeque, fmt, sync::Mutex};

use etf::{Atom, Pid, Reference, Term, tuple};
use tokio::sync::Notify;

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
pub(crate) struct Mailbox {
    queue: Mutex<VecDeque<Arrived>>,
    arrived: Notify,
    messages_max: usize,
}

/// The mailbox has as many messages as it may have.
pub(crate) struct MailboxFull;

impl Mailbox {
    pub(crate) fn new(messages_max: usize) -> Self {
        Self { queue: Mutex::default(), arrived: Notify::new(), messages_max }
    }

    pub(crate) fn push(&self, message: Message, token: Token) -> Result<(), MailboxFull> {
        let mut queue = self.queue.lock().expect("nothing panics while it holds this lock");
        if queue.len() >= self.messages_max {
            return Err(MailboxFull);
        }
        queue.push_back((message, token));
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    pub(crate) fn try_pop(&self) -> Option<Arrived> {
        self.queue.lock().expect("nothing panics while it holds this lock").pop_front()
    }

    /// The next message. Dropping the future loses nothing.
    pub(crate) async fn pop(&self) -> Arrived {
        loop {
            if let Some(message) = self.try_pop() {
                return message;
            }
            self.arrived.notified().await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.lock().expect("nothing panics while it holds this lock").len()
    }
}
