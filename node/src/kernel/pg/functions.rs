//! What other nodes call of `pg` here over rpc, with the scope or without (cluster-services.md 2.11).

use etf::{Pid, Term, tuple};

use super::{DEFAULT_SCOPE, Left, PgError, Scope, Subscription, scope, service::map_of, start, wire};
use crate::{
    Args, Context, Exception,
    kernel::functions::{Builtin, Outcome, badarg, ok},
};

/// Puts them into the node's table.
pub(crate) fn insert_all(functions: Builtin<'_>) {
    functions.insert("pg", "start", 1, async |c: Context, args: Args| started(&c, &args, false));
    for arity in 0..=1 {
        functions.insert("pg", "start_link", arity, async |c: Context, args: Args| started(&c, &args, true));
    }
    for arity in 2..=3 {
        functions.insert("pg", "join", arity, async |c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 2)?;
            let pids = local(&c, &args[1])?;
            called(scope?.join(&args[0], &pids).await).and_then(|()| ok())
        });
        functions.insert("pg", "leave", arity, async |c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 2)?;
            let pids = local(&c, &args[1])?;
            match called(scope?.leave(&args[0], &pids).await)? {
                Left::Ok => ok(),
                Left::NotJoined => Ok(Term::atom("not_joined")),
            }
        });
    }
    for arity in 1..=2 {
        functions.insert("pg", "get_members", arity, async |c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 1)?;
            Ok(wire::pid_list(scope.map(|scope| scope.get_members(&args[0])).unwrap_or_default()))
        });
        functions.insert("pg", "get_local_members", arity, async |c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 1)?;
            Ok(wire::pid_list(scope.map(|scope| scope.get_local_members(&args[0])).unwrap_or_default()))
        });
        functions.insert("pg", "monitor", arity, async |c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 1)?;
            let (subscription, pids) = called(scope?.monitor(&c, &args[0]).await)?;
            Ok(tuple!(subscription.reference, wire::pid_list(pids)))
        });
        functions.insert("pg", "demonitor", arity, async |mut c: Context, args: Args| {
            let (scope, args) = scoped(&c, &args, 1)?;
            let Term::Reference(reference) = &args[0] else { return badarg() };
            let subscription = Subscription { reference: reference.clone() };
            let ended = scope?.demonitor(&mut c, subscription).await;
            Ok(if ended { Term::atom("ok") } else { false.into() })
        });
    }
    for arity in 0..=1 {
        functions.insert("pg", "which_groups", arity, async |c: Context, args: Args| {
            // Without a scope there is no table, which is an error here and none with `get_members`.
            scoped(&c, &args, 0)?.0.map_or_else(|_| badarg(), |scope| Ok(Term::list(scope.which_groups())))
        });
        functions.insert("pg", "which_local_groups", arity, async |c: Context, args: Args| {
            let scope = scoped(&c, &args, 0)?.0;
            scope.map_or_else(|_| badarg(), |scope| Ok(Term::list(scope.which_local_groups())))
        });
        functions.insert("pg", "monitor_scope", arity, async |c: Context, args: Args| {
            let scope = scoped(&c, &args, 0)?.0?;
            let (subscription, groups) = called(scope.monitor_scope(&c).await)?;
            Ok(tuple!(subscription.reference, map_of(groups)))
        });
    }
}

fn started(context: &Context, args: &Args, link: bool) -> Outcome {
    let name = match args.first() {
        Some(Term::Atom(name)) => name.clone(),
        Some(_) => return badarg(),
        None => DEFAULT_SCOPE.into(),
    };
    match start(context.node(), name) {
        Ok(scope) => {
            if link {
                context.link(scope.pid());
            }
            Ok(tuple!(atom "ok", scope.pid()))
        }
        Err(PgError::AlreadyStarted { pid, .. }) => {
            Ok(tuple!(atom "error", tuple!(atom "already_started", pid)))
        }
        Err(_) => badarg(),
    }
}

/// The scope that is named first, or the default one where there are only the `rest` arguments, and those. A scope
/// that does not run is an exit as that of `gen_server:call`.
fn scoped<'a>(
    context: &Context,
    args: &'a [Term],
    rest: usize,
) -> Result<(Result<Scope, Exception>, &'a [Term]), Exception> {
    let (named, rest) = args.split_at(args.len() - rest);
    let name = match named.first() {
        Some(Term::Atom(name)) => name.clone(),
        Some(_) => return badarg(),
        None => DEFAULT_SCOPE.into(),
    };
    let found = scope(context.node(), &name).ok_or_else(|| {
        let call = tuple!(atom "gen_server", atom "call", vec![Term::Atom(name)]);
        Exception::Exit(tuple!(atom "noproc", call))
    });
    Ok((found, rest))
}

/// A pid or a list of pids, all of this node; else `{nolocal, What}`, as OTP has it.
fn local(context: &Context, who: &Term) -> Result<Vec<Pid>, Exception> {
    let each = match who {
        Term::List(list) => list.to_vec(),
        Term::Pid(_) => vec![who.clone()],
        // No clause of the function takes it.
        _ => return Err(Exception::error(Term::atom("function_clause"))),
    };
    let pid = |term: Term| match term {
        Term::Pid(pid) if pid.node() == context.node().name() => Ok(pid),
        other => Err(Exception::error(tuple!(atom "nolocal", other))),
    };
    each.into_iter().map(pid).collect()
}

fn called<T>(result: Result<T, PgError>) -> Result<T, Exception> {
    result.map_err(|error| match error {
        PgError::NoLocal { pid } => Exception::error(tuple!(atom "nolocal", pid)),
        PgError::Full { .. } => Exception::error(Term::atom("system_limit")),
        PgError::AlreadyStarted { .. } | PgError::BadName { .. } => Exception::badarg(),
        PgError::Stopped { .. } => Exception::Exit(Term::atom("noproc")),
    })
}
