//! Functions that call functions: `erlang:apply`, and what `erpc` starts here.

use std::sync::Arc;

use etf::{Fun, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{Context, Exception, kernel::erpc};

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert_needed("erlang", "apply", 2, async |c: Context, args: Args| apply_fun(c, args).await);
    functions.insert_needed("erlang", "apply", 3, async |c: Context, args: Args| apply(c, args).await);
    // A cast is a call that nobody waits for: the process that runs it ends with it.
    functions.insert_needed("erpc", "execute_cast", 3, async |c: Context, args: Args| apply(c, args).await);
    functions.insert_needed("erpc", "execute_call", 4, async |c: Context, mut args: Args| {
        let result = args.remove(0);
        Err(Exception::Exit(erpc::execute_call_reason(result, apply(c, args).await)))
    });
}

/// `apply(Fun, Args)`, which is how erpc calls a fun. One with code in it cannot be run here.
async fn apply_fun(context: Context, args: Args) -> Outcome {
    let (Term::Fun(fun), Term::List(list)) = (&args[0], &args[1]) else { return badarg() };
    match &**fun {
        Fun::Export { module, function, arity } if usize::from(*arity) == list.len() => {
            apply(context, vec![module.into(), function.into(), args[1].clone()]).await
        }
        Fun::Export { .. } => {
            let call = tuple!(args[0].clone(), args[1].clone());
            Err(Exception::error(tuple!(atom "badarity", call)))
        }
        Fun::Closure(_) => Err(Exception::error(tuple!(atom "badfun", args[0].clone()))),
    }
}

/// `Module:Function(Args)` from `[Module, Function, Args]`.
async fn apply(mut context: Context, args: Args) -> Outcome {
    if !context.enter() {
        return Err(Exception::error(Term::atom("system_limit")));
    }
    let [Term::Atom(module), Term::Atom(function), Term::List(list)] = args.as_slice() else {
        return badarg();
    };
    let inner = Arc::clone(context.inner());
    // Boxed: what is applied may be `apply` again.
    Box::pin(inner.functions.apply(context, module, function, list.to_vec())).await
}
