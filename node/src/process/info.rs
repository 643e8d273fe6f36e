//! What is to be known of a process from outside: `erlang:process_info`.

use etf::{Atom, Pid, Term, tuple};

use super::{Monitored, Process};
use crate::{Node, node::Inner};

/// A process as it was at one moment: what [`Node::process_info`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessInfo {
    /// The process.
    pub pid: Pid,
    /// The name that it is registered by.
    pub registered_name: Option<Atom>,
    /// What it was started with: `{Module, Function, Arity}`; for a body of this program the name of the Rust function.
    pub initial_call: (Atom, Atom, u8),
    /// How many messages wait for it.
    pub message_queue_len: usize,
    /// Whom it is linked with, in no order.
    pub links: Vec<Pid>,
    /// What it monitors, in no order.
    pub monitors: Vec<Monitored>,
    /// Who monitors it, in no order; one that does so twice twice.
    pub monitored_by: Vec<Pid>,
    /// Whether exits become messages.
    pub trap_exit: bool,
    /// Who gets its output.
    pub group_leader: Pid,
    /// How often it has run, from one await to the next: what there is in place of reductions.
    pub runs: u64,
    /// About how many bytes it takes: its own state and its messages, without what these point to.
    pub memory_bytes: usize,
}

impl ProcessInfo {
    fn of(inner: &Inner, process: &Process) -> Option<Self> {
        let name = inner.registry.name_of(&process.pid);
        let (message_queue_len, messages_bytes) = (process.mailbox.len(), process.mailbox.bytes());
        let signals = process.signals();
        let signals = signals.as_ref()?;
        Some(Self {
            pid: process.pid.clone(),
            registered_name: name,
            initial_call: process.initial_call(),
            message_queue_len,
            links: signals.linked().cloned().collect(),
            monitors: signals.monitors().cloned().collect(),
            monitored_by: signals.monitored_by().cloned().collect(),
            trap_exit: signals.trap_exit,
            group_leader: process.group_leader(),
            runs: process.runs(),
            memory_bytes: process.own_bytes() + messages_bytes,
        })
    }

    /// `process_info(Pid, [Item])`: `{Item, Value}`, or nothing for an item that is none. A process without a name has `[]`
    /// there. What only a virtual machine has is 0 or empty.
    #[must_use]
    pub fn item(&self, item: &str) -> Option<Term> {
        let call = |(module, function, arity): &(Atom, Atom, u8)| tuple!(module, function, *arity);
        let words = |bytes: usize| Term::from(bytes.div_ceil(size_of::<usize>()));
        let pids = |pids: &[Pid]| Term::List(pids.iter().map(Term::from).collect());
        let value = match item {
            "registered_name" => self.registered_name.as_ref().map_or(Term::NIL, Term::from),
            // Where it is in its function only the compiler knows.
            "current_function" | "initial_call" => call(&self.initial_call),
            "current_location" => {
                let (module, function, arity) = &self.initial_call;
                tuple!(module, function, *arity, Term::NIL)
            }
            "current_stacktrace" => {
                let (module, function, arity) = &self.initial_call;
                Term::list(vec![tuple!(module, function, *arity, Term::NIL)])
            }
            "status" => Term::atom("waiting"),
            "message_queue_len" => self.message_queue_len.into(),
            "links" => pids(&self.links),
            "monitors" => Term::List(self.monitors.iter().map(monitored).collect()),
            "monitored_by" => pids(&self.monitored_by),
            "dictionary" | "suspending" | "binary" | "messages" | "sequential_trace_token" => Term::NIL,
            "last_calls" => false.into(),
            "parent" => Term::atom("undefined"),
            "backtrace" => Term::binary(""),
            "trap_exit" => self.trap_exit.into(),
            "error_handler" => Term::atom("error_handler"),
            "priority" => Term::atom("normal"),
            "message_queue_data" => Term::atom("on_heap"),
            "catchlevel" | "trace" => 0.into(),
            "group_leader" => (&self.group_leader).into(),
            "total_heap_size" | "heap_size" => words(self.memory_bytes),
            "stack_size" => 0.into(),
            "memory" => self.memory_bytes.into(),
            "reductions" => self.runs.into(),
            "garbage_collection" => Term::list(vec![tuple!(atom "minor_gcs", 0)]),
            _ => return None,
        };
        Some(tuple!(Atom::from(item), value))
    }
}

/// As an element of `monitors`.
fn monitored(item: &Monitored) -> Term {
    match item {
        Monitored::Pid(pid) => tuple!(atom "process", pid),
        Monitored::Name(name, node) => tuple!(atom "process", tuple!(name, node)),
    }
}

impl Node {
    /// `process_info(Pid)` of a process of this node; nothing if it has ended, or is none of this node.
    #[must_use]
    pub fn process_info(&self, pid: &Pid) -> Option<ProcessInfo> {
        let process = self.inner().registry.get(pid)?;
        ProcessInfo::of(self.inner(), &process)
    }
}
