//! `gen_server`, `supervisor`, `sys` and `gen_event` by way of this node.

use std::time::Duration;

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, atoms, badarg, dest, ok, timeout};
use crate::{
    CallError, Context, Dest, Exception, behaviour, gen_event,
    gen_server::{self, CALL_TIMEOUT, MultiCall},
};

pub(super) fn insert_all(functions: Builtin<'_>) {
    gen_server(functions);
    sys(functions);
    for (function, request) in [("which_children", "which_children"), ("count_children", "count_children")] {
        functions.insert("supervisor", function, 1, move |mut c: Context, args: Args| async move {
            let Some(to) = dest(&args[0]) else { return badarg() };
            let answer = c.call(to, Term::atom(request), None).await;
            let infinitely = Term::list(vec![args[0].clone(), Term::atom(request), Term::atom("infinity")]);
            answer.map_err(|error| call_failed(error, "gen_server", "call", infinitely))
        });
    }
    for function in ["start_child", "terminate_child", "restart_child", "delete_child", "get_childspec"] {
        functions.insert("supervisor", function, 2, move |mut c: Context, args: Args| async move {
            let Some(to) = dest(&args[0]) else { return badarg() };
            let request = tuple!(Term::atom(function), args[1].clone());
            let answer = c.call(to, request.clone(), None).await;
            let infinitely = Term::list(vec![args[0].clone(), request, Term::atom("infinity")]);
            answer.map_err(|error| call_failed(error, "gen_server", "call", infinitely))
        });
    }
    for (function, arity) in [("notify", 2), ("sync_notify", 2), ("call", 3)] {
        functions.insert("gen_event", function, arity, move |mut c: Context, args: Args| async move {
            let Some(to) = dest(&args[0]) else { return badarg() };
            match (function, &args[1..]) {
                ("notify", [event]) => gen_event::notify(&c, to, event.clone()),
                ("sync_notify", [event]) => {
                    let done = gen_event::sync_notify(&mut c, to, event.clone()).await;
                    done.map_err(|error| Exception::Exit(error.into_reason()))?;
                }
                (_, [handler, request]) => {
                    let time = Some(CALL_TIMEOUT);
                    let answer = gen_event::call(&mut c, to, handler.clone(), request.clone(), time).await;
                    return answer.map_err(|error| Exception::Exit(error.into_reason()));
                }
                _ => return badarg(),
            }
            ok()
        });
    }
    // What observers look for: this node has no event manager of errors, and nothing handles them.
    functions.insert("gen_event", "which_handlers", 1, async |mut c: Context, args: Args| {
        if args[0].is_atom("error_logger") {
            return Ok(Term::NIL);
        }
        let Some(to) = dest(&args[0]) else { return badarg() };
        let answer = gen_event::which_handlers(&mut c, to).await;
        answer.map_err(|error| Exception::Exit(error.into_reason()))
    });
}

fn gen_server(functions: Builtin<'_>) {
    functions.insert("gen_server", "call", 2, gen_server_call);
    functions.insert("gen_server", "call", 3, gen_server_call);
    functions.insert("gen_server", "cast", 2, async |c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        c.cast(dest, args[1].clone());
        ok()
    });
    functions.insert("gen_server", "abcast", 2, async |c: Context, args: Args| {
        let Some(name) = args[0].as_atom() else { return badarg() };
        gen_server::abcast(&c, None, name.clone(), args[1].clone());
        Ok(Term::atom("abcast"))
    });
    functions.insert("gen_server", "abcast", 3, async |c: Context, args: Args| {
        let (Some(nodes), Some(name)) = (atoms_of(&args[0]), args[1].as_atom()) else { return badarg() };
        gen_server::abcast(&c, Some(nodes), name.clone(), args[2].clone());
        Ok(Term::atom("abcast"))
    });
    functions.insert("gen_server", "stop", 1, async |mut c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        stop(&mut c, dest, Term::atom("normal"), None).await
    });
    functions.insert("gen_server", "stop", 3, async |mut c: Context, args: Args| {
        let (Some(dest), Some(time)) = (dest(&args[0]), timeout(&args[2])) else { return badarg() };
        stop(&mut c, dest, args[1].clone(), time).await
    });
    for arity in [2, 3, 4] {
        functions.insert("gen_server", "multi_call", arity, multi_call);
    }
}

