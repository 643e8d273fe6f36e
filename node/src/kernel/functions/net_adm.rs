//! What others ask of the network as this node sees it: `net_adm`, `auth`, `net_kernel:monitor_nodes`.

use std::{env, path::PathBuf};

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, atoms, badarg, ok};
use crate::{Context, MonitorNodes};

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("net_adm", "localhost", 0, async |_: Context, _: Args| {
        Ok(Term::charlist(&gethostname::gethostname().to_string_lossy()))
    });
    functions.insert("net_adm", "names", 0, async |c: Context, _: Args| names(&c, "localhost").await);
    functions.insert("net_adm", "names", 1, async |c: Context, args: Args| match host(&args[0]) {
        Some(host) => names(&c, &host).await,
        None => badarg(),
    });
    functions.insert("net_adm", "host_file", 0, async |_: Context, _: Args| {
        Ok(host_file().map_or_else(|error| tuple!(atom "error", error), Term::list))
    });
    for arity in [0, 1] {
        functions.insert("net_adm", "world", arity, async |c: Context, _: Args| {
            let hosts = host_file().map_err(|error| crate::Exception::Exit(tuple!(atom "error", error)))?;
            world(&c, &hosts).await
        });
    }
    for arity in [1, 2] {
        functions.insert("net_adm", "world_list", arity, async |c: Context, args: Args| {
            let Some(hosts) = args[0].as_list() else { return badarg() };
            world(&c, hosts).await
        });
    }
    cookies(functions);
    functions.insert("net_kernel", "monitor_nodes", 1, async |c: Context, args: Args| {
        monitor_nodes(&c, &args[0], &Term::NIL)
    });
    functions.insert("net_kernel", "monitor_nodes", 2, async |c: Context, args: Args| {
        monitor_nodes(&c, &args[0], &args[1])
    });
}

fn monitor_nodes(context: &Context, flag: &Term, options: &Term) -> Outcome {
    let Some(flag) = flag.as_bool() else { return Ok(Term::atom("error")) };
    match MonitorNodes::from_term(options) {
        Ok(options) => {
            context.monitor_nodes_with(flag, options);
            ok()
        }
        Err(error) => Ok(tuple!(atom "error", error)),
    }
}

/// An atom or a string.
fn host(term: &Term) -> Option<String> {
    match term {
        Term::Atom(host) => Some(host.to_string()),
        host => host.as_text(),
    }
}

async fn names(context: &Context, host: &str) -> Outcome {
    match context.node().names(host).await {
        Ok(names) => {
            let names = names.into_iter().map(|(name, port)| tuple!(Term::charlist(&name), port));
            Ok(tuple!(atom "ok", Term::list(names.collect::<Vec<_>>())))
        }
        Err(error) if error.is_unknown_host => Ok(tuple!(atom "error", atom "nxdomain")),
        Err(_) => Ok(tuple!(atom "error", atom "address")),
    }
}

async fn world(context: &Context, hosts: &[Term]) -> Outcome {
    let Some(hosts) = hosts.iter().map(host).collect::<Option<Vec<String>>>() else { return badarg() };
    atoms(context.node().world(&hosts).await)
}

/// The hosts of `.hosts.erlang`, here or at home; else why not.
fn host_file() -> Result<Vec<Term>, Term> {
    let places = [Some(PathBuf::from(".")), env::home_dir()];
    let file = places
        .into_iter()
        .flatten()
        .find_map(|place| std::fs::read_to_string(place.join(".hosts.erlang")).ok());
    let file = file.ok_or_else(|| Term::atom("enoent"))?;
    etf::text::consult(&file).map_err(|_| Term::atom("einval"))
}

/// Who has the cookie may read and change it, as on any node.
fn cookies(functions: Builtin<'_>) {
    for module in ["auth", "erlang"] {
        functions.insert(module, "get_cookie", 0, async |c: Context, _: Args| {
            Ok(Term::Atom(Atom::from(c.node().cookie(c.node().name()).as_str())))
        });
        functions.insert(module, "get_cookie", 1, async |c: Context, args: Args| match args[0].as_atom() {
            Some(node) => Ok(Term::Atom(Atom::from(c.node().cookie(node).as_str()))),
            None => badarg(),
        });
        functions.insert(module, "set_cookie", 1, async |c: Context, args: Args| {
            set_cookie(&c, &c.node().name().clone().into(), &args[0])
        });
        functions.insert(module, "set_cookie", 2, async |c: Context, args: Args| {
            set_cookie(&c, &args[0], &args[1])
        });
    }
}

fn set_cookie(context: &Context, node: &Term, cookie: &Term) -> Outcome {
    let (Some(node), Some(cookie)) = (node.as_atom(), cookie.as_atom()) else { return badarg() };
    context.node().set_cookie(node, cookie).map_or_else(|_| badarg(), |()| Ok(true.into()))
}
