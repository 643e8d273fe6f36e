//! `application`, for nodes on which nothing manages applications. `crabnode-dist-ac` puts its own before these.

use etf::{Term, tuple};

use super::{Args, Builtin, badarg, first};
use crate::Context;

pub(super) fn insert_all(functions: Builtin<'_>) {
    for (function, arity) in
        [("which_applications", 0), ("which_applications", 1), ("loaded_applications", 0)]
    {
        functions.insert("application", function, arity, async |_: Context, _: Args| {
            Ok(Term::list(vec![own_application()]))
        });
    }
    functions.insert("application", "get_env", 1, async |_: Context, _: Args| Ok(Term::atom("undefined")));
    functions.insert("application", "get_env", 2, async |_: Context, _: Args| Ok(Term::atom("undefined")));
    functions.insert("application", "get_env", 3, async |_: Context, mut args: Args| Ok(args.swap_remove(2)));
    functions.insert("application", "get_key", 1, async |_: Context, _: Args| Ok(Term::atom("undefined")));
    functions.insert("application", "get_key", 2, async |_: Context, args: Args| match args.as_slice() {
        [app, key] if app.is_atom(NAME) && key.is_atom("vsn") => {
            Ok(tuple!(atom "ok", Term::charlist(VERSION)))
        }
        [app, key] if app.is_atom(NAME) && key.is_atom("description") => {
            Ok(tuple!(atom "ok", Term::charlist(DESCRIPTION)))
        }
        [Term::Atom(_), Term::Atom(_)] => Ok(Term::atom("undefined")),
        _ => badarg(),
    });
    for arity in [1, 2] {
        functions.insert("application", "ensure_all_started", arity, async |_: Context, args: Args| {
            let app = first(args);
            match app.as_atom() {
                Some(name) if *name == NAME => Ok(tuple!(atom "ok", Term::NIL)),
                Some(name) => {
                    let missing = Term::charlist(&format!("{name}.app", name = name.as_str()));
                    let why = tuple!(Term::charlist("no such file or directory"), missing);
                    Ok(tuple!(atom "error", tuple!(app, why)))
                }
                None => badarg(),
            }
        });
    }
}

const NAME: &str = "crabnode";
const DESCRIPTION: &str = env!("CARGO_PKG_DESCRIPTION");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `{Name, Description, Version}`.
fn own_application() -> Term {
    tuple!(Term::atom(NAME), Term::charlist(DESCRIPTION), Term::charlist(VERSION))
}
