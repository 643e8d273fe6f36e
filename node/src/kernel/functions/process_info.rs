//! `erlang:process_info`: what there is to know of a process of this node.

use etf::{Pid, Term};

use super::{Args, Builtin, Outcome, badarg};
use crate::Context;

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("erlang", "process_info", 1, async |c: Context, args: Args| {
        let Some(pid) = own_pid(&c, &args[0]) else { return badarg() };
        let Some(info) = c.node().process_info(pid) else { return Ok(Term::atom("undefined")) };
        let has_name = info.registered_name.is_some();
        let names = ALL.iter().filter(|name| has_name || **name != "registered_name");
        Ok(Term::list(names.filter_map(|name| info.item(name)).collect::<Vec<_>>()))
    });
    functions.insert("erlang", "process_info", 2, async |c: Context, args: Args| {
        let Some(pid) = own_pid(&c, &args[0]) else { return badarg() };
        let info = c.node().process_info(pid);
        match &args[1] {
            Term::Atom(name) => match info {
                None => undefined_if_known(&[args[1].clone()]),
                // As Erlang has it: no registered name is the empty list.
                Some(info) if *name == "registered_name" && info.registered_name.is_none() => Ok(Term::NIL),
                Some(info) => info.item(name).map_or_else(badarg, Ok),
            },
            Term::List(names) => {
                let Some(info) = info else { return undefined_if_known(names) };
                let items = names.iter().map(|name| info.item(name.as_atom()?));
                items.collect::<Option<Vec<Term>>>().map_or_else(badarg, |items| Ok(Term::list(items)))
            }
            _ => badarg(),
        }
    });
}

fn own_pid<'a>(context: &Context, term: &'a Term) -> Option<&'a Pid> {
    term.as_pid().filter(|pid| pid.node() == context.node().name())
}

fn undefined_if_known(names: &[Term]) -> Outcome {
    let is_known =
        |name: &Term| name.as_atom().is_some_and(|name| ALL.iter().chain(MORE).any(|known| *name == **known));
    if names.iter().all(is_known) { Ok(Term::atom("undefined")) } else { badarg() }
}

/// What `process_info/1` gives, in its order.
const ALL: &[&str] = &[
    "registered_name",
    "current_function",
    "initial_call",
    "status",
    "message_queue_len",
    "links",
    "dictionary",
    "trap_exit",
    "error_handler",
    "priority",
    "group_leader",
    "total_heap_size",
    "heap_size",
    "stack_size",
    "reductions",
    "garbage_collection",
    "suspending",
];

/// What is only given where it is asked for.
const MORE: &[&str] = &[
    "backtrace",
    "binary",
    "catchlevel",
    "current_location",
    "current_stacktrace",
    "last_calls",
    "memory",
    "message_queue_data",
    "messages",
    "monitored_by",
    "monitors",
    "parent",
    "sequential_trace_token",
    "trace",
];
