//! `rpc` and `erpc` by way of this node: it calls, casts and broadcasts for others, to whatever it reaches.

use std::time::Duration;

use etf::{Atom, Fun, Pid, Term, tuple};

use super::{Args, Builtin, Outcome, atoms, badarg, ok, timeout};
use crate::{
    Context, Exception,
    erpc::{self, ErpcError},
    rpc::{self, BadRpc, Multicall},
};

pub(super) fn insert_all(functions: Builtin<'_>) {
    erpc_calls(functions);
    rpc_calls(functions);
    rpc_broadcasts(functions);
}

/// `M, F, Args`, or one fun, as arguments begin or end with.
struct Mfa<'a> {
    module: &'a str,
    function: &'a str,
    args: Vec<Term>,
}

impl<'a> Mfa<'a> {
    fn parse(terms: &'a [Term]) -> Option<Self> {
        Some(match terms {
            [Term::Atom(module), Term::Atom(function), Term::List(args)] => {
                Self { module, function, args: args.to_vec() }
            }
            // As OTP does, a fun is applied over there.
            [fun @ Term::Fun(_)] if is_callable(fun) => {
                Self { module: "erlang", function: "apply", args: vec![fun.clone(), Term::NIL] }
            }
            _ => return None,
        })
    }
}

fn is_callable(fun: &Term) -> bool {
    let Term::Fun(fun) = fun else { return false };
    match &**fun {
        Fun::Export { arity, .. } => *arity == 0,
        Fun::Closure(_) => true,
    }
}

fn nodes_of(term: &Term) -> Option<Vec<Atom>> {
    term.as_list()?.iter().map(|node| node.as_atom().cloned()).collect()
}

/// This node and all that are connected: what broadcasts go to where no nodes are given.
fn all_nodes(context: &Context) -> Vec<Atom> {
    let mut nodes = vec![context.node().name().clone()];
    nodes.extend(context.node().nodes());
    nodes
}

/// The nodes, where the first argument says them, and the rest.
fn nodes_first<'a>(context: &Context, args: &'a [Term], arity: usize) -> Option<(Vec<Atom>, &'a [Term])> {
    match args {
        [nodes, rest @ ..] if args.len() == arity => Some((nodes_of(nodes)?, rest)),
        rest => Some((all_nodes(context), rest)),
    }
}

/// A time at the end, where there is one.
fn timeout_last(args: &[Term], arity: usize) -> Option<(&[Term], Option<Duration>)> {
    match args {
        [rest @ .., last] if args.len() == arity => Some((rest, timeout(last)?)),
        rest => Some((rest, None)),
    }
}

fn erpc_badarg<T>() -> Result<T, Exception> {
    Err(ErpcError::Erpc(Atom::from_static("badarg")).into_exception())
}

fn erpc_calls(functions: Builtin<'_>) {
    for arity in [2, 3, 4, 5] {
        functions.insert("erpc", "call", arity, async |mut c: Context, args: Args| {
            let has_timeout = matches!(args.len(), 3 | 5);
            let parsed = timeout_last(&args, if has_timeout { args.len() } else { 0 });
            let Some(([Term::Atom(node), call @ ..], timeout)) = parsed else { return erpc_badarg() };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return erpc_badarg() };
            let response = erpc::call(&mut c, node, module, function, args, timeout).await;
            response.map_err(ErpcError::into_exception)
        });
        functions.insert("erpc", "multicall", arity, async |mut c: Context, args: Args| {
            let has_timeout = matches!(args.len(), 3 | 5);
            let parsed = timeout_last(&args, if has_timeout { args.len() } else { 0 });
            let Some(([nodes, call @ ..], timeout)) = parsed else { return erpc_badarg() };
            let (Some(nodes), Some(mfa)) = (nodes_of(nodes), Mfa::parse(call)) else { return erpc_badarg() };
            let Mfa { module, function, args } = mfa;
            let responses = erpc::multicall(&mut c, &nodes, module, function, args, timeout).await;
            Ok(Term::list(responses.into_iter().map(class_and_reason).collect::<Vec<_>>()))
        });
    }
    for arity in [2, 4] {
        functions.insert("erpc", "cast", arity, async |c: Context, args: Args| {
            let [Term::Atom(node), call @ ..] = args.as_slice() else { return erpc_badarg() };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return erpc_badarg() };
            erpc::cast(&c, node, module, function, args).map_err(ErpcError::into_exception)?;
            ok()
        });
        functions.insert("erpc", "multicast", arity, async |c: Context, args: Args| {
            let [nodes, call @ ..] = args.as_slice() else { return erpc_badarg() };
            let (Some(nodes), Some(mfa)) = (nodes_of(nodes), Mfa::parse(call)) else { return erpc_badarg() };
            let Mfa { module, function, args } = mfa;
            erpc::multicast(&c, &nodes, module, function, args).map_err(ErpcError::into_exception)?;
            ok()
        });
    }
}

/// As `erpc:multicall` gives it: `{ok, Value}`, `{throw, Term}`, `{exit, _}` or `{error, _}`.
fn class_and_reason(response: erpc::Response) -> Term {
    match response.map_err(ErpcError::into_exception) {
        Ok(value) => tuple!(atom "ok", value),
        Err(Exception::Throw(term)) => tuple!(atom "throw", term),
        Err(Exception::Exit(reason)) => tuple!(atom "exit", reason),
        Err(Exception::Error { reason, .. }) => tuple!(atom "error", reason),
    }
}

fn value_or_badrpc(result: Result<Term, BadRpc>) -> Term {
    result.unwrap_or_else(BadRpc::into_term)
}

