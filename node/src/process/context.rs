//! What a process can do.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use dist::{PlainSend, PlainTo, Signal};
use etf::{Atom, Pid, Reference, Term};

use super::{Arrived, Message, Process};
use crate::{Node, net::Pushed, node::Inner, router::Way};

/// A process's own view of itself: its mailbox, and everything that Erlang does in the name of `self()`.
///
/// It is handed to the process's body and lives as long as that runs.
pub struct Context {
    node: Node,
    process: Arc<Process>,
    /// What was taken out of the mailbox, if ever something was.
    taken: Option<Box<Taken>>,
    /// How many functions that call functions the current one is in.
    depth: u8,
    /// Whether the process has another, which is to see what this one leaves.
    is_twin: bool,
}

/// Messages that a process has and has not received.
#[derive(Default)]
struct Taken {
    /// Oldest first: those that selective receives have passed over, and what else came together with them.
    messages: VecDeque<Arrived>,
    /// How many of them, from the front, are priority messages.
    urgent: usize,
    /// The process of this node that it called or answered last, as it is likely to be the next one too.
    near: Option<Arc<Process>>,
}

impl Drop for Context {
    fn drop(&mut self) {
        if let (true, Some(taken)) = (self.is_twin, &mut self.taken) {
            self.process.mailbox.give_back(mem::take(&mut taken.messages));
        }
    }
}

/// How deep functions that call functions, such as `erlang:apply/3`, may nest. Each level takes stack, and how
/// many there are is for the caller to say, who may be another node. Nobody needs more than two or three.
const DEPTH_MAX: u8 = 32;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Dest {
    /// A process.
    Pid(Pid),
    /// A name registered on this node.
    Name(Atom),
    /// `{Name, Node}`: a name registered on a node.
    NameAt(Atom, Atom),
    /// `{global, Name}`.
    Global(Term),
    /// An alias, to which a reply is sent.
    Alias(Reference),
}

impl Dest {
    /// The node, where it is said.
    pub(super) fn node(&self) -> Option<&Atom> {
        match self {
            Self::Pid(pid) => Some(pid.node()),
            Self::NameAt(_, node) => Some(node),
            Self::Alias(reference) => Some(reference.node()),
            Self::Name(_) | Self::Global(_) => None,
        }
    }
}

impl From<&Pid> for Dest {
    fn from(pid: &Pid) -> Self {
        Self::Pid(pid.clone())
    }
}

impl From<Pid> for Dest {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<&str> for Dest {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<Atom> for Dest {
    fn from(name: Atom) -> Self {
        Self::Name(name)
    }
}

impl From<(&str, &str)> for Dest {
    fn from((name, node): (&str, &str)) -> Self {
        Self::NameAt(name.into(), node.into())
    }
}

impl From<(&str, &Atom)> for Dest {
    fn from((name, node): (&str, &Atom)) -> Self {
        Self::NameAt(name.into(), node.clone())
    }
}

/// Why [`Context::try_send`] has not sent a message, and the message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrySendError {
    /// [`Context::send`] would wait.
    #[error("as much waits for the connection to {node} as may")]
    Busy {
        /// The node that it is for.
        node: Atom,
        /// The message.
        message: Term,
    },
    /// The connection is gone, or there can be none; or the message is longer than any BEAM takes, which is logged.
    #[error("the message cannot be sent to {node}")]
    Lost {
        /// The node that it is for.
        node: Atom,
        /// The message.
        message: Term,
    },
}

impl TrySendError {
    /// The message, to be sent again.
    #[must_use]
    pub fn into_message(self) -> Term {
        match self {
            Self::Busy { message, .. } | Self::Lost { message, .. } => message,
        }
    }
}

impl Context {
    pub(crate) fn new(inner: Arc<Inner>, process: Arc<Process>) -> Self {
        let node = Node::from_inner(inner);
        Self { node, process, taken: None, depth: 0, is_twin: false }
    }

    /// `self()`.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.process.pid
    }

    /// The node that the process lives on.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// `make_ref()`.
    #[must_use]
    pub fn make_ref(&self) -> Reference {
        self.inner().registry.new_reference_of(self.pid())
    }

    // --- Sending ------------------------------------------------------------------------------------------

