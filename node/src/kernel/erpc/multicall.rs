//! One call to many nodes at once.

use std::time::Duration;

use etf::{Atom, Term};

use super::{Collected, ErpcError, RequestIds, Response, module_atom, request::send_to};
use crate::{Context, clock};

/// `erpc:multicall(Nodes, M, F, Args, Timeout)`: the response of each node, in the order of the nodes; no timeout is
/// `infinity`. The time is for all of them together; who has not answered then has the response `timeout`.
///
/// A module or function that cannot be an atom is `badarg` for all. Dropping the future abandons the calls.
pub async fn multicall(
    context: &mut Context,
    nodes: &[Atom],
    module: &str,
    function: &str,
    args: Vec<Term>,
    timeout: Option<Duration>,
) -> Vec<Response> {
    let call = match (module_atom(module), module_atom(function)) {
        (Ok(module), Ok(function)) => [module, function, Term::list(args)],
        (Err(error), _) | (_, Err(error)) => return nodes.iter().map(|_| Err(error.clone())).collect(),
    };
    let began = clock::now();
    let mut responses: Vec<Response> = nodes.iter().map(|_| Err(ErpcError::erpc("timeout"))).collect();
    let mut waiting = Waiting { context, requests: RequestIds::new() };
    for (nth, node) in nodes.iter().enumerate() {
        let request = send_to(waiting.context, node, call.clone());
        waiting.requests.add(request, nth);
    }
    let Waiting { context, requests } = &mut waiting;
    loop {
        let left = timeout.map(|timeout| timeout.saturating_sub(clock::now().duration_since(began)));
        match requests.wait_response(context, left).await {
            Collected::Response(response, nth) => responses[nth] = response,
            Collected::NoResponse | Collected::NoRequest => break,
        }
    }
    drop(waiting);
    responses
}

/// Calls that are waited for. However the wait ends, nothing of them is left in the mailbox.
struct Waiting<'a> {
    context: &'a mut Context,
    requests: RequestIds<usize>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.requests.abandon(self.context);
    }
}
