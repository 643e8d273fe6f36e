//! `observer_backend`: what `observer` and `etop` on another node ask (cluster-services.md 2.11). What only a virtual
//! machine has is 0 or empty; in place of reductions is how often a process has run.

use std::time::Duration;

use etf::{Atom, Term, tuple};

use super::functions::{Args, Builtin, Outcome, badarg, ok};
use crate::{Context, ProcessInfo};

/// How many processes one message to an observer has: what OTP sends at once.
const BATCH: usize = 10_000;

pub(crate) fn insert_all(functions: Builtin<'_>) {
    functions.insert("observer_backend", "vsn", 0, async |_: Context, _: Args| {
        Ok(tuple!(atom "ok", Term::charlist(env!("CARGO_PKG_VERSION"))))
    });
    functions.insert("observer_backend", "sys_info", 0, async |c: Context, _: Args| Ok(sys_info(&c).await));
    for (function, arity) in [("get_port_list", 0), ("get_socket_list", 0), ("socket_info", 0)] {
        functions.insert("observer_backend", function, arity, async |_: Context, _: Args| Ok(Term::NIL));
    }
    functions.insert("observer_backend", "get_table_list", 2, async |_: Context, _: Args| Ok(Term::NIL));
    functions.insert("observer_backend", "procs_info", 1, procs_info);
    functions.insert("observer_backend", "etop_collect", 1, etop_collect);
    functions.insert("observer_backend", "fetch_stats", 2, fetch_stats);
    // Observers look whether a process may have a state that they could ask for. This says that it has none.
    functions.insert("proc_lib", "translate_initial_call", 1, async |_: Context, _: Args| {
        Ok(tuple!(atom "proc_lib", atom "init_p", 5))
    });
}

/// `spawn_link(Node, observer_backend, procs_info, [Collector])`.
async fn procs_info(context: Context, args: Args) -> Outcome {
    let Some(collector) = args[0].as_pid() else { return badarg() };
    let all = processes(&context);
    // One that is empty too: an observer waits for the first.
    let batches = all.len().div_ceil(BATCH).max(1);
    for batch in (0..batches).map(|n| &all[n * BATCH..all.len().min((n + 1) * BATCH)]) {
        context.send(collector, tuple!(atom "procs_info", context.pid(), batch.to_vec())).await;
    }
    ok()
}

/// `spawn_link(Node, observer_backend, etop_collect, [Collector])`; older observers ask so too.
async fn etop_collect(context: Context, args: Args) -> Outcome {
    let Some(collector) = args[0].as_pid() else { return badarg() };
    let all = processes(&context);
    let names = ["total", "processes", "ets", "atom", "code", "binary"].map(Term::atom);
    let info = tuple!(
        atom "etop_info",
        ask(&context, "timestamp", vec![]).await,
        all.len(),
        atom "undefined",
        ask(&context, "statistics", vec![Term::atom("scheduler_wall_time")]).await,
        ask(&context, "statistics", vec![Term::atom("run_queue")]).await,
        Term::NIL,
        ask(&context, "memory", vec![Term::list(names.to_vec())]).await,
        all
    );
    context.send(collector, tuple!(context.pid(), info)).await;
    ok()
}

/// Every process but the one that asks, as `#etop_proc_info{}`.
fn processes(context: &Context) -> Vec<Term> {
    let node = context.node();
    let others = node.processes().into_iter().filter(|pid| pid != context.pid());
    others.filter_map(|pid| Some(etop_proc_info(node.process_info(&pid)?))).collect()
}

fn etop_proc_info(info: ProcessInfo) -> Term {
    let (module, function, arity) = info.initial_call;
    let function = tuple!(module, function, arity);
    let name = info.registered_name.map_or_else(|| function.clone(), Term::Atom);
    let (memory, queue) = (info.memory_bytes, info.message_queue_len);
    tuple!(atom "etop_proc_info", info.pid, memory, info.runs, name, 0, function, queue)
}

/// `fetch_stats(Collector, Millis)`: what the load of the node is, until anything is sent to the process.
async fn fetch_stats(mut context: Context, args: Args) -> Outcome {
    let (Some(collector), Some(millis)) = (args[0].as_pid(), args[1].as_u64()) else { return badarg() };
    context.trap_exit(true);
    let pause = Duration::from_millis(millis.max(1));
    while context.receive_timeout(pause).await.is_none() {
        let io = ask(&context, "statistics", vec![Term::atom("io")]).await;
        let memory = ask(&context, "memory", vec![]).await;
        context.send(collector, tuple!(atom "stats", 1, Term::NIL, io, memory)).await;
    }
    ok()
}

/// What `erlang:Function(Args)` gives here.
async fn ask(context: &Context, function: &'static str, args: Args) -> Term {
    let functions = &context.inner().functions;
    let (module, function) = (Atom::from_static("erlang"), Atom::from_static(function));
    let result = functions.apply(context.twin(), &module, &function, args).await;
    result.unwrap_or_else(|_| Term::atom("undefined"))
}

/// What `sys_info/0` takes from `erlang:system_info/1` under the same name.
const SYSTEM_INFO: &[&str] = &[
    "logical_processors",
    "logical_processors_online",
    "logical_processors_available",
    "schedulers",
    "schedulers_online",
    "schedulers_available",
    "otp_release",
    "version",
    "system_architecture",
    "kernel_poll",
    "smp_support",
    "threads",
    "thread_pool_size",
    "process_count",
    "atom_limit",
    "atom_count",
    "process_limit",
    "port_limit",
    "port_count",
    "ets_limit",
    "ets_count",
];

async fn sys_info(context: &Context) -> Term {
    let statistics = async |name| ask(context, "statistics", vec![Term::atom(name)]).await;
    let second =
        |term: &Term| term.as_tuple().and_then(|parts| parts.get(1).cloned()).unwrap_or_else(|| 0.into());
    let wall_clock = statistics("wall_clock").await;
    let uptime = wall_clock.as_tuple().and_then(|parts| parts.first().cloned());
    let io = statistics("io").await;
    let (input, output) = match io.as_tuple() {
        Some([input, output]) => (second(input), second(output)),
        _ => (0.into(), 0.into()),
    };
    let mut all = vec![
        tuple!(atom "uptime", uptime.unwrap_or_else(|| 0.into())),
        tuple!(atom "run_queue", statistics("run_queue").await),
        tuple!(atom "io_input", input),
        tuple!(atom "io_output", output),
        tuple!(atom "wordsize_internal", size_of::<usize>()),
        tuple!(atom "wordsize_external", size_of::<usize>()),
        tuple!(atom "alloc_info", Term::NIL),
        tuple!(atom "dist_buf_busy_limit", context.node().config().busy_bytes),
    ];
    for name in SYSTEM_INFO {
        all.push(tuple!(Term::atom(name), ask(context, "system_info", vec![Term::atom(name)]).await));
    }
    all.extend(ask(context, "memory", vec![]).await.as_list().unwrap_or_default().iter().cloned());
    Term::list(all)
}