    /// `Dest ! Message`. Sending to a node connects to it; what cannot be delivered is lost without a word,
    /// as in Erlang.
    ///
    /// Waits *before* the message is queued: while as much waits for the connection as may
    /// ([`NodeConfig::busy_bytes`](crate::NodeConfig::busy_bytes)), and while a long message of this process is
    /// still going out in fragments. Who waits goes on in the order of coming. Dropping the future before it is
    /// done sends nothing; once it is done the message is queued.
    pub async fn send(&self, dest: impl Into<Dest>, message: impl Into<Term>) {
        let (dest, message) = (dest.into(), message.into());
        if self.offer(&dest, &message) {
            return;
        }
        let inner = self.inner();
        let token = self.process.seq_trace.sending(self.pid());
        let Some((node, signal)) = inner.message(self.pid(), dest, message, token) else {
            return;
        };
        match inner.way(&node) {
            Way::Here => inner.receive(signal),
            Way::Over(route) => {
                route.send(&signal).await;
            }
            Way::Nowhere => {}
        }
    }

    /// As [`send`](Self::send), for who keeps the message: to send the same again, or to many. On its way to another node
    /// it is not copied, unless there is no connection yet or the send has to wait.
    pub async fn send_ref(&self, dest: &Dest, message: &Term) {
        if !self.offer(dest, message) {
            self.send(dest.clone(), message.clone()).await;
        }
    }

    /// Sends what needs nothing but a place in the queue of a connection that is up: nearly all that goes to other
    /// nodes. Whether it was sent.
    fn offer(&self, dest: &Dest, message: &Term) -> bool {
        let (node, to) = match dest {
            Dest::Pid(to) => (to.node(), PlainTo::Pid(to)),
            Dest::NameAt(to, node) => (node, PlainTo::Name(to)),
            Dest::Name(_) | Dest::Global(_) | Dest::Alias(_) => return false,
        };
        let inner = self.inner();
        if self.process.seq_trace.is_on() || node == inner.node_atom() {
            return false;
        }
        inner.offer_plain(node, &PlainSend { from: self.pid(), to, message })
    }

    /// Returns once [`send`](Self::send) to this node need not wait: for use before what never waits, such as
    /// [`cast`](Self::cast), [`link`](Self::link) or [`exit`](Self::exit), which a BEAM's process waits for unless it has
    /// the flag `async_dist`. At once where there is no connection, or where another sender takes the room.
    pub async fn wait_for_room(&self, node: &str) {
        if let Some(route) = self.inner().route_if_any(node) {
            route.ready(self.pid()).await;
        }
    }

    /// `erlang:send(Dest, Message, [nosuspend])`: as [`send`](Self::send), but where that would wait the message
    /// comes back. Never waits; a connection is begun if there is none, and a message to a global name that
    /// nobody has is lost as with `send`.
    pub fn try_send(&self, dest: impl Into<Dest>, message: impl Into<Term>) -> Result<(), TrySendError> {
        let (dest, message) = (dest.into(), message.into());
        if self.offer(&dest, &message) {
            return Ok(());
        }
        let inner = self.inner();
        let token = self.process.seq_trace.sending(self.pid());
        let Some((node, signal)) = inner.message(self.pid(), dest, message, token) else {
            return Ok(());
        };
        let pushed = match inner.way(&node) {
            Way::Here => {
                inner.receive(signal);
                return Ok(());
            }
            Way::Over(route) => route.try_send(&signal),
            Way::Nowhere => Some(Pushed::Lost),
        };
        match (pushed, signal) {
            // What the peer could not understand is lost without a word, as with `send`.
            (Some(Pushed::Queued | Pushed::Withheld(_)), _) => Ok(()),
            (
                pushed,
                Signal::Send { message, .. }
                | Signal::RegSend { message, .. }
                | Signal::AliasSend { message, .. },
            ) => Err(match pushed {
                None => TrySendError::Busy { node, message },
                Some(_) => TrySendError::Lost { node, message },
            }),
            _ => unreachable!("`message` makes these three"),
        }
    }

    /// As [`send`](Self::send), without waiting and past the budget: for what must not wait, such as a service's
    /// answers. What piles up so is limited by [`NodeConfig::out_bytes_max`](crate::NodeConfig::out_bytes_max).
    pub fn send_now(&self, dest: impl Into<Dest>, message: impl Into<Term>) {
        let token = self.process.seq_trace.sending(self.pid());
        self.inner().emit_send(self.pid(), dest.into(), message.into(), token);
    }

