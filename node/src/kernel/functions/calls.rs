//! `gen_server`, `supervisor`, `sys` and `gen_event` by way of this node.

use std::time::Duration;

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, atoms, badarg, dest, ok, timeout};
use crate::{CallError, Context, Dest, Exception, Message};

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
    // What observers look for: this node has no event manager of errors, and nothing handles them.
    functions.insert("gen_event", "which_handlers", 1, async |mut c: Context, args: Args| {
        if args[0].is_atom("error_logger") {
            return Ok(Term::NIL);
        }
        let Some(to) = dest(&args[0]) else { return badarg() };
        let answer = tagged(
            &mut c,
            to,
            None,
            |(pid, tag)| tuple!(pid.clone(), tuple!(pid, tag), atom "which_handlers"),
        )
        .await;
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

/// How long `gen_server:call/2` waits.
const GEN_CALL: Duration = Duration::from_secs(5);

/// With and without a timeout: the exit reason repeats the arguments as they were given.
async fn gen_server_call(mut context: Context, args: Args) -> Outcome {
    let time = args.get(2).map_or(Some(Some(GEN_CALL)), timeout);
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
        [Term::Atom(name), request] => {
            let mut nodes = vec![context.node().name().clone()];
            nodes.extend(context.node().nodes());
            (Some(nodes), name, request, Some(None))
        }
        [nodes, Term::Atom(name), request] => (atoms_of(nodes), name, request, Some(None)),
        [nodes, Term::Atom(name), request, time] => (atoms_of(nodes), name, request, timeout(time)),
        _ => return badarg(),
    };
    let (Some(nodes), Some(time)) = (nodes, time) else { return badarg() };
    let began = crate::clock::now();
    let calls: Vec<_> = nodes
        .into_iter()
        .map(|node| (context.send_request(Dest::NameAt(name.clone(), node.clone()), request.clone()), node))
        .collect();
    let (mut replies, mut bad) = (Vec::new(), Vec::new());
    for (call, node) in calls {
        let left = time.map(|time| time.saturating_sub(crate::clock::now().duration_since(began)));
        match context.wait_response(call, left).await {
            Ok(reply) => replies.push(tuple!(node, reply)),
            Err(_) => bad.push(node),
        }
    }
    Ok(tuple!(Term::list(replies), atoms(bad)?))
}

fn atoms_of(term: &Term) -> Option<Vec<Atom>> {
    term.as_list()?.iter().map(|atom| atom.as_atom().cloned()).collect()
}

async fn stop(context: &mut Context, dest: Dest, reason: Term, time: Option<Duration>) -> Outcome {
    let monitor = context.monitor(dest.clone());
    let from = tuple!(context.pid(), &monitor.reference);
    let terminate = tuple!(atom "terminate", reason.clone());
    context.send_now(dest, tuple!(atom "system", from, terminate));
    let down = context
        .receive_match_timeout(time, |message| match message {
            Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                Some(reason.clone())
            }
            _ => None,
        })
        .await;
    context.demonitor(&monitor);
    match down {
        Some(down) if down == reason => ok(),
        Some(other) => Err(Exception::Exit(other)),
        None => Err(Exception::Exit(Term::atom("timeout"))),
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
            let time = args.get(arity).map_or(Some(Some(GEN_CALL)), timeout);
            let (Some(to), Some(time)) = (dest(&args[0]), time) else { return badarg() };
            let request = match (function, args.get(1)) {
                ("no_debug", _) => tuple!(atom "debug", atom "no_debug"),
                ("statistics" | "trace" | "log", Some(what)) => {
                    tuple!(atom "debug", tuple!(Term::atom(function), what.clone()))
                }
                ("replace_state" | "terminate", Some(what)) => tuple!(Term::atom(function), what.clone()),
                _ => Term::atom(function),
            };
            let answer =
                tagged(&mut c, to, time, |(pid, tag)| tuple!(atom "system", tuple!(pid, tag), request)).await;
            let answer = answer.map_err(|error| call_failed(error, "sys", function, Term::list(args)))?;
            match (function, answer.as_tuple()) {
                ("get_state" | "replace_state", Some([tag, reason])) if tag.is_atom("error") => {
                    Err(Exception::error(reason.clone()))
                }
                _ => Ok(answer),
            }
        };
        functions.insert("sys", function, arity, call);
        functions.insert("sys", function, arity + 1, call);
    }
}

/// A request of any form whose answer is `{Tag, Answer}`.
async fn tagged(
    context: &mut Context,
    to: Dest,
    time: Option<Duration>,
    request: impl FnOnce((Term, Term)) -> Term,
) -> Result<Term, CallError> {
    let monitor = context.monitor(to.clone());
    let tag = Term::from(&monitor.reference);
    let node = match &to {
        Dest::NameAt(_, node) => node.clone(),
        Dest::Pid(pid) => pid.node().clone(),
        Dest::Name(_) | Dest::Global(_) | Dest::Alias(_) => context.node().name().clone(),
    };
    let request = request((context.pid().into(), tag.clone()));
    context.send_now(to, request);
    let answer = context
        .receive_match_timeout(time, |message| match message {
            Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                Some(Err(reason.clone()))
            }
            Message::Term(term) => match term.as_tuple() {
                Some([t, answer]) if *t == tag => Some(Ok(answer.clone())),
                _ => None,
            },
            _ => None,
        })
        .await;
    context.demonitor(&monitor);
    match answer {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(reason)) if reason.is_atom("noproc") => Err(CallError::NoProc),
        Some(Err(reason)) if reason.is_atom("noconnection") => Err(CallError::NoConnection { node }),
        Some(Err(reason)) => Err(CallError::Exit { reason }),
        None => Err(CallError::Timeout),
    }
}
