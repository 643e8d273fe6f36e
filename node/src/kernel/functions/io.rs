//! `io`: what a function prints goes to the group leader of the process that runs it, which for a call is the caller's
//! (cluster-services.md 2.9).

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{Context, Exception, Message};

pub(super) fn insert_all(functions: Builtin<'_>) {
    for (function, arity) in [("format", 1), ("format", 2), ("fwrite", 1), ("fwrite", 2)] {
        functions.insert("io", function, arity, async |mut c: Context, mut args: Args| {
            let list = if args.len() == 2 { args.swap_remove(1) } else { Term::NIL };
            // The group leader formats: it knows what its device can show.
            let format = Term::list(vec![args.swap_remove(0), list]);
            print(&mut c, tuple!(atom "put_chars", atom "unicode", atom "io_lib", atom "format", format))
                .await
        });
    }
    functions.insert("io", "put_chars", 1, async |mut c: Context, mut args: Args| {
        let chars = args.swap_remove(0);
        print(&mut c, tuple!(atom "put_chars", atom "unicode", chars)).await
    });
    functions.insert("io", "nl", 0, async |mut c: Context, _: Args| {
        print(&mut c, tuple!(atom "put_chars", atom "unicode", Term::binary("\n"))).await
    });
}

async fn print(context: &mut Context, request: Term) -> Outcome {
    let leader = context.group_leader();
    if leader == *context.pid() {
        // Nobody leads this process.
        return Err(Exception::error(Atom::from_static("terminated")));
    }
    let monitor = context.monitor(&leader);
    let tag = Term::from(&monitor.reference);
    context.send(&leader, tuple!(atom "io_request", context.pid(), tag.clone(), request)).await;
    let answer = context
        .receive_match(|message| match message {
            Message::Down { reference, .. } if *reference == monitor.reference => Some(None),
            Message::Term(term) => match term.as_tuple() {
                Some([reply, t, answer]) if reply.is_atom("io_reply") && *t == tag => {
                    Some(Some(answer.clone()))
                }
                _ => None,
            },
            _ => None,
        })
        .await;
    context.demonitor(&monitor);
    match answer {
        None => Err(Exception::error(Atom::from_static("terminated"))),
        Some(answer) => match answer.as_tuple() {
            Some([tag, _]) if tag.is_atom("error") => badarg(),
            _ => Ok(answer),
        },
    }
}