    /// `erlang:send(Dest, Message, [noconnect])`: nothing is sent if the node is not connected.
    /// Whether it was.
    pub fn send_noconnect(&self, dest: impl Into<Dest>, message: impl Into<Term>) -> bool {
        let dest = dest.into();
        let there = dest.node().is_none_or(|node| self.inner().is_connected(node));
        if there {
            // It may be gone by now, and is not made again.
            let token = self.process.seq_trace.sending(self.pid());
            if let Some((node, signal)) = self.inner().message(self.pid(), dest, message.into(), token) {
                self.inner().emit_noconnect(&node, signal);
            }
        }
        there
    }

    // --- Receiving ----------------------------------------------------------------------------------------

    /// The next message: the first of the priority messages, if there are any. Dropping the future loses nothing.
    pub fn receive(&mut self) -> impl Future<Output = Message> + Send {
        poll_fn(|cx| self.poll_receive(cx))
    }

    /// The next message, or nothing after the timeout. Dropping the future loses nothing.
    pub async fn receive_timeout(&mut self, timeout: Duration) -> Option<Message> {
        self.receive_where_timeout(Some(timeout), |_| true).await
    }

    fn poll_receive(&mut self, cx: &mut task::Context<'_>) -> Poll<Message> {
        loop {
            self.take_urgent();
            if let Some(first) = self.arrived(0) {
                if !self.is_in_other_span(first) {
                    return Poll::Ready(self.remove(0));
                }
                // The process is polled anew, in that span; the message is safe meanwhile.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.poll_more(cx));
        }
    }

    /// Ready once more messages were taken out of the mailbox, or there are priority messages.
    fn poll_more(&mut self, cx: &task::Context<'_>) -> Poll<()> {
        if self.take_more() {
            return Poll::Ready(());
        }
        // What comes after the next look wakes the process.
        self.process.mailbox.register(cx.waker());
        if self.take_more() || self.process.mailbox.has_urgent() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes out what is in the mailbox. Whether there was something.
    fn take_more(&mut self) -> bool {
        let taken = &mut self.taken;
        self.process.mailbox.try_take(|| &mut taken.get_or_insert_default().messages)
    }

    fn arrived(&self, nth: usize) -> Option<&Arrived> {
        self.taken.as_ref()?.messages.get(nth)
    }

    /// Puts the priority messages that have come behind those that came before, and before all others. Nothing where
    /// there were none; else where they begin.
    fn take_urgent(&mut self) -> Option<usize> {
        let urgent = self.process.mailbox.take_urgent();
        if urgent.is_empty() {
            return None;
        }
        let taken = self.taken.get_or_insert_default();
        let before = taken.urgent;
        for arrived in urgent {
            taken.messages.insert(taken.urgent, arrived);
            taken.urgent += 1;
        }
        self.process.mailbox.set_taken(taken.messages.len());
        Some(before)
    }

    fn remove(&mut self, nth: usize) -> Message {
        let taken = self.taken.as_mut().expect("it is there");
        // Nearly always it is the first, and `remove` looks which half is shorter.
        let found = if nth == 0 { taken.messages.pop_front() } else { taken.messages.remove(nth) };
        let (message, _) = found.expect("it is there");
        taken.urgent -= usize::from(nth < taken.urgent);
        self.process.mailbox.set_taken(taken.messages.len());
        message
    }

    /// The token of a message that is received becomes the process's. What the runtime itself says without one leaves
    /// it as it is.
    fn is_in_other_span(&self, (message, token): &Arrived) -> bool {
        (token.is_some() || matches!(message, Message::Term(_))) && self.process.seq_trace.received(token)
    }

    /// `seq_trace:get_token()`: `{Flags, Label, Serial, From, LastCount}` of the message received last, if it is
    /// traced. What this process sends, starts on other nodes, or ends by its own end, is traced on.
    ///
    /// Under a token the process runs in a `tracing` span of level INFO, `seq_trace`, with the fields `label`,
    /// `serial` and `from`.
    #[must_use]
    pub fn seq_token(&self) -> Option<Term> {
        self.process.seq_trace.token().map(Term::from)
    }

    /// A selective receive: the first message for which `wanted` gives something. The others stay, in order.
    /// Dropping the future loses nothing.
    pub async fn receive_match<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        let mut found = None;
        self.receive_where(|message| {
            found = wanted(message);
            found.is_some()
        })
        .await;
        found.expect("a message is taken when something was found")
    }

    /// A selective receive with an end; no timeout is `infinity`, one of zero looks at what is there.
    pub async fn receive_match_timeout<T>(
        &mut self,
        timeout: Option<Duration>,
        mut wanted: impl FnMut(&Message) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        self.receive_where_timeout(timeout, |message| {
            found = wanted(message);
            found.is_some()
        })
        .await?;
        found
    }

    /// A selective receive of a message as it is: the first that is wanted. The others stay, in order. Dropping the future
    /// loses nothing.
    pub async fn receive_where(&mut self, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        let mut seen = 0;
        loop {
            if let Some(found) = self.look(&mut seen, &mut wanted) {
                return self.take_found(found).await;
            }
            poll_fn(|cx| self.poll_more(cx)).await;
        }
    }

    /// The same with an end; no timeout is `infinity`, one of zero looks at what is there.
    ///
    /// A timer costs more than a call to a process of the same thread. So it is looked twice before one is set: in
    /// between such a process has its turn.
    pub async fn receive_where_timeout(
        &mut self,
        timeout: Option<Duration>,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Option<Message> {
        let Some(timeout) = timeout else { return Some(self.receive_where(wanted).await) };
        let (mut seen, mut is_last) = (0, timeout.is_zero());
        let soon = poll_fn(|cx| {
            let found = self.look(&mut seen, &mut wanted);
            if found.is_some() || mem::replace(&mut is_last, true) {
                return Poll::Ready(found);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        match soon.await {
            Some(found) => Some(self.take_found(found).await),
            None if timeout.is_zero() => None,
            None => tokio::time::timeout(timeout, self.receive_where(wanted)).await.ok(),
        }
    }

    /// Where the first message is that is wanted, among those that have come. The first `seen` of them are not.
    fn look(&mut self, seen: &mut usize, wanted: &mut impl FnMut(&Message) -> bool) -> Option<usize> {
        loop {
            if let Some(before) = self.take_urgent() {
                *seen = (*seen).min(before);
            }
            while let Some((message, _)) = self.arrived(*seen) {
                if wanted(message) {
                    return Some(*seen);
                }
                *seen += 1;
            }
            if !self.take_more() && !self.process.mailbox.has_urgent() {
                return None;
            }
        }
    }

    /// Takes out a message that was found, in its span.
    async fn take_found(&mut self, nth: usize) -> Message {
        if self.arrived(nth).is_some_and(|arrived| self.is_in_other_span(arrived)) {
            tokio::task::yield_now().await;
        }
        self.remove(nth)
    }

    /// How many messages wait.
    #[must_use]
    pub fn message_queue_len(&self) -> usize {
        self.process.mailbox.len()
    }

    /// Takes out messages that are not wanted any more.
    pub(crate) fn flush(&mut self, mut unwanted: impl FnMut(&Message) -> bool) {
        self.take_urgent();
        self.take_more();
        let Some(taken) = &mut self.taken else { return };
        let (urgent, mut nth) = (taken.urgent, 0);
        taken.messages.retain(|(message, _)| {
            let is_kept = !unwanted(message);
            taken.urgent -= usize::from(nth < urgent && !is_kept);
            nth += 1;
            is_kept
        });
        self.process.mailbox.set_taken(taken.messages.len());
    }

    /// The process of this node that was kept by [`keep_near`](Self::keep_near), if it is this one.
    pub(crate) fn take_near(&mut self, wanted: impl FnOnce(&Pid) -> bool) -> Option<Arc<Process>> {
        self.taken.as_mut()?.near.take_if(|near| wanted(&near.pid))
    }

    /// Keeps a process for the next [`take_near`](Self::take_near), which is faster than looking it up.
    pub(crate) fn keep_near(&mut self, process: Arc<Process>) {
        if let Some(taken) = &mut self.taken {
            taken.near = Some(process);
        }
    }

    /// Another context of the same process, for answering in its name after its body is done, or for a function that
    /// the process calls: what that takes out of the mailbox and leaves goes back there.
    pub(crate) fn twin(&self) -> Self {
        let mut twin = Self::new(Arc::clone(self.inner()), Arc::clone(&self.process));
        twin.is_twin = true;
        twin
    }

    /// A function is about to call another in the same process. Whether it may.
    pub(crate) fn enter(&mut self) -> bool {
        self.depth += 1;
        self.depth <= DEPTH_MAX
    }

    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        self.node.inner()
    }
}
