//! `erlang:process_info`: what there is to know of a process of this node.

use std::sync::Arc;

use etf::{Atom, Pid, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{Context, Monitored, process::Process};

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("erlang", "process_info", 1, async |c: Context, args: Args| {
        let Some(pid) = own_pid(&c, &args[0]) else { return badarg() };
        let Some(process) = c.inner().registry.get(pid) else { return Ok(Term::atom("undefined")) };
        let info = ALL.iter().filter_map(|name| {
            let value = item(&c, &process, name)?;
            let is_left_out = *name == "registered_name" && value == Term::NIL;
            (!is_left_out).then(|| tuple!(Term::atom(name), value))
        });
        Ok(Term::list(info.collect::<Vec<_>>()))
    });
    functions.insert("erlang", "process_info", 2, async |c: Context, args: Args| {
        let Some(pid) = own_pid(&c, &args[0]) else { return badarg() };
        let process = c.inner().registry.get(pid);
        match &args[1] {
            Term::Atom(name) => {
                let Some(process) = process else { return undefined_if_known(&[args[1].clone()]) };
                match item(&c, &process, name) {
                    // As Erlang has it: no registered name is the empty list.
                    Some(none) if none == Term::NIL && *name == "registered_name" => Ok(none),
                    Some(value) => Ok(tuple!(name, value)),
                    None => badarg(),
                }
            }
            Term::List(names) => {
                let Some(process) = process else { return undefined_if_known(names) };
                let info = names.iter().map(|name| {
                    let name = name.as_atom()?;
                    Some(tuple!(name, item(&c, &process, name)?))
                });
                info.collect::<Option<Vec<Term>>>().map_or_else(badarg, |info| Ok(Term::list(info)))
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
const MORE: &[&str] =
    &["backtrace", "current_location", "current_stacktrace", "memory", "monitored_by", "monitors"];

/// One item; nothing for one that is not known here. What only a virtual machine has is 0 or empty.
fn item(context: &Context, process: &Arc<Process>, name: &str) -> Option<Term> {
    let (module, function, arity) = &process.initial_call;
    let inner = context.inner();
    Some(match name {
        "registered_name" => inner.registry.name_of(&process.pid).map_or(Term::NIL, Term::Atom),
        "current_function" | "initial_call" => tuple!(module, function, *arity),
        "status" => Term::atom("waiting"),
        "message_queue_len" => process.mailbox.len().into(),
        "links" => {
            let signals = process.signals();
            let links = signals.iter().flat_map(|signals| signals.linked());
            Term::list(links.map(Term::from).collect::<Vec<_>>())
        }
        "monitors" => {
            let signals = process.signals();
            let monitors = signals.iter().flat_map(|signals| signals.monitors());
            Term::list(monitors.map(monitored).collect::<Vec<_>>())
        }
        "monitored_by" => {
            let signals = process.signals();
            let monitored_by = signals.iter().flat_map(|signals| signals.monitored_by());
            Term::list(monitored_by.map(Term::from).collect::<Vec<_>>())
        }
        "trap_exit" => process.signals().as_ref().is_some_and(|signals| signals.trap_exit).into(),
        "error_handler" => Term::atom("error_handler"),
        "priority" => Term::atom("normal"),
        "group_leader" => process.group_leader().into(),
        "dictionary" | "garbage_collection" | "suspending" | "current_stacktrace" => Term::NIL,
        "current_location" => tuple!(module, function, *arity, Term::NIL),
        "backtrace" => Term::binary(""),
        "total_heap_size" | "heap_size" | "stack_size" | "reductions" => 0.into(),
        "memory" => (size_of::<Process>() + process.mailbox.len() * size_of::<Term>()).into(),
        _ => return None,
    })
}

fn monitored(item: &Monitored) -> Term {
    let item = match item {
        Monitored::Pid(pid) => Term::from(pid),
        Monitored::Name(name, node) => tuple!(name, node),
    };
    tuple!(Atom::from_static("process"), item)
}
