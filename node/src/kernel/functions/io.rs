//! `io` and `io_lib`: what a function prints goes to the group leader of the process that runs it, which for a call is the
//! caller's (cluster-services.md 2.9).

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{
    Context, Exception,
    io::{self, IoError},
};

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
    for function in ["format", "fwrite"] {
        functions.insert("io_lib", function, 2, async |_: Context, args: Args| {
            io::formatted(&args[0], &args[1]).map_or_else(badarg, |text| Ok(Term::charlist(&text)))
        });
    }
}

async fn print(context: &mut Context, request: Term) -> Outcome {
    let leader = context.group_leader();
    match io::request(context, &leader, request).await {
        Ok(answer) => match answer.as_tuple() {
            Some([tag, _]) if tag.is_atom("error") => badarg(),
            _ => Ok(answer),
        },
        Err(IoError::Terminated | IoError::Refused(_) | IoError::BadReply(_)) => {
            Err(Exception::error(Atom::from_static("terminated")))
        }
    }
}
