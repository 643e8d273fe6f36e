//! `erlang`: processes, names and nodes.

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, atoms, badarg, dest, first};
use crate::{Context, Exception};

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("erlang", "node", 0, async |c: Context, _: Args| Ok(c.node().name().into()));
    functions.insert("erlang", "group_leader", 0, async |c: Context, _: Args| Ok(c.group_leader().into()));
    functions.insert("erlang", "group_leader", 2, async |c: Context, args: Args| match args.as_slice() {
        [Term::Pid(leader), Term::Pid(member)] => {
            c.set_group_leader(leader, member);
            Ok(true.into())
        }
        _ => badarg(),
    });
    functions.insert("erlang", "is_alive", 0, async |_: Context, _: Args| Ok(true.into()));
    functions.insert("erlang", "nodes", 0, async |c: Context, _: Args| atoms(c.node().nodes()));
    functions.insert("erlang", "nodes", 1, nodes_1);
    functions.insert("erlang", "self", 0, async |c: Context, _: Args| Ok(c.pid().into()));
    functions.insert("erlang", "registered", 0, async |c: Context, _: Args| atoms(c.node().registered()));
    functions.insert("erlang", "processes", 0, async |c: Context, _: Args| {
        Ok(Term::List(c.node().processes().into_iter().map(Term::Pid).collect()))
    });
    functions.insert("erlang", "whereis", 1, async |c: Context, args: Args| match args[0].as_atom() {
        Some(name) => Ok(c.node().whereis(name).map_or(Term::atom("undefined"), Term::Pid)),
        None => badarg(),
    });
    functions.insert("erlang", "is_process_alive", 1, async |c: Context, args: Args| match &args[0] {
        Term::Pid(pid) if pid.node() == c.node().name() => Ok(c.node().is_process_alive(pid).into()),
        _ => badarg(),
    });
    functions.insert("erlang", "send", 2, async |c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        c.send(dest, args[1].clone()).await;
        Ok(args[1].clone())
    });
    functions.insert("erlang", "monitor_node", 2, monitor_node);
    // Nobody waits for a collector of garbage here.
    for arity in [0, 1] {
        functions.insert("erlang", "garbage_collect", arity, async |c: Context, args: Args| {
            match args.first() {
                None => Ok(true.into()),
                Some(Term::Pid(pid)) if pid.node() == c.node().name() => {
                    Ok(c.node().is_process_alive(pid).into())
                }
                Some(_) => badarg(),
            }
        });
    }
    functions.insert("erlang", "exit", 1, async |_: Context, args: Args| Err(Exception::Exit(first(args))));
    functions.insert("erlang", "throw", 1, async |_: Context, args: Args| Err(Exception::Throw(first(args))));
    functions.insert("erlang", "error", 1, async |_: Context, args: Args| Err(Exception::error(first(args))));
    functions.insert("erlang", "error", 2, async |_: Context, args: Args| match args.as_slice() {
        [reason, Term::List(shown)] => {
            let stack = vec![tuple!(atom "erlang", atom "error", Term::List(shown.clone()), Term::NIL)];
            Err(Exception::Error { reason: reason.clone(), stack: Term::list(stack) })
        }
        _ => badarg(),
    });
    functions.insert("erlang", "exit", 2, async |c: Context, args: Args| match &args[0] {
        Term::Pid(pid) => {
            c.exit(pid, args[1].clone());
            Ok(true.into())
        }
        _ => badarg(),
    });
}

async fn nodes_1(context: Context, args: Args) -> Outcome {
    let (node, mut nodes) = (context.node(), Vec::new());
    let kinds = match &args[0] {
        Term::List(kinds) => kinds.to_vec(),
        kind => vec![kind.clone()],
    };
    for kind in kinds {
        match kind.as_atom().map(Atom::as_str) {
            Some("this") => nodes.push(node.name().clone()),
            Some("visible") => nodes.extend(node.nodes()),
            Some("hidden") => nodes.extend(node.nodes_hidden()),
            Some("connected") => {
                nodes.extend(node.nodes());
                nodes.extend(node.nodes_hidden());
            }
            Some("known") => {
                nodes.push(node.name().clone());
                nodes.extend(node.nodes());
                nodes.extend(node.nodes_hidden());
            }
            _ => return badarg(),
        }
    }
    nodes.sort();
    nodes.dedup();
    atoms(nodes)
}

/// Of the process that runs this, which by rpc ends with it.
async fn monitor_node(context: Context, args: Args) -> Outcome {
    let [Term::Atom(node), flag] = args.as_slice() else { return badarg() };
    let Some(flag) = flag.as_bool() else { return badarg() };
    context.monitor_node(node.clone(), flag);
    Ok(true.into())
}