fn rpc_calls(functions: Builtin<'_>) {
    for arity in [4, 5] {
        functions.insert("rpc", "call", arity, async |mut c: Context, args: Args| {
            let Some(([Term::Atom(node), call @ ..], timeout)) = timeout_last(&args, 5) else {
                return badarg();
            };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return badarg() };
            Ok(value_or_badrpc(rpc::call(&mut c, node, module, function, args, timeout).await))
        });
        functions.insert("rpc", "block_call", arity, async |mut c: Context, args: Args| {
            let Some(([Term::Atom(node), call @ ..], timeout)) = timeout_last(&args, 5) else {
                return badarg();
            };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return badarg() };
            Ok(value_or_badrpc(rpc::block_call(&mut c, node, module, function, args, timeout).await))
        });
    }
    for arity in [3, 4, 5] {
        functions.insert("rpc", "multicall", arity, async |mut c: Context, args: Args| {
            // Of four arguments either the first is the nodes, or the last is the time.
            let has_nodes = matches!(args[0], Term::List(_));
            let has_timeout = args.len() - usize::from(has_nodes) == 4;
            let parsed = timeout_last(&args, if has_timeout { args.len() } else { 0 });
            let Some((rest, timeout)) = parsed else { return badarg() };
            let Some((nodes, call)) = nodes_first(&c, rest, 4) else { return badarg() };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return badarg() };
            let Multicall { results, bad_nodes } =
                rpc::multicall(&mut c, &nodes, module, function, args, timeout).await;
            let results: Vec<Term> = results.into_iter().map(value_or_badrpc).collect();
            Ok(tuple!(Term::list(results), atoms(bad_nodes)?))
        });
    }
    functions.insert("rpc", "parallel_eval", 1, async |mut c: Context, args: Args| {
        let Some(calls) = args[0].as_list() else { return badarg() };
        let calls = calls.iter().map(|call| match call.as_tuple() {
            Some([Term::Atom(module), Term::Atom(function), Term::List(args)]) => {
                Some((module.clone(), function.clone(), args.to_vec()))
            }
            _ => None,
        });
        let Some(calls) = calls.collect() else { return badarg() };
        let values = rpc::parallel_eval(&mut c, calls).await;
        Ok(Term::list(values.into_iter().map(value_or_badrpc).collect::<Vec<_>>()))
    });
    functions.insert("rpc", "pinfo", 1, async |mut c: Context, args: Args| {
        let Some(pid) = args[0].as_pid() else { return badarg() };
        Ok(value_or_badrpc(rpc::pinfo(&mut c, pid).await))
    });
    functions.insert("rpc", "pinfo", 2, async |mut c: Context, args: Args| {
        let [Term::Pid(pid), item] = args.as_slice() else { return badarg() };
        let pid: &Pid = pid;
        Ok(value_or_badrpc(rpc::pinfo_item(&mut c, pid, item.clone()).await))
    });
}

fn rpc_broadcasts(functions: Builtin<'_>) {
    functions.insert("rpc", "cast", 4, async |c: Context, args: Args| {
        let [Term::Atom(node), call @ ..] = args.as_slice() else { return badarg() };
        let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return badarg() };
        rpc::cast(&c, node, module, function, args).map_err(ErpcError::into_exception)?;
        Ok(true.into())
    });
    for arity in [3, 4] {
        functions.insert("rpc", "eval_everywhere", arity, async |c: Context, args: Args| {
            let Some((nodes, call)) = nodes_first(&c, &args, 4) else { return badarg() };
            let Some(Mfa { module, function, args }) = Mfa::parse(call) else { return badarg() };
            rpc::eval_everywhere(&c, &nodes, module, function, args).map_err(ErpcError::into_exception)?;
            Ok(Term::atom("abcast"))
        });
    }
    for arity in [2, 3] {
        functions.insert("rpc", "abcast", arity, async |c: Context, args: Args| {
            let parsed = nodes_first(&c, &args, 3);
            let Some((nodes, [Term::Atom(name), message])) = parsed else { return badarg() };
            rpc::abcast(&c, &nodes, name, message.clone()).await;
            Ok(Term::atom("abcast"))
        });
        functions.insert("rpc", "sbcast", arity, async |mut c: Context, args: Args| {
            let parsed = nodes_first(&c, &args, 3);
            let Some((nodes, [Term::Atom(name), message])) = parsed else { return badarg() };
            let (good, bad) = rpc::sbcast(&mut c, &nodes, name, message.clone()).await;
            Ok(tuple!(atoms(good)?, atoms(bad)?))
        });
        functions.insert("rpc", "multi_server_call", arity, async |mut c: Context, args: Args| {
            let parsed = nodes_first(&c, &args, 3);
            let Some((nodes, [Term::Atom(name), message])) = parsed else { return badarg() };
            let (replies, bad) = rpc::multi_server_call(&mut c, &nodes, name, message.clone()).await;
            Ok(tuple!(Term::list(replies), atoms(bad)?))
        });
    }
    functions
        .insert("rpc", "server_call", 4, async |mut c: Context, args: Args| server_call(&mut c, args).await);
}

async fn server_call(context: &mut Context, args: Args) -> Outcome {
    let [Term::Atom(node), Term::Atom(name), wrapper, message] = args.as_slice() else { return badarg() };
    match rpc::server_call(context, node, name, wrapper.clone(), message.clone()).await {
        Ok(reply) => Ok(reply),
        Err(rpc::NodeDown { .. }) => Ok(tuple!(atom "error", atom "nodedown")),
    }
}
