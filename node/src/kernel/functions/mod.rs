//! The functions that every node serves over rpc, erpc and spawn (cluster-services.md 2.11).

use std::{sync::Arc, time::Duration};

use etf::{Atom, Term};

use crate::{Dest, Exception, node::Inner};

mod application;
mod apply;
mod calls;
mod code;
mod erlang;
mod io;
mod lists;
mod net_adm;
mod nodes;
pub(crate) use nodes::ping;
mod process_info;
mod remote;
mod statistics;
mod system;
mod table;
pub(crate) use table::Builtin;
pub use table::{Args, Functions};

/// What a function gives.
pub(crate) type Outcome = Result<Term, Exception>;

/// Each area puts in its own.
const AREAS: &[fn(Builtin<'_>)] = &[
    application::insert_all,
    apply::insert_all,
    calls::insert_all,
    code::insert_all,
    erlang::insert_all,
    io::insert_all,
    lists::insert_all,
    net_adm::insert_all,
    nodes::insert_all,
    process_info::insert_all,
    remote::insert_all,
    statistics::insert_all,
    system::insert_all,
    super::global::functions::insert_all,
    super::observer_backend::insert_all,
    super::pg::functions::insert_all,
    super::shell::insert_all,
    super::global_group::insert_all,
];

/// Puts them into the node's table.
pub(super) fn insert_all(inner: &Arc<Inner>) {
    let functions = inner.functions.builtin();
    AREAS.iter().for_each(|insert_all| insert_all(functions));
}

pub(crate) fn badarg<T>() -> Result<T, Exception> {
    Err(Exception::badarg())
}

pub(crate) fn ok() -> Outcome {
    Ok(Term::atom("ok"))
}

/// A list of atoms.
pub(crate) fn atoms(names: impl IntoIterator<Item = Atom>) -> Outcome {
    Ok(Term::List(names.into_iter().map(Term::Atom).collect()))
}

/// The only argument.
pub(crate) fn first(mut args: Args) -> Term {
    args.swap_remove(0)
}

/// `erlang:send`'s destination, or `gen_server:call`'s.
pub(crate) fn dest(term: &Term) -> Option<Dest> {
    match term {
        Term::Pid(pid) => Some(Dest::Pid(pid.clone())),
        Term::Atom(name) => Some(Dest::Name(name.clone())),
        Term::Reference(alias) => Some(Dest::Alias(alias.clone())),
        Term::Tuple(parts) => match parts.as_slice() {
            [tag, name] if tag.is_atom("global") => Some(Dest::Global(name.clone())),
            [Term::Atom(name), Term::Atom(node)] => Some(Dest::NameAt(name.clone(), node.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// Milliseconds or `infinity`; nothing if it is neither.
#[expect(clippy::option_option, reason = "the inner one is `infinity`")]
pub(crate) fn timeout(term: &Term) -> Option<Option<Duration>> {
    if term.is_atom("infinity") {
        return Some(None);
    }
    Some(Some(Duration::from_millis(term.as_u64()?)))
}
