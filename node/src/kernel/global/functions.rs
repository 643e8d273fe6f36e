//! What other nodes call of `global` here over rpc (cluster-services.md 2.11).

use etf::{Atom, Fun, Term};

use super::{LockId, Resolver, Retries, del_lock, resolve_it, set_lock};
use crate::{Args, Context, Exception, kernel::functions::Builtin};

type Outcome = Result<Term, Exception>;

fn badarg<T>() -> Result<T, Exception> {
    Err(Exception::badarg())
}

/// Puts them into the node's table.
pub(crate) fn insert_all(functions: Builtin<'_>) {
    functions.insert("global", "whereis_name", 1, async |c: Context, args: Args| {
        Ok(c.node().global().whereis(&args[0]).map_or(Term::atom("undefined"), Term::Pid))
    });
    functions.insert("global", "registered_names", 0, async |c: Context, _: Args| {
        Ok(Term::list(c.node().global().registered_names()))
    });
    functions
        .insert("global", "register_name", 2, async |c: Context, args: Args| register(c, args, false).await);
    functions
        .insert("global", "register_name", 3, async |c: Context, args: Args| register(c, args, false).await);
    functions.insert("global", "re_register_name", 2, async |c: Context, args: Args| {
        register(c, args, true).await
    });
    functions.insert("global", "re_register_name", 3, async |c: Context, args: Args| {
        register(c, args, true).await
    });
    functions.insert("global", "unregister_name", 1, async |c: Context, args: Args| {
        c.node().global().unregister_name(&args[0]).await;
        Ok(Term::atom("ok"))
    });
    functions.insert("global", "send", 2, async |c: Context, args: Args| {
        let Some(pid) = c.node().global().whereis(&args[0]) else {
            return Err(Exception::Exit(
                etf::tuple!(atom "badarg", etf::tuple!(args[0].clone(), args[1].clone())),
            ));
        };
        c.send(&pid, args[1].clone()).await;
        Ok(Term::Pid(pid))
    });
    functions.insert("global", "sync", 0, async |c: Context, _: Args| {
        c.node().global().sync(c.node().nodes()).await;
        Ok(Term::atom("ok"))
    });
    functions.insert("global", "disconnect", 0, async |c: Context, _: Args| {
        let nodes = c.node().global().disconnect().await;
        Ok(Term::List(nodes.into_iter().map(Term::Atom).collect()))
    });
    for arity in 1..=3 {
        functions.insert("global", "set_lock", arity, lock);
    }
    for arity in 1..=2 {
        functions.insert("global", "del_lock", arity, async |mut c: Context, args: Args| {
            let Some(id) = lock_id(&args[0]) else { return badarg() };
            let nodes = match args.get(1) {
                Some(nodes) => Some(atoms(nodes)?),
                None => None,
            };
            del_lock(&mut c, id, nodes).await;
            Ok(true.into())
        });
    }
    functions.insert_needed("global", "resolve_it", 4, async |mut c: Context, args: Args| {
        resolve_it::run(&mut c, &args).await.map_err(Exception::Throw)
    });
}

async fn register(context: Context, args: Args, again: bool) -> Outcome {
    let Term::Pid(pid) = &args[1] else { return badarg() };
    let resolver = match args.get(2) {
        None => Resolver::RandomExit,
        Some(Term::Tuple(pair)) => match pair.as_slice() {
            [Term::Atom(module), Term::Atom(function)] => {
                Resolver::Function(module.clone(), function.clone())
            }
            _ => return badarg(),
        },
        Some(Term::Fun(fun)) => match fun.as_ref() {
            Fun::Export { module, function, arity: 3 } => {
                Resolver::Function(module.clone(), function.clone())
            }
            Fun::Export { .. } | Fun::Closure(_) => return badarg(),
        },
        Some(_) => return badarg(),
    };
    let global = context.node().global();
    let done = if again {
        global.re_register_name(&args[0], pid, resolver).await
    } else {
        global.register_name(&args[0], pid, resolver).await
    };
    Ok(Term::atom(if done { "yes" } else { "no" }))
}

/// The lock is the calling process's, which for a call from afar is one that ends with the call.
async fn lock(mut context: Context, args: Args) -> Outcome {
    let Some(id) = lock_id(&args[0]) else { return badarg() };
    let nodes = match args.get(1) {
        Some(nodes) => Some(atoms(nodes)?),
        None => None,
    };
    let retries = match args.get(2) {
        None => Retries::Infinity,
        Some(term) if term.is_atom("infinity") => Retries::Infinity,
        Some(term) => match term.as_int().and_then(|n| u32::try_from(n).ok()) {
            Some(times) => Retries::Times(times),
            None => return badarg(),
        },
    };
    Ok(set_lock(&mut context, id, nodes, retries).await.into())
}

fn lock_id(term: &Term) -> Option<LockId> {
    let [resource, requester] = term.as_tuple()? else { return None };
    Some(LockId { resource: resource.clone(), requester: requester.clone() })
}

fn atoms(term: &Term) -> Result<Vec<Atom>, Exception> {
    let list = term.as_list().ok_or_else(Exception::badarg)?;
    list.iter().map(|term| term.as_atom().cloned().ok_or_else(Exception::badarg)).collect()
}
