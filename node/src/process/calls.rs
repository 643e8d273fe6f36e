//! Calls of `gen_server`s and of what answers like one (cluster-services.md 2.1).

use std::{mem, sync::Arc, time::Duration};

use etf::{Atom, Pid, Reference, Term, tuple};

use super::{AliasOptions, Context, Dest, Message, Process, Watcher};
use crate::{behaviour::alias_in, clock, node::Inner};

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
        self.call_labelled(Term::atom("$gen_call"), dest.into(), request.into(), timeout).await
    }

    /// The same with another word than `'$gen_call'` in front.
    pub(crate) async fn call_labelled(
        &mut self,
        label: Term,
        dest: Dest,
        request: Term,
        timeout: Option<Duration>,
    ) -> Result<Term, CallError> {
        if self.is_self(&dest) {
            return Err(CallError::Exit { reason: Term::atom("calling_self") });
        }
        let mut left = timeout;
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
        let near = match &dest {
            Dest::Pid(pid) => self.take_near(|near| near == pid),
            _ => None,
        };
        let pending = self.send_labelled(label, dest, request, near);
        self.wait_response(pending, left).await
    }

    /// Sends a gen call without waiting for its answer; see [`wait_response`](Self::wait_response).
    pub fn send_request(&self, dest: impl Into<Dest>, request: impl Into<Term>) -> PendingCall {
        self.send_labelled(Term::atom("$gen_call"), dest.into(), request.into(), None)
    }

    /// The same, and where there is no connection none is made: the answer is that there is none.
    pub(crate) fn send_request_noconnect(&self, dest: Dest, request: Term) -> PendingCall {
        self.send_by(false, Term::atom("$gen_call"), dest, request, None)
    }

    /// The same with another word than `'$gen_call'` in front, and the process that it goes to, where that is known.
    pub(crate) fn send_labelled(
        &self,
        label: Term,
        dest: Dest,
        request: Term,
        near: Option<Arc<Process>>,
    ) -> PendingCall {
        self.send_by(true, label, dest, request, near)
    }

    fn send_by(
        &self,
        connects: bool,
        label: Term,
        mut dest: Dest,
        request: Term,
        near: Option<Arc<Process>>,
    ) -> PendingCall {
        // A global name is looked up once: its owner may change between the monitor and the request.
        if let Dest::Global(name) = &dest {
            dest = match self.inner().whereis_global(name) {
                Some(pid) => Dest::Pid(pid),
                None => Dest::Name(Atom::from_static("undefined")),
            };
        }
        let (inner, reference) = (self.inner(), self.make_ref());
        // With room for the tail, so that memory is asked for once.
        let mut tag = Vec::with_capacity(2);
        tag.push(Term::atom("alias"));
        let tag = Term::list_with_tail(tag, (&reference).into());
        let message = Term::tuple([label, Term::tuple([self.pid().into(), tag]), request]);
        let node = dest.node().unwrap_or(inner.node_atom()).clone();
        let process = Arc::clone(self.process());
        let mut guard = CallGuard { inner: None, process, reference, server: None, is_over: false };
        let reference = &guard.reference;
        if let Some(process) = near.or_else(|| self.process_here(&dest)) {
            guard.server = self.request_here(reference, process, dest, message);
        } else {
            if let Some(signals) = &mut *self.process().signals() {
                signals.alias(reference.clone(), AliasOptions::default());
            }
            if connects {
                self.monitor_as(reference, dest.clone(), false);
                self.send_now(dest, message);
            } else {
                let way = inner.way_if_any(&node);
                self.monitor_by(&way, reference, self.monitored(dest.clone()), false);
                self.send_noconnect(dest, message);
            }
            guard.inner = Some(Arc::clone(inner));
        }
        PendingCall { guard, node }
    }

    /// The process behind a pid or a name of this node.
    fn process_here(&self, dest: &Dest) -> Option<Arc<Process>> {
        let registry = &self.inner().registry;
        match dest {
            Dest::Pid(pid) => registry.get(pid),
            Dest::NameAt(_, node) if node != self.inner().node_atom() => None,
            Dest::Name(name) | Dest::NameAt(name, _) => registry.get(&registry.whereis(name)?),
            Dest::Alias(_) | Dest::Global(_) => None,
        }
    }

    /// Alias, monitor and request as [`send_request`](Self::send_request) has them, to a process that was found. The
    /// process again, if it was there still.
    fn request_here(
        &self,
        reference: &Reference,
        server: Arc<Process>,
        dest: Dest,
        message: Term,
    ) -> Option<Arc<Process>> {
        let by_name = match &dest {
            Dest::Name(name) | Dest::NameAt(name, _) => Some(name.clone()),
            Dest::Pid(_) | Dest::Alias(_) | Dest::Global(_) => None,
        };
        let item = self.monitored(dest);
        if let Some(signals) = &mut *self.process().signals() {
            signals.begin_call(reference.clone(), item);
        }
        let is_there = match &mut *server.signals() {
            Some(signals) if !server.is_exiting() => {
                signals.watched_by(reference.clone(), Watcher { pid: self.pid().clone(), by_name });
                true
            }
            _ => false,
        };
        if !is_there {
            self.inner().fire(self.pid(), reference, Term::atom("noproc"));
            return None;
        }
        let token = self.process().seq_trace.sending(self.pid());
        server.deliver_traced(Message::Term(message), token.map(Box::new));
        Some(server)
    }

    /// Waits for the answer to a request that was sent before. Dropping the future is dropping the call: its
    /// answer reaches nobody.
    pub async fn wait_response(
        &mut self,
        pending: PendingCall,
        timeout: Option<Duration>,
    ) -> Result<Term, CallError> {
        let mut waiting = WaitingCall { context: self, pending, answered: false };
        let WaitingCall { context, pending, .. } = &mut waiting;
        let response = context.receive_where_timeout(timeout, |message| pending.is_response(message));
        let message = response.await.ok_or(CallError::Timeout)?;
        let result = pending.result(message);
        waiting.answered = result.is_ok();
        result
    }

    /// Ends a call: its answer is in the mailbox or never comes, and is taken out.
    pub(crate) fn forget_call(&mut self, pending: &mut PendingCall) {
        pending.guard.end();
        self.flush(|message| pending.is_response(message));
    }

    /// The node that a destination is at, as far as it is known.
    pub(crate) fn node_of(&self, dest: &Dest) -> Atom {
        let global = match dest {
            Dest::Global(name) => self.inner().whereis_global(name),
            _ => None,
        };
        let node = dest.node().or(global.as_ref().map(Pid::node));
        node.unwrap_or_else(|| self.inner().node_atom()).clone()
    }

    /// Whether a process would send this to itself.
    fn is_self(&self, dest: &Dest) -> bool {
        let named = |name: &Atom| self.inner().registry.whereis(name).is_some_and(|pid| pid == *self.pid());
        match dest {
            Dest::Pid(pid) => pid == self.pid(),
            Dest::Name(name) => named(name),
            Dest::NameAt(name, node) => node == self.inner().node_atom() && named(name),
            Dest::Global(name) => self.inner().whereis_global(name).is_some_and(|pid| pid == *self.pid()),
            Dest::Alias(_) => false,
        }
    }

    /// `gen_server:cast(Dest, Message)`.
    pub fn cast(&self, dest: impl Into<Dest>, message: impl Into<Term>) {
        self.send_now(dest, tuple!(atom "$gen_cast", message.into()));
    }
}

