//! What other nodes call of `global` here over rpc (cluster-services.md 2.11).

use etf::{Atom, Fun, Pid, Term, tuple};

use super::{LockId, Request, Retries, api, del_lock, resolve_it, set_lock, trans};
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
    functions.insert("global", "info", 0, async |c: Context, _: Args| {
        Ok(c.node().global().0.engine().info_term())
    });
    for arity in 2..=3 {
        functions.insert("global", "register_name", arity, async |c: Context, args: Args| {
            register(c, args, |name, pid, method| Request::Register { name, pid, method }).await
        });
        functions.insert("global", "re_register_name", arity, async |c: Context, args: Args| {
            register(c, args, |name, pid, method| Request::ReRegister { name, pid, method }).await
        });
        functions.insert("global", "register_name_external", arity, async |c: Context, args: Args| {
            register(c, args, |name, pid, method| Request::RegisterExternal { name, pid, method }).await
        });
    }
    for function in ["unregister_name", "unregister_name_external"] {
        functions.insert("global", function, 1, async |c: Context, args: Args| {
            c.node().global().unregister_name(&args[0]).await;
            Ok(Term::atom("ok"))
        });
    }
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
    for arity in 2..=4 {
        functions.insert("global", "trans", arity, transaction);
    }
    functions.insert_needed("global", "resolve_it", 4, async |mut c: Context, args: Args| {
        resolve_it::run(&mut c, &args).await.map_err(Exception::Throw)
    });
}

async fn register(
    context: Context,
    args: Args,
    request: impl FnOnce(Term, Pid, Option<Term>) -> Request,
) -> Outcome {
    let Term::Pid(pid) = &args[1] else { return badarg() };
    let request = request(args[0].clone(), pid.clone(), args.get(2).cloned());
    match context.node().global().0.request(request).await {
        Ok(answer) => Ok(Term::atom(if answer == super::Answer::Yes { "yes" } else { "no" })),
        Err(api::Error::BadMethod(_)) => badarg(),
        Err(error @ api::Error::TooManyRequests { .. }) => {
            tracing::warn!(%error, "global: a name is not registered");
            Err(Exception::error(Term::atom("system_limit")))
        }
    }
}

/// The lock is the calling process's, which for a call from afar is one that ends with the call.
async fn lock(mut context: Context, args: Args) -> Outcome {
    let (id, nodes, retries) = lock_args(&args[0], args.get(1), args.get(2))?;
    Ok(set_lock(&mut context, id, nodes, retries).await.into())
}

/// `trans(Id, Fun, Nodes, Retries)`. The fun can be one of a module that this node serves.
async fn transaction(mut context: Context, args: Args) -> Outcome {
    let (id, nodes, retries) = lock_args(&args[0], args.get(2), args.get(3))?;
    let fun = args[1].clone();
    let result = trans(&mut context, id, nodes, retries, |context| {
        let (context, node) = (context.twin(), context.node().clone());
        Box::pin(async move {
            match &fun {
                Term::Fun(named) => match named.as_ref() {
                    Fun::Export { module, function, arity: 0 } => {
                        node.functions().apply(context, module, function, Vec::new()).await
                    }
                    _ => Err(Exception::error(tuple!(atom "badfun", fun.clone()))),
                },
                _ => Err(Exception::error(tuple!(atom "badfun", fun.clone()))),
            }
        })
    });
    result.await.unwrap_or_else(|| Ok(Term::atom("aborted")))
}

fn lock_args(
    id: &Term,
    nodes: Option<&Term>,
    retries: Option<&Term>,
) -> Result<(LockId, Option<Vec<Atom>>, Retries), Exception> {
    let id = lock_id(id).ok_or_else(Exception::badarg)?;
    let nodes = nodes.map(atoms).transpose()?;
    let retries = match retries {
        None => Retries::Infinity,
        Some(term) if term.is_atom("infinity") => Retries::Infinity,
        Some(term) => {
            let times = term.as_int().and_then(|n| u32::try_from(n).ok());
            Retries::Times(times.ok_or_else(Exception::badarg)?)
        }
    };
    Ok((id, nodes, retries))
}

fn lock_id(term: &Term) -> Option<LockId> {
    let [resource, requester] = term.as_tuple()? else { return None };
    Some(LockId { resource: resource.clone(), requester: requester.clone() })
}

fn atoms(term: &Term) -> Result<Vec<Atom>, Exception> {
    let list = term.as_list().ok_or_else(Exception::badarg)?;
    list.iter().map(|term| term.as_atom().cloned().ok_or_else(Exception::badarg)).collect()
}
