//! The commands of the shell: those of Erlang's that make sense here.

use std::fmt::Write;

use etf::{Atom, Term};

use crate::{Args, Context, Exception, io};

/// What there is: what is typed, and what it does.
const COMMANDS: [(&str, &str); 10] = [
    ("help()", "this list"),
    ("nodes()", "the visible nodes that are connected; nodes(hidden), nodes(connected)"),
    ("names()", "the names that processes are registered by, and their processes"),
    ("processes()", "the processes; i() is a table of them"),
    ("i()", "the processes: what they run, and how many messages wait for them"),
    ("applications()", "the applications that run"),
    ("links()", "the connections and their numbers"),
    ("stop()", "stops this node, as init:stop()"),
    ("exit()", "ends this session; the node goes on. q() does the same"),
    (
        "M:F(Args)",
        "calls a function that the node serves, such as net_adm:ping(Node), with terms as arguments",
    ),
];

/// Runs a command; what is none may be a function of `erlang`.
pub(super) async fn run(context: &mut Context, name: Atom, args: Args) -> Result<Term, Exception> {
    let ok = Ok(Term::atom("ok"));
    let text = match (name.as_str(), args.len()) {
        ("help" | "h", 0) => help(),
        ("names" | "regs", 0) => names(context),
        ("i", 0) => processes(context),
        ("links", 0) => links(context),
        ("applications", 0) => return apply(context, "application", "which_applications", args).await,
        ("stop", 0) => return apply(context, "init", "stop", args).await,
        _ => return apply(context, "erlang", name.as_str(), args).await,
    };
    match io::put_chars(context, &text).await {
        Ok(()) => ok,
        Err(_) => Err(Exception::error(Term::atom("terminated"))),
    }
}

async fn apply(context: &Context, module: &str, function: &str, args: Args) -> Result<Term, Exception> {
    let (module, function) = (Atom::from(module), Atom::from(function));
    context.inner().functions.apply(context.twin(), &module, &function, args).await
}

fn help() -> String {
    let mut text = String::new();
    for (command, does) in COMMANDS {
        writeln!(text, "{command:<16} {does}").expect("a string takes all");
    }
    text
}

fn names(context: &Context) -> String {
    let mut text = String::new();
    for name in context.node().registered() {
        if let Some(pid) = context.node().whereis(&name) {
            writeln!(text, "{:<32} {pid:?}", name.to_string()).expect("a string takes all");
        }
    }
    text
}

/// How many processes a table shows: what a person may read.
const ROWS_MAX: usize = 1000;

fn processes(context: &Context) -> String {
    let registry = &context.inner().registry;
    let all = registry.all();
    let mut text = format!("{:<32} {:<40} {:>8}\n", "Pid or name", "Initial call", "Messages");
    for process in all.iter().take(ROWS_MAX) {
        let name = registry.name_of(&process.pid);
        let name = name.map_or_else(|| format!("{:?}", process.pid), |name| name.to_string());
        let (module, function, arity) = process.initial_call();
        let call = format!("{module}:{function}/{arity}");
        writeln!(text, "{name:<32} {call:<40} {:>8}", process.mailbox.len()).expect("a string takes all");
    }
    if all.len() > ROWS_MAX {
        writeln!(text, "and {} more", all.len() - ROWS_MAX).expect("a string takes all");
    }
    text
}

fn links(context: &Context) -> String {
    let mut text = String::new();
    for link in context.node().links() {
        writeln!(text, "{link:#?}").expect("a string takes all");
    }
    text
}

/// `edlin_expand:expand(ReversedLine)`: the end of the only command that starts so. Whatever else it is given, there is
/// nothing to add: an exception would cost the user's session.
pub(super) fn expand(reversed: &Term) -> Term {
    let before: String = reversed.as_text().unwrap_or_default().chars().rev().collect();
    let rest = only_command(before.trim_start());
    let answer = if rest.is_some() { "yes" } else { "no" };
    etf::tuple!(Term::atom(answer), Term::charlist(rest.unwrap_or_default()), Term::NIL)
}

fn only_command(typed: &str) -> Option<&'static str> {
    let mut starts = COMMANDS.iter().filter_map(|(command, _)| {
        let command = command.strip_suffix(')').filter(|command| command.ends_with('('))?;
        command.strip_prefix(typed).filter(|rest| !rest.is_empty())
    });
    let first = starts.next().filter(|_| !typed.is_empty())?;
    starts.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_completes_what_is_the_only_one() {
        let expand = |typed: &str| {
            let reversed: String = typed.chars().rev().collect();
            expand(&Term::charlist(&reversed)).to_string()
        };
        assert_eq!(expand("hel"), "{yes,\"p(\",[]}");
        assert_eq!(expand("  appl"), "{yes,\"ications(\",[]}");
        for typed in ["n", "", "help()", "xyz", "help("] {
            assert_eq!(expand(typed), "{no,[],[]}", "{typed}");
        }
        assert_eq!(super::expand(&Term::atom("a")).to_string(), "{no,[],[]}");
    }
}
