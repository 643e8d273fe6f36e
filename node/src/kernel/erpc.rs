//! `erpc`: calling functions of other nodes, and being called (cluster-services.md 2.5).

use std::time::Duration;

use dist::{Mfa, MonitorOptions, SpawnOptions as WireOptions, SpawnRequest};
use etf::{Atom, Term, tuple};

use crate::{Context, Exception, Message, Monitor};

/// How a call to another node failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ErpcError {
    /// The function failed.
    #[error("the function failed: {0:?}")]
    Exception(Exception),
    /// The process that ran it was ended by an exit signal.
    #[error("the process that ran it was ended: {0}")]
    Signal(Term),
    /// `erpc` itself failed: `noconnection`, `timeout`, `notsup`, …
    #[error("{0}")]
    Erpc(Atom),
}

impl ErpcError {
    /// What `rpc:call` would return: `{badrpc, Reason}`; a throw is a value.
    #[must_use]
    pub fn into_badrpc(self) -> Term {
        let badrpc = |reason: Term| tuple!(atom "badrpc", reason);
        let exit = |reason: Term| badrpc(tuple!(atom "EXIT", reason));
        match self {
            Self::Exception(Exception::Throw(term)) => match term.as_tuple() {
                Some([tag, _]) if tag.is_atom("EXIT") => badrpc(term),
                _ => term,
            },
            Self::Exception(Exception::Exit(reason)) | Self::Signal(reason) => exit(reason),
            Self::Exception(Exception::Error { reason, stack }) => exit(tuple!(reason, stack)),
            Self::Erpc(reason) if reason == "noconnection" => badrpc(Term::atom("nodedown")),
            Self::Erpc(reason) if reason == "timeout" || reason == "notsup" => badrpc(Term::Atom(reason)),
            Self::Erpc(reason) => exit(Term::Atom(reason)),
        }
    }
}

/// `erpc:call(Node, M, F, Args, Timeout)`; no timeout is `infinity`.
///
/// Dropping the future leaves the call running at the other node; its result is dropped.
pub async fn call(
    context: &mut Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Result<Term, ErpcError> {
    let bad = |_| ErpcError::Erpc(Atom::from_static("badarg"));
    let node = Atom::try_new(node).map_err(bad)?;
    let mfa =
        [Term::Atom(Atom::try_new(module).map_err(bad)?), Term::Atom(Atom::try_new(function).map_err(bad)?)];
    let result = context.make_ref();
    let [module, function] = mfa;
    let arguments = vec![Term::from(&result), module, function, Term::list(args)];
    let options = RemoteSpawnOptions { link: false, monitor: true };
    let request = context.spawn_request(node, "erpc", "execute_call", arguments, options);
    let mut requested = Requested { context, request: Monitor { reference: request } };
    let Requested { context, request: Monitor { reference: request } } = &mut requested;
    // A refusal is an answer to the request, a result is the exit reason of what it started.
    let wait = context.receive_match_timeout(timeout, |message| match message {
        Message::SpawnReply { reference, result: Err(error) } if reference == request => {
            Some(Err(error.clone()))
        }
        Message::Down { reference, reason, .. } if reference == request => Some(Ok(reason.clone())),
        _ => None,
    });
    let outcome = wait.await;
    drop(requested);
    match outcome {
        None => Err(ErpcError::Erpc(Atom::from_static("timeout"))),
        Some(Err(error)) => Err(ErpcError::Erpc(error)),
        Some(Ok(reason)) => parse(&Term::from(&result), reason),
    }
}

/// A request that is waited for. However the wait ends, nothing of it is left in the mailbox.
struct Requested<'a> {
    context: &'a mut Context,
    request: Monitor,
}

impl Drop for Requested<'_> {
    fn drop(&mut self) {
        self.context.forget_spawn(&self.request);
    }
}

/// `rpc:call(Node, M, F, Args, Timeout)`: a failure is a value, `{badrpc, Reason}`.
pub async fn rpc_call(
    context: &mut Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Term {
    match call(context, node, module, function, args, timeout).await {
        Ok(value) => match value.as_tuple() {
            Some([tag, _]) if tag.is_atom("EXIT") => tuple!(atom "badrpc", value),
            _ => value,
        },
        Err(error) => error.into_badrpc(),
    }
}

/// What the exit reason of `execute_call` says.
fn parse(result: &Term, reason: Term) -> Result<Term, ErpcError> {
    let exception = |exception| Err(ErpcError::Exception(exception));
    match reason.as_tuple() {
        Some([r, kind, value]) if r == result => match kind.as_atom().map(Atom::as_str) {
            Some("return") => Ok(value.clone()),
            Some("throw") => exception(Exception::Throw(value.clone())),
            Some("exit") => exception(Exception::Exit(value.clone())),
            Some("error") => match value.as_tuple() {
                Some([tag, Term::Atom(reason)]) if tag.is_atom("erpc") => {
                    Err(ErpcError::Erpc(reason.clone()))
                }
                _ => exception(Exception::Error { reason: value.clone(), stack: Term::NIL }),
            },
            _ => Err(ErpcError::Signal(reason)),
        },
        Some([r, kind, value, stack]) if r == result && kind.is_atom("error") => {
            exception(Exception::Error { reason: value.clone(), stack: stack.clone() })
        }
        _ if reason.is_atom("noconnection") => Err(ErpcError::Erpc(Atom::from_static("noconnection"))),
        _ => Err(ErpcError::Signal(reason)),
    }
}

/// The exit reason that carries what a call found: the counterpart of [`call`].
pub(crate) fn execute_call_reason(result: Term, outcome: Result<Term, Exception>) -> Term {
    match outcome {
        Ok(value) => tuple!(result, atom "return", value),
        Err(Exception::Throw(term)) => tuple!(result, atom "throw", term),
        Err(Exception::Exit(reason)) => tuple!(result, atom "exit", reason),
        Err(Exception::Error { reason, stack }) => tuple!(result, atom "error", reason, stack),
    }
}

/// How a process is started on another node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteSpawnOptions {
    /// Whether it is linked with the process that asks, from its start.
    pub link: bool,
    /// Whether it is monitored, from its start.
    pub monitor: bool,
}

impl Context {
    /// `spawn_request(Node, M, F, Args, Options)`: asks a node to start a process. The reference is that of the answer,
    /// a [`Message::SpawnReply`], and of the `DOWN`.
    ///
    /// Never waits. A node that cannot be reached answers with `noconnection`, one that knows no such requests with
    /// `notsup`; that there is no such function is said by how the new process ends.
    pub fn spawn_request(
        &self,
        node: impl Into<Atom>,
        module: impl Into<Atom>,
        function: impl Into<Atom>,
        args: Vec<Term>,
        options: RemoteSpawnOptions,
    ) -> etf::Reference {
        let node = &node.into();
        let request_id = self.make_ref();
        let inner = self.inner();
        let way = inner.way(node);
        if let Some(signals) = &mut *self.process().signals() {
            inner.registry.concern(node, self.pid());
            signals.spawn_requested(request_id.clone(), node.clone());
        }
        let request = SpawnRequest {
            request_id: request_id.clone(),
            from: self.pid().clone(),
            group_leader: self.group_leader(),
            mfa: Mfa {
                module: module.into(),
                function: function.into(),
                arity: i64::try_from(args.len()).unwrap_or(i64::MAX),
            },
            options: Ok(WireOptions {
                link: options.link,
                monitor: options.monitor.then(MonitorOptions::default),
                ..WireOptions::default()
            }),
            token: self.process().seq_trace.sending(self.pid()),
        };
        inner.emit_spawn_request(&way, request, args);
        request_id
    }
}