/// A gen call whose answer is still to come: what OTP calls a request id. Dropping it ends the call's monitor and its
/// alias; an answer that has come already stays in the mailbox.
pub struct PendingCall {
    guard: CallGuard,
    node: Atom,
}

impl PendingCall {
    /// What its answer's tag and its `DOWN` carry.
    pub(crate) fn reference(&self) -> &Reference {
        &self.guard.reference
    }

    /// Whether a message is its answer, or says that there will be none.
    pub(crate) fn is_response(&self, message: &Message) -> bool {
        answered_call(message) == Some(self.reference())
    }

    /// What such a message says.
    pub(crate) fn result(&self, message: Message) -> Result<Term, CallError> {
        let reason = match message {
            Message::Term(Term::Tuple(mut elements)) => return Ok(mem::replace(&mut elements[1], Term::NIL)),
            Message::Down { reason, .. } => reason,
            _ => unreachable!("an answer is a tuple or a DOWN"),
        };
        Err(match reason.as_atom().map(Atom::as_str) {
            Some("noproc") => CallError::NoProc,
            Some("noconnection") => CallError::NoConnection { node: self.node.clone() },
            _ => CallError::Exit { reason },
        })
    }
}

/// The call that a message answers, or ends without an answer.
pub(crate) fn answered_call(message: &Message) -> Option<&Reference> {
    match message {
        Message::Term(Term::Tuple(elements)) => match &elements[..] {
            [tag, _answer] => alias_in(tag),
            _ => None,
        },
        Message::Down { reference, .. } => Some(reference),
        _ => None,
    }
}

/// Takes the alias away, so that a late answer goes nowhere, and the monitor.
struct CallGuard {
    /// The node, where the server is on another.
    inner: Option<Arc<Inner>>,
    process: Arc<Process>,
    reference: Reference,
    /// The server, where it is on this node.
    server: Option<Arc<Process>>,
    is_over: bool,
}

impl CallGuard {
    /// Whether the monitor was still set: then no `DOWN` of it has come.
    fn end(&mut self) -> bool {
        if mem::replace(&mut self.is_over, true) {
            return false;
        }
        let item = self.process.signals().as_mut().and_then(|signals| signals.end_call(&self.reference));
        if let (Some(_), Some(server)) = (&item, &self.server) {
            server.with_signals(|signals| signals.unwatched_by(&self.reference));
        } else if let (Some(item), Some(inner)) = (&item, &self.inner) {
            inner.emit_demonitor(&self.process.pid, item, self.reference.clone());
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
        if self.pending.guard.end() && self.answered {
            if let Some(server) = self.pending.guard.server.take() {
                self.context.keep_near(server);
            }
            return;
        }
        self.context.flush(|message| self.pending.is_response(message));
    }
}
