//! What a process can do.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use dist::Signal;
use etf::{Atom, Pid, Reference, Term, tuple};

use super::{AliasOptions, Arrived, IntoExit, Message, Monitored, NameTaken, Process, SpawnOptions, Watcher};
use crate::{Node, clock, net::Pushed, node::Inner, router::Way};

/// A process's own view of itself: its mailbox, and everything that Erlang does in the name of `self()`.
///
/// It is handed to the process's body and lives as long as that runs.
pub struct Context {
    node: Node,
    process: Arc<Process>,
    /// Messages that were taken out of the mailbox, oldest first: those that selective receives have passed over,
    /// and what else came together with them.
    taken: VecDeque<Arrived>,
    /// How many of them, from the front, are priority messages.
    urgent: usize,
    /// How many functions that call functions the current one is in.
    depth: u8,
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
    fn node(&self) -> Option<&Atom> {
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

/// A monitor that is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// What its `DOWN` will carry.
    pub reference: Reference,
}

/// Why a call has no answer: the reason with which `gen_server:call` would exit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// There is no such process.
    #[error("there is no such process")]
    NoProc,
    /// The link to the process's node was lost, or could not be made.
    #[error("no connection to the node {node}")]
    NoConnection {
        /// The node.
        node: Atom,
    },
    /// The process ended before it answered.
    #[error("the process ended: {reason}")]
    Exit {
        /// Why it ended.
        reason: Term,
    },
}

impl CallError {
    /// The reason as `gen_server:call` exits with it, without the call itself.
    #[must_use]
    pub fn into_reason(self) -> Term {
        match self {
            Self::Timeout => Term::atom("timeout"),
            Self::NoProc => Term::atom("noproc"),
            Self::NoConnection { node } => tuple!(atom "nodedown", node),
            Self::Exit { reason } => reason,
        }
    }
}

impl Context {
    pub(crate) fn new(inner: Arc<Inner>, process: Arc<Process>) -> Self {
        Self { node: Node::from_inner(inner), process, taken: VecDeque::new(), urgent: 0, depth: 0 }
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
        self.inner().registry.new_reference()
    }

    /// `group_leader()`: who gets this process's output. Processes that it starts have the same, here and on other
    /// nodes.
    #[must_use]
    pub fn group_leader(&self) -> Pid {
        self.process.group_leader()
    }

    /// `group_leader(Leader, Pid)`: gives a process another group leader, this one or another, of this node or not.
    ///
    /// Never waits. Once it returns, a process of this node has it. A process that is gone is no error.
    pub fn set_group_leader(&self, leader: &Pid, member: &Pid) {
        self.inner().emit_group_leader(leader, member);
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
        let inner = self.inner();
        let token = self.process.seq_trace.sending(self.pid());
        let Some((node, signal)) = inner.message(self.pid(), dest.into(), message.into(), token) else {
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
        let inner = self.inner();
        let token = self.process.seq_trace.sending(self.pid());
        let Some((node, signal)) = inner.message(self.pid(), dest.into(), message.into(), token) else {
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
            self.send_now(dest, message);
        }
        there
    }

    // --- Receiving ----------------------------------------------------------------------------------------

    /// The next message: the first of the priority messages, if there are any. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Message {
        self.ready().await;
        self.take().await
    }

    /// The next message, or nothing after the timeout. Dropping the future loses nothing.
    pub async fn receive_timeout(&mut self, timeout: Duration) -> Option<Message> {
        tokio::time::timeout(timeout, self.ready()).await.ok()?;
        Some(self.take().await)
    }

    /// Returns once there is a message.
    async fn ready(&mut self) {
        loop {
            self.take_urgent();
            if !self.taken.is_empty() {
                return;
            }
            self.process.mailbox.take(&mut self.taken).await;
        }
    }

    /// Puts the priority messages that have come behind those that came before, and before all others. Whether there
    /// were any.
    fn take_urgent(&mut self) -> bool {
        let urgent = self.process.mailbox.take_urgent();
        let has_some = !urgent.is_empty();
        for arrived in urgent {
            self.taken.insert(self.urgent, arrived);
            self.urgent += 1;
        }
        if has_some {
            self.process.mailbox.set_taken(self.taken.len());
        }
        has_some
    }

    /// Gives out the first message, under its token.
    async fn take(&mut self) -> Message {
        if self.is_in_other_span(&self.taken[0]) {
            // The process is polled anew, in that span; the message is safe meanwhile.
            tokio::task::yield_now().await;
        }
        self.remove(0)
    }

