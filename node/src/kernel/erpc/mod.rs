//! `erpc`: calling functions of other nodes, and being called (cluster-services.md 2.5).
//!
//! A call is a process at the other node, which is monitored and says by its exit reason how it went. [`call`] waits
//! for that; [`send_request`] gives a [`RequestId`] to wait with later, and [`RequestIds`] are many of them;
//! [`multicall`] calls many nodes at once; [`cast`] and [`multicast`] do not want to know.
//!
//! Every node of OTP 23 and later serves these calls. One that does not says `notsup`.

use std::time::Duration;

use etf::{Atom, Reference, Term, tuple};

use crate::{Context, Exception, rpc::BadRpc};

mod collection;
pub use collection::{Collected, RequestIds};
mod multicall;
pub use multicall::multicall;
mod request;
pub use request::{RequestId, check_response, receive_response, send_request, wait_response};
mod start;
pub use start::RemoteSpawnOptions;
use start::Told;

/// What a call gives.
pub type Response = Result<Term, ErpcError>;

/// How a call to another node failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ErpcError {
    /// The function failed.
    #[error("the function failed: {0:?}")]
    Exception(Exception),
    /// The process that ran it was ended by an exit signal.
    #[error("the process that ran it was ended: {0}")]
    Signal(Term),
    /// `erpc` itself failed: `noconnection`, `timeout`, `notsup`, `badarg`, `system_limit`, …
    #[error("{0}")]
    Erpc(Atom),
}

impl ErpcError {
    fn erpc(reason: &'static str) -> Self {
        Self::Erpc(Atom::from_static(reason))
    }

    /// What `erpc:call` raises: a throw as it was, else `exit({exception, _})`, `exit({signal, _})`,
    /// `error({exception, _, Stack})`, or `error({erpc, _})`.
    #[must_use]
    pub fn into_exception(self) -> Exception {
        match self {
            Self::Exception(Exception::Throw(term)) => Exception::Throw(term),
            Self::Exception(Exception::Exit(reason)) => Exception::Exit(tuple!(atom "exception", reason)),
            Self::Exception(Exception::Error { reason, stack }) => {
                Exception::error(tuple!(atom "exception", reason, stack))
            }
            Self::Signal(reason) => Exception::Exit(tuple!(atom "signal", reason)),
            Self::Erpc(reason) => Exception::error(tuple!(atom "erpc", reason)),
        }
    }

    /// The same as one term, where `{badrpc, Reason}` says that it is no value.
    pub(crate) fn into_badrpc(self) -> Term {
        self.into_rpc().unwrap_or_else(BadRpc::into_term)
    }

    /// What `rpc:call` returns: a throw is a value, all else `{badrpc, Reason}`.
    pub fn into_rpc(self) -> Result<Term, BadRpc> {
        let exit = |reason: Term| Err(BadRpc { reason: tuple!(atom "EXIT", reason) });
        match self {
            Self::Exception(Exception::Throw(term)) => BadRpc::unless_exit(term),
            Self::Exception(Exception::Exit(reason)) | Self::Signal(reason) => exit(reason),
            Self::Exception(Exception::Error { reason, stack }) => exit(tuple!(reason, stack)),
            Self::Erpc(reason) if reason == "noconnection" => Err(BadRpc::new("nodedown")),
            Self::Erpc(reason) if reason == "timeout" || reason == "notsup" => {
                Err(BadRpc { reason: reason.into() })
            }
            Self::Erpc(reason) => exit(Term::Atom(reason)),
        }
    }
}

/// `erpc:call(Node, M, F, Args, Timeout)`; no timeout is `infinity`.
///
/// A name that cannot be an atom is `badarg`. Dropping the future leaves the call running at the other node; its
/// result is dropped.
pub async fn call(
    context: &mut Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Response {
    let request = send_request(context, node, module, function, args)?;
    receive_response(context, request, timeout).await
}

/// `erpc:cast(Node, M, F, Args)`: what becomes of it is not told, as little as whether the node can be reached.
///
/// Does not wait. Fails with `badarg` where a name cannot be an atom.
pub fn cast(
    context: &Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<(), ErpcError> {
    let call = [module_atom(module)?, module_atom(function)?, Term::list(args)];
    cast_to(context, &atom(node)?, &call);
    Ok(())
}

/// `erpc:multicast(Nodes, M, F, Args)`: a [`cast`] to each.
pub fn multicast(
    context: &Context,
    nodes: &[Atom],
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<(), ErpcError> {
    let call = [module_atom(module)?, module_atom(function)?, Term::list(args)];
    nodes.iter().for_each(|node| cast_to(context, node, &call));
    Ok(())
}

fn cast_to(context: &Context, node: &Atom, call: &[Term; 3]) {
    let execute = (Atom::from_static("erpc"), Atom::from_static("execute_cast"));
    let options = RemoteSpawnOptions::default();
    context.spawn_request_as(node, execute, call.to_vec(), options, Told::Nothing);
}

pub(super) fn atom(name: &str) -> Result<Atom, ErpcError> {
    Atom::try_new(name).map_err(|_| ErpcError::erpc("badarg"))
}

fn module_atom(name: &str) -> Result<Term, ErpcError> {
    atom(name).map(Term::Atom)
}

/// What the exit reason of `execute_call` says.
fn parse(result: &Reference, reason: Term) -> Response {
    let is_ours = |term: &Term| term.as_reference() == Some(result);
    let exception = |exception| Err(ErpcError::Exception(exception));
    match reason.as_tuple() {
        Some([r, kind, value]) if is_ours(r) => match kind.as_atom().map(Atom::as_str) {
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
        Some([r, kind, value, stack]) if is_ours(r) && kind.is_atom("error") => {
            exception(Exception::Error { reason: value.clone(), stack: stack.clone() })
        }
        _ if reason.is_atom("noconnection") => Err(ErpcError::erpc("noconnection")),
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

#[cfg(test)]
mod tests;
