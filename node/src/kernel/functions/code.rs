//! `code`: a module is there if one of its functions is served.

use etf::{Term, tuple};

use super::{Args, Builtin, badarg};
use crate::Context;

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("code", "ensure_loaded", 1, async |c: Context, args: Args| {
        let Some(module) = args[0].as_atom() else { return badarg() };
        if c.node().functions().contains_module(module) {
            return Ok(tuple!(atom "module", module));
        }
        Ok(tuple!(atom "error", atom "nofile"))
    });
    functions.insert("code", "is_loaded", 1, async |c: Context, args: Args| {
        let Some(module) = args[0].as_atom() else { return badarg() };
        if c.node().functions().contains_module(module) {
            return Ok(tuple!(atom "file", atom "preloaded"));
        }
        Ok(false.into())
    });
    functions.insert("code", "which", 1, async |c: Context, args: Args| {
        let Some(module) = args[0].as_atom() else { return badarg() };
        let is_there = c.node().functions().contains_module(module);
        Ok(Term::atom(if is_there { "preloaded" } else { "non_existing" }))
    });
    functions.insert("code", "all_loaded", 0, async |c: Context, _: Args| {
        let modules = c.node().functions().modules();
        let preloaded = modules.into_iter().map(|module| tuple!(module, atom "preloaded"));
        Ok(Term::list(preloaded.collect::<Vec<_>>()))
    });
}