    fn remove(&mut self, nth: usize) -> Message {
        let (message, _) = self.taken.remove(nth).expect("it is there");
        self.urgent -= usize::from(nth < self.urgent);
        self.process.mailbox.set_taken(self.taken.len());
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
        let mut seen = 0;
        loop {
            let urgent = self.urgent;
            if self.take_urgent() {
                seen = seen.min(urgent);
            }
            while let Some(arrived) = self.taken.get(seen) {
                if let Some(found) = wanted(&arrived.0) {
                    if self.is_in_other_span(arrived) {
                        tokio::task::yield_now().await;
                    }
                    self.remove(seen);
                    return found;
                }
                seen += 1;
            }
            self.process.mailbox.take(&mut self.taken).await;
        }
    }

    /// A selective receive with an end.
    pub async fn receive_match_timeout<T>(
        &mut self,
        timeout: Option<Duration>,
        wanted: impl FnMut(&Message) -> Option<T>,
    ) -> Option<T> {
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, self.receive_match(wanted)).await.ok(),
            None => Some(self.receive_match(wanted).await),
        }
    }

    /// How many messages wait.
    #[must_use]
    pub fn message_queue_len(&self) -> usize {
        self.process.mailbox.len()
    }

    /// Takes out messages that are not wanted any more.
    pub(crate) fn flush(&mut self, mut unwanted: impl FnMut(&Message) -> bool) {
        self.take_urgent();
        self.process.mailbox.try_take(&mut self.taken);
        let (urgent, mut nth) = (self.urgent, 0);
        self.taken.retain(|(message, _)| {
            let is_kept = !unwanted(message);
            self.urgent -= usize::from(nth < urgent && !is_kept);
            nth += 1;
            is_kept
        });
        self.process.mailbox.set_taken(self.taken.len());
    }

    // --- Links, monitors, exits ---------------------------------------------------------------------------

    /// `process_flag(trap_exit, Flag)`.
    pub fn trap_exit(&self, flag: bool) {
        if let Some(signals) = &mut *self.process.signals() {
            signals.trap_exit = flag;
        }
    }

    /// `link(Pid)`. A process that is not there answers by an exit with the reason `noproc`.
    pub fn link(&self, to: &Pid) {
        self.link_as(to, false);
    }

    pub(super) fn link_as(&self, to: &Pid, is_urgent: bool) {
        if to == self.pid() {
            return;
        }
        let (inner, way) = (self.inner(), self.inner().way(to.node()));
        let link = Signal::Link { from: self.pid().clone(), to: to.clone() };
        let pushed = {
            let mut signals = self.process.signals();
            let Some(signals) = &mut *signals else { return };
            inner.registry.concern(to.node(), self.pid());
            signals.set_urgent_link(to, is_urgent);
            if !signals.link(to) {
                return;
            }
            // Under the lock: the peer must hear of it after what was said of the link before, and before what is
            // said later, such as the acknowledgement of its own unlink (wire.md 5.1).
            match &way {
                Way::Over(route) => route.push(&link),
                Way::Here => Pushed::Queued,
                Way::Nowhere => Pushed::Lost,
            }
        };
        match way {
            Way::Here => inner.receive(link),
            Way::Over(_) | Way::Nowhere if pushed == Pushed::Lost => inner.link_lost(self.pid(), to),
            Way::Over(_) | Way::Nowhere => {}
        }
    }

    /// `unlink(Pid)`. After it no exit of that link is delivered; one that is in the mailbox stays there.
    pub fn unlink(&self, to: &Pid) {
        let id = self.inner().registry.new_unlink_id();
        let send = self.process.signals().as_mut().is_some_and(|signals| signals.unlink(to, id));
        if send {
            self.inner().emit_unlink(self.pid(), to, id);
        }
    }

    /// Unlinks from a process that is ending, and takes its exit out of the mailbox if it came.
    pub(crate) fn forget_exit(&mut self, pid: &Pid) {
        self.unlink(pid);
        self.flush(|message| matches!(message, Message::Exit { from, .. } if from == pid));
    }

    /// `monitor(process, Dest)`: a [`Message::Down`] comes once, when the process ends, is not there
    /// (`noproc`) or cannot be reached (`noconnection`).
    pub fn monitor(&self, dest: impl Into<Dest>) -> Monitor {
        let reference = self.make_ref();
        self.monitor_as(&reference, dest.into(), false);
        Monitor { reference }
    }

    pub(super) fn monitor_as(&self, reference: &Reference, dest: Dest, is_urgent: bool) {
        let own = self.inner().node_atom();
        let item = match dest {
            Dest::Pid(pid) => Monitored::Pid(pid),
            Dest::Name(name) => Monitored::Name(name, own.clone()),
            Dest::NameAt(name, node) => Monitored::Name(name, node),
            Dest::Global(name) => match self.inner().whereis_global(&name) {
                Some(pid) => Monitored::Pid(pid),
                None => Monitored::Name(Atom::from_static("undefined"), own.clone()),
            },
            Dest::Alias(reference) => {
                Monitored::Name(Atom::from_static("undefined"), reference.node().clone())
            }
        };
        let way = self.inner().way(item.node());
        if let Some(signals) = &mut *self.process.signals() {
            self.inner().registry.concern(item.node(), self.pid());
            signals.watch(reference.clone(), item.clone());
            if is_urgent {
                signals.set_urgent_monitor(reference);
            }
        }
        self.inner().emit_monitor(&way, self.pid(), &item, reference.clone());
    }

    /// `demonitor(Ref, [flush])`: its `DOWN` will not be received.
    pub fn demonitor(&mut self, monitor: &Monitor) {
        let item = self.process.signals().as_mut().and_then(|signals| signals.unwatch(&monitor.reference));
        match item {
            Some(item) => self.inner().emit_demonitor(self.pid(), &item, monitor.reference.clone()),
            None => self.flush(
                |message| matches!(message, Message::Down { reference, .. } if *reference == monitor.reference),
            ),
        }
    }

    /// `exit(Pid, Reason)`: asks another process to end; `kill` cannot be trapped.
    pub fn exit(&self, to: &Pid, reason: impl Into<Term>) {
        let token = self.process.seq_trace.sending(self.pid());
        self.inner().emit_exit2(self.pid(), to, reason.into(), token);
    }

    /// `net_kernel:monitor_nodes(Flag, [{node_type, all}])`: a [`Message::Node`] comes for every node that is
    /// connected or lost, hidden ones included.
    pub fn monitor_nodes(&self, flag: bool) {
        self.inner().monitor_nodes(self.pid(), flag);
    }

    // --- Names and processes ------------------------------------------------------------------------------

    /// `register(Name, self())`. As in Erlang nobody can be `undefined`.
    pub fn register(&self, name: impl Into<Atom>) -> Result<(), NameTaken> {
        let name = name.into();
        if self.inner().registry.register(&name, self.pid()) { Ok(()) } else { Err(NameTaken { name }) }
    }

    /// Starts a process whose output goes where this one's goes.
    pub fn spawn<F, Fut>(&self, body: F) -> Pid
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        self.start(SpawnOptions::default(), false, None, body).expect("no name was given that could be taken")
    }

    /// Starts a process that is linked with this one from the start.
    pub fn spawn_link<F, Fut>(&self, options: SpawnOptions, body: F) -> Result<Pid, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        self.start(options, true, None, body)
    }

    /// Starts a process that is linked with this one and watched by it from the start, so that its end is seen
    /// however soon it comes.
    pub(crate) fn spawn_link_monitor<F, Fut>(&self, body: F) -> (Pid, Monitor)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let reference = self.make_ref();
        let pid = self.start(SpawnOptions::default(), true, Some(&reference), body);
        (pid.expect("no name was given that could be taken"), Monitor { reference })
    }

    fn start<F, Fut>(
        &self,
        mut options: SpawnOptions,
        link: bool,
        watch: Option<&Reference>,
        body: F,
    ) -> Result<Pid, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        options.group_leader.get_or_insert_with(|| self.group_leader());
        let process = self.inner().new_process(options)?;
        let pid = process.pid.clone();
        if link {
            process.with_signals(|signals| signals.linked_by(self.pid()));
            self.process.with_signals(|signals| {
                signals.link(&pid);
            });
        }
        if let Some(reference) = watch {
            process.with_signals(|signals| {
                let watcher = Watcher { pid: self.pid().clone(), by_name: None };
                signals.watched_by(reference.clone(), watcher);
            });
            self.process
                .with_signals(|signals| signals.watch(reference.clone(), Monitored::Pid(pid.clone())));
        }
        self.inner().run_process(process, body);
        Ok(pid)
    }

    // --- Calls --------------------------------------------------------------------------------------------

    /// `gen_server:call(Dest, Request, Timeout)`; no timeout is `infinity`.
    ///
    /// Waits as [`send`](Self::send) does before anything is sent. Dropping the future later leaves the call
    /// under way at the server; its answer reaches nobody.
    pub async fn call(
        &mut self,
        dest: impl Into<Dest>,
        request: impl Into<Term>,
        timeout: Option<Duration>,
    ) -> Result<Term, CallError> {
        let (dest, mut left) = (dest.into(), timeout);
        if let Some(route) = dest.node().and_then(|node| self.inner().route_if_any(node)) {
            let began = clock::now();
            let ready = route.ready(self.pid());
            match timeout {
                Some(timeout) => {
                    tokio::time::timeout(timeout, ready).await.map_err(|_| CallError::Timeout)?
                }
                None => ready.await,
            }
            left = timeout.map(|timeout| timeout.saturating_sub(clock::now().duration_since(began)));
        }
        let pending = self.send_request(dest, request);
        self.wait_response(pending, left).await
    }

    /// Sends a gen call without waiting for its answer; see [`wait_response`](Self::wait_response).
    pub fn send_request(&self, dest: impl Into<Dest>, request: impl Into<Term>) -> PendingCall {
        let mut dest = dest.into();
        // A global name is looked up once: its owner may change between the monitor and the request.
        if let Dest::Global(name) = &dest {
            dest = match self.inner().whereis_global(name) {
                Some(pid) => Dest::Pid(pid),
                None => Dest::Name(Atom::from_static("undefined")),
            };
        }
        let reference = self.make_ref();
        self.inner().registry.alias(reference.clone(), self.pid().clone(), AliasOptions::default());
        self.monitor_as(&reference, dest.clone(), false);
        let tag = Term::list_with_tail(vec![Term::atom("alias")], (&reference).into());
        let node = match &dest {
            Dest::Pid(pid) => pid.node().clone(),
            Dest::NameAt(_, node) => node.clone(),
            _ => self.inner().node_atom().clone(),
        };
        let from = tuple!(self.pid(), tag.clone());
        self.send_now(dest, tuple!(atom "$gen_call", from, request.into()));
        PendingCall {
            guard: CallGuard {
                inner: Arc::clone(self.inner()),
                process: Arc::clone(&self.process),
                reference: reference.clone(),
            },
            reference,
            tag,
            node,
        }
    }

    /// Waits for the answer to a request that was sent before. Dropping the future is dropping the call: its
    /// answer reaches nobody.
    pub async fn wait_response(
        &mut self,
        pending: PendingCall,
        timeout: Option<Duration>,
    ) -> Result<Term, CallError> {
        let mut waiting = WaitingCall { context: self, pending, answered: false };
        let WaitingCall { context, pending: PendingCall { reference, tag, .. }, .. } = &mut waiting;
        let result = context
            .receive_match_timeout(timeout, |message| match message {
                Message::Term(term) => match term.as_tuple() {
                    Some([t, answer]) if t == tag => Some(Ok(answer.clone())),
                    _ => None,
                },
                Message::Down { reference: r, reason, .. } if r == reference => Some(Err(reason.clone())),
                _ => None,
            })
            .await;
        match result {
            Some(Ok(answer)) => {
                waiting.answered = true;
                Ok(answer)
            }
            Some(Err(reason)) if reason.is_atom("noproc") => Err(CallError::NoProc),
            Some(Err(reason)) if reason.is_atom("noconnection") => {
                Err(CallError::NoConnection { node: waiting.pending.node.clone() })
            }
            Some(Err(reason)) => Err(CallError::Exit { reason }),
            None => Err(CallError::Timeout),
        }
    }

    /// `gen_server:cast(Dest, Message)`.
    pub fn cast(&self, dest: impl Into<Dest>, message: impl Into<Term>) {
        self.send_now(dest, tuple!(atom "$gen_cast", message.into()));
    }

    /// Another context of the same process, for answering in its name after its body is done.
    pub(crate) fn twin(&self) -> Self {
        Self::new(Arc::clone(self.inner()), Arc::clone(&self.process))
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

/// A gen call whose answer is still to come. Dropping it ends the call's monitor and its alias; an answer that
/// has come already stays in the mailbox.
pub struct PendingCall {
    reference: Reference,
    tag: Term,
    node: Atom,
    guard: CallGuard,
}

impl PendingCall {
    /// What its answer's tag and its `DOWN` carry.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }
}

/// Takes the alias away, so that a late answer goes nowhere, and the monitor.
struct CallGuard {
    inner: Arc<Inner>,
    process: Arc<Process>,
    reference: Reference,
}

impl CallGuard {
    /// Whether the monitor was still set: then no `DOWN` of it has come.
    fn end(&self) -> bool {
        self.inner.registry.unalias(&self.reference, &self.process.pid);
        let item = self.process.signals().as_mut().and_then(|signals| signals.unwatch(&self.reference));
        if let Some(item) = &item {
            self.inner.emit_demonitor(&self.process.pid, item, self.reference.clone());
        }
        item.is_some()
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.end();
    }
}

/// A call that is waited for. However the wait ends, nothing of the call is left in the mailbox.
struct WaitingCall<'a> {
    context: &'a mut Context,
    pending: PendingCall,
    answered: bool,
}

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        let PendingCall { reference, tag, guard, .. } = &self.pending;
        if guard.end() && self.answered {
            return;
        }
        self.context.flush(|message| match message {
            Message::Term(term) => matches!(term.as_tuple(), Some([t, _]) if t == tag),
            Message::Down { reference: r, .. } => r == reference,
            _ => false,
        });
    }
}
