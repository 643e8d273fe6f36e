//! The node as a system: `init`, `erlang:system_info` and the like.

use std::time::Duration;

use etf::{Pid, Term, tuple};

use super::{Args, Builtin, badarg, ok, timeout};
use crate::Context;

/// Between the answer to `init:stop` and the stop: time for it to be written, and nothing to the one who waits.
const ANSWER_GOES_OUT: Duration = Duration::from_millis(100);

/// How long an answer may take to be written. A peer that reads nothing does not keep the node.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("erlang", "halt", 0, async |c: Context, _: Args| {
        c.inner().request_stop(0);
        Ok(true.into())
    });
    functions.insert("erlang", "halt", 1, async |c: Context, args: Args| {
        c.inner().request_stop(args[0].as_int().and_then(|n| u8::try_from(n).ok()).unwrap_or(1));
        Ok(true.into())
    });
    // A program does not start itself anew: that is for whoever started it.
    for (function, arity) in [("stop", 0), ("stop", 1), ("restart", 0), ("reboot", 0)] {
        functions.insert("init", function, arity, async |c: Context, args: Args| {
            let status = args.first().and_then(Term::as_int).and_then(|n| u8::try_from(n).ok());
            // The answer goes first, and the node after it (cluster-services.md 2.11).
            let caller = c.pid().clone();
            c.spawn(move |mut c| async move {
                answer_has_gone(&mut c, &caller).await;
                c.inner().request_stop(status.unwrap_or(0));
            });
            ok()
        });
    }
    functions.insert("init", "get_status", 0, async |_: Context, _: Args| {
        Ok(tuple!(atom "started", atom "started"))
    });
    functions.insert("init", "get_arguments", 0, async |_: Context, _: Args| Ok(Term::NIL));
    functions.insert("init", "get_argument", 1, async |_: Context, _: Args| Ok(Term::atom("error")));
    functions.insert("erlang", "function_exported", 3, async |c: Context, args: Args| {
        match args.as_slice() {
            [Term::Atom(module), Term::Atom(function), Term::Int(arity)] => {
                let arity = usize::try_from(*arity).unwrap_or(usize::MAX);
                Ok(c.node().functions().contains(module, function, arity).into())
            }
            _ => badarg(),
        }
    });
    functions.insert("timer", "sleep", 1, async |_: Context, args: Args| {
        match timeout(&args[0]) {
            Some(Some(timeout)) => tokio::time::sleep(timeout).await,
            Some(None) => std::future::pending().await,
            None => return badarg(),
        }
        ok()
    });
}

/// Waits until the process that called has ended, which is its answer or is behind it, and all that was to be sent is written.
async fn answer_has_gone(context: &mut Context, caller: &Pid) {
    context.monitor(caller);
    let written = async {
        context.receive().await;
        while context.node().links().iter().any(|link| link.queued_bytes > 0) {
            tokio::time::sleep(ANSWER_GOES_OUT / 10).await;
        }
    };
    // What takes longer is not waited for.
    let _ = tokio::time::timeout(ANSWER_MAX, written).await;
    tokio::time::sleep(ANSWER_GOES_OUT).await;
}
