//! `rpc`: calls and broadcasts to other nodes, in the words of OTP's older module (cluster-services.md 2.5, 2.6).
//!
//! What can be is an [`erpc`] call whose failure is told by less: [`BadRpc`]. A throw of the function is a value.

use std::time::Duration;

use etf::{Atom, Pid, Term, tuple};
use tokio::sync::oneshot;

use crate::{
    CallError, Context, Dest,
    erpc::{self, ErpcError, RequestId, Response},
};

mod broadcast;
pub use broadcast::{NodeDown, abcast, multi_server_call, sbcast, server_call};

/// `{badrpc, Reason}`: a call failed.
///
/// The reason is `nodedown`, `timeout`, `notsup`, or `{'EXIT', _}` with what the function failed with: the reason of
/// an exit, `{Reason, Stack}` of an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("badrpc: {reason}")]
pub struct BadRpc {
    /// Why.
    pub reason: Term,
}

impl BadRpc {
    pub(super) fn new(reason: &'static str) -> Self {
        Self { reason: Term::atom(reason) }
    }

    /// As with `catch`, a value that says it is an exit is taken for one.
    pub(super) fn unless_exit(value: Term) -> Result<Term, Self> {
        match value.as_tuple() {
            Some([tag, _]) if tag.is_atom("EXIT") => Err(Self { reason: value }),
            _ => Ok(value),
        }
    }

    /// `{badrpc, Reason}`.
    #[must_use]
    pub fn into_term(self) -> Term {
        tuple!(atom "badrpc", self.reason)
    }
}

/// What a response of `erpc` is to `rpc`.
pub(super) fn of_response(response: Response) -> Result<Term, BadRpc> {
    match response {
        Ok(value) => BadRpc::unless_exit(value),
        Err(error) => error.into_rpc(),
    }
}