/// With and without a timeout: the exit reason repeats the arguments as they were given.
async fn gen_server_call(mut context: Context, args: Args) -> Outcome {
    let time = args.get(2).map_or(Some(Some(CALL_TIMEOUT)), timeout);
    let (Some(dest), Some(timeout)) = (dest(&args[0]), time) else { return badarg() };
    let answer = context.call(dest, args[1].clone(), timeout).await;
    answer.map_err(|error| call_failed(error, "gen_server", "call", Term::list(args)))
}

fn call_failed(error: CallError, module: &'static str, function: &'static str, args: Term) -> Exception {
    let call = tuple!(Term::atom(module), Term::atom(function), args);
    Exception::Exit(tuple!(error.into_reason(), call))
}

/// `[Name, Request]`, `[Nodes, Name, Request]` or `[Nodes, Name, Request, Timeout]`.
async fn multi_call(mut context: Context, args: Args) -> Outcome {
    let (nodes, name, request, time) = match args.as_slice() {
        [Term::Atom(name), request] => (None, name, request, Some(None)),
        [nodes, Term::Atom(name), request] => (Some(atoms_of(nodes)), name, request, Some(None)),
        [nodes, Term::Atom(name), request, time] => (Some(atoms_of(nodes)), name, request, timeout(time)),
        _ => return badarg(),
    };
    let (Some(nodes), Some(time)) = (nodes.map_or(Some(None), |nodes| nodes.map(Some)), time) else {
        return badarg();
    };
    let MultiCall { replies, bad_nodes } =
        gen_server::multi_call(&mut context, nodes, name.clone(), request.clone(), time).await;
    let replies: Vec<Term> = replies.into_iter().map(|(node, reply)| tuple!(node, reply)).collect();
    Ok(tuple!(replies, atoms(bad_nodes)?))
}

fn atoms_of(term: &Term) -> Option<Vec<Atom>> {
    term.as_list()?.iter().map(|atom| atom.as_atom().cloned()).collect()
}

async fn stop(context: &mut Context, dest: Dest, reason: Term, time: Option<Duration>) -> Outcome {
    match gen_server::stop(context, dest, reason, time).await {
        Ok(()) => ok(),
        Err(error) => Err(Exception::Exit(error.into_reason())),
    }
}

fn sys(functions: Builtin<'_>) {
    for (function, arity) in [
        ("get_state", 1),
        ("get_status", 1),
        ("suspend", 1),
        ("resume", 1),
        ("no_debug", 1),
        ("replace_state", 2),
        ("terminate", 2),
        ("statistics", 2),
        ("trace", 2),
        ("log", 2),
    ] {
        let call = move |mut c: Context, args: Args| async move {
            let time = args.get(arity).map_or(Some(Some(CALL_TIMEOUT)), timeout);
            let (Some(to), Some(time)) = (dest(&args[0]), time) else { return badarg() };
            let request = match (function, args.get(1)) {
                ("no_debug", _) => tuple!(atom "debug", atom "no_debug"),
                ("statistics" | "trace" | "log", Some(what)) => {
                    tuple!(atom "debug", tuple!(Term::atom(function), what.clone()))
                }
                ("replace_state" | "terminate", Some(what)) => tuple!(Term::atom(function), what.clone()),
                _ => Term::atom(function),
            };
            let node = c.node_of(&to);
            let answer = behaviour::sys::request(&mut c, to, request, time).await;
            let answer = answer.map_err(|error| call_failed(error, "sys", function, Term::list(args)))?;
            if function.ends_with("_state") {
                let state = behaviour::sys::state(&mut c, &node, answer).await;
                return state.map_err(Exception::error);
            }
            Ok(answer)
        };
        functions.insert("sys", function, arity, call);
        functions.insert("sys", function, arity + 1, call);
    }
}