/// `rpc:call(Node, M, F, Args, Timeout)`; no timeout is `infinity`.
///
/// Dropping the future leaves the call running at the other node; its result is dropped.
pub async fn call(
    context: &mut Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Result<Term, BadRpc> {
    of_response(erpc::call(context, node, module, function, args, timeout).await)
}

/// `rpc:block_call(Node, M, F, Args, Timeout)`: as [`call`], but the node's `rex` runs it itself, and serves nobody else
/// meanwhile.
///
/// Dropping the future leaves the call running at the other node; its result is dropped.
pub async fn block_call(
    context: &mut Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Result<Term, BadRpc> {
    let atom = |name: &str| erpc::atom(name).map_err(|error| BadRpc { reason: exit(error) });
    let node = atom(node)?;
    let (module, function, leader) = (atom(module)?, atom(function)?, context.group_leader());
    let request = tuple!(atom "block_call", module, function, Term::list(args), leader);
    let rex = Atom::from_static("rex");
    let dest = Dest::NameAt(rex.clone(), node.clone());
    let error = match call_aside(context, dest, request.clone(), timeout).await {
        Ok(answer) => {
            return match answer.as_tuple() {
                Some([tag, reason]) if tag.is_atom("badrpc") => Err(BadRpc { reason: reason.clone() }),
                _ => BadRpc::unless_exit(answer),
            };
        }
        Err(error) => error,
    };
    Err(match error {
        CallError::Timeout => BadRpc::new("timeout"),
        CallError::NoConnection { .. } => BadRpc::new("nodedown"),
        CallError::NoProc | CallError::Exit { .. } => {
            let timeout = timeout.map_or(Term::atom("infinity"), |timeout| {
                u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into()
            });
            let args = Term::list(vec![tuple!(rex, node), request, timeout]);
            let call = tuple!(atom "gen_server", atom "call", args);
            BadRpc { reason: tuple!(atom "EXIT", tuple!(error.into_reason(), call)) }
        }
    })
}

/// A gen call of a process of its own, where there is a time: the late answer of a node of OTP 23 comes to the pid, and
/// must reach nobody.
async fn call_aside(
    context: &mut Context,
    dest: Dest,
    request: Term,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    if timeout.is_none() {
        return context.call(dest, request, None).await;
    }
    let (sender, receiver) = oneshot::channel();
    context.spawn(async move |mut context: Context| {
        // Nobody waits if the call was dropped.
        let _ = sender.send(context.call(dest, request, timeout).await);
    });
    receiver.await.unwrap_or_else(|_| Err(CallError::Exit { reason: Term::atom("killed") }))
}

fn exit(error: ErpcError) -> Term {
    match error {
        ErpcError::Erpc(reason) => tuple!(atom "EXIT", reason),
        ErpcError::Signal(reason) => tuple!(atom "EXIT", reason),
        ErpcError::Exception(exception) => tuple!(atom "EXIT", exception.into_reason()),
    }
}

/// `rpc:cast(Node, M, F, Args)`: what becomes of it is not told, as little as whether the node can be reached.
///
/// Does not wait. Fails with `badarg` where a name cannot be an atom.
pub fn cast(
    context: &Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<(), ErpcError> {
    erpc::cast(context, node, module, function, args)
}

/// `rpc:eval_everywhere(Nodes, M, F, Args)`: a [`cast`] to each.
pub fn eval_everywhere(
    context: &Context,
    nodes: &[Atom],
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<(), ErpcError> {
    erpc::multicast(context, nodes, module, function, args)
}

/// A call whose value is to be had by [`yield_`] or [`nb_yield`]. Dropping it abandons the call.
pub type Key = RequestId;

/// `rpc:async_call(Node, M, F, Args)`: a call without waiting for its value.
///
/// Fails with `badarg` where a name cannot be an atom; all else is said by the value.
pub fn async_call(
    context: &Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<Key, ErpcError> {
    erpc::send_request(context, node, module, function, args)
}

/// `rpc:yield(Key)`: waits for the value. Dropping the future abandons the call.
pub async fn yield_(context: &mut Context, key: Key) -> Result<Term, BadRpc> {
    of_response(erpc::receive_response(context, key, None).await)
}

/// `rpc:nb_yield(Key, Timeout)`: the value, if it comes in time; else the call goes on, and can be waited for again.
/// Dropping the future loses nothing.
pub async fn nb_yield(
    context: &mut Context,
    key: &mut Key,
    timeout: Duration,
) -> Option<Result<Term, BadRpc>> {
    erpc::wait_response(context, key, Some(timeout)).await.map(of_response)
}

/// What [`multicall`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Multicall {
    /// What the nodes gave that have answered, in the order of the nodes.
    pub results: Vec<Result<Term, BadRpc>>,
    /// The nodes that could not be reached, or have not answered in time, in that order.
    pub bad_nodes: Vec<Atom>,
}

/// `rpc:multicall(Nodes, M, F, Args, Timeout)`: one call to many nodes at once; no timeout is `infinity`, and the time
/// is for all of them together.
///
/// Dropping the future abandons the calls.
pub async fn multicall(
    context: &mut Context,
    nodes: &[Atom],
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Multicall {
    let responses = erpc::multicall(context, nodes, module, function, args, timeout).await;
    let (mut results, mut bad_nodes) = (Vec::new(), Vec::new());
    for (node, response) in nodes.iter().zip(responses) {
        match response {
            Err(ErpcError::Erpc(why)) if why == "timeout" || why == "noconnection" => {
                bad_nodes.push(node.clone());
            }
            response => results.push(of_response(response)),
        }
    }
    Multicall { results, bad_nodes }
}

/// `rpc:parallel_eval([{M, F, Args}])`: the calls, dealt out to this node and all that are connected; their values, in
/// the order of the calls. `badarg` where a name cannot be an atom.
///
/// Dropping the future abandons the calls.
pub async fn parallel_eval(
    context: &mut Context,
    calls: Vec<(Atom, Atom, Vec<Term>)>,
) -> Vec<Result<Term, BadRpc>> {
    let mut nodes = vec![context.node().name().clone()];
    nodes.extend(context.node().nodes());
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for ((module, function, args), node) in calls.into_iter().zip(nodes.iter().cycle()) {
        keys.push(async_call(context, node, &module, &function, args));
    }
    for key in keys {
        values.push(match key {
            Ok(key) => yield_(context, key).await,
            Err(error) => error.into_rpc(),
        });
    }
    values
}

/// `rpc:pinfo(Pid)`: what its node says of a process; `undefined` if there is none.
///
/// Dropping the future drops the answer.
pub async fn pinfo(context: &mut Context, pid: &Pid) -> Result<Term, BadRpc> {
    call(context, pid.node(), "erlang", "process_info", vec![pid.into()], None).await
}

/// `rpc:pinfo(Pid, Item)`, where the item is an atom or a list of them.
///
/// Dropping the future drops the answer.
pub async fn pinfo_item(context: &mut Context, pid: &Pid, item: impl Into<Term>) -> Result<Term, BadRpc> {
    let args = vec![pid.into(), item.into()];
    if pid.node() == context.node().name() {
        return call(context, pid.node(), "erlang", "process_info", args, None).await;
    }
    block_call(context, pid.node(), "erlang", "process_info", args, None).await
}
