//! What the node counts: `erlang:system_info`, `memory` and `statistics`, and its clocks.

use std::time::Duration;

use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{Context, clock};

pub(super) fn insert_all(functions: Builtin<'_>) {
    functions.insert("erlang", "system_info", 1, system_info);
    functions.insert("erlang", "system_flag", 2, async |_: Context, args: Args| match args[0].as_atom() {
        // Observers turn it on to look at what a virtual machine has. It was off, and is.
        Some(flag) if *flag == "scheduler_wall_time" => Ok(false.into()),
        _ => badarg(),
    });
    functions.insert("erlang", "memory", 0, async |_: Context, _: Args| {
        let all = memory().into_iter().map(|(name, bytes)| tuple!(Term::atom(name), bytes));
        Ok(Term::list(all.collect::<Vec<_>>()))
    });
    functions.insert("erlang", "memory", 1, async |_: Context, args: Args| {
        let one = |name: &Term| memory().into_iter().find(|(known, _)| name.is_atom(known));
        match &args[0] {
            Term::List(names) => {
                let some = names.iter().map(|name| one(name).map(|(_, bytes)| tuple!(name.clone(), bytes)));
                some.collect::<Option<Vec<Term>>>().map_or_else(badarg, |some| Ok(Term::list(some)))
            }
            name => one(name).map_or_else(badarg, |(_, bytes)| Ok(bytes.into())),
        }
    });
    functions.insert("erlang", "statistics", 1, statistics);
    functions.insert("erlang", "timestamp", 0, async |_: Context, _: Args| {
        let micros = clock::unix_micros();
        let seconds = micros / 1_000_000;
        Ok(tuple!(seconds / 1_000_000, seconds % 1_000_000, micros % 1_000_000))
    });
    functions
        .insert("erlang", "monotonic_time", 0, async |c: Context, _: Args| Ok(count(up_time(&c).as_nanos())));
    functions.insert("erlang", "monotonic_time", 1, async |c: Context, args: Args| {
        in_unit(up_time(&c).as_nanos(), &args[0])
    });
    functions.insert("erlang", "system_time", 0, async |_: Context, _: Args| {
        Ok(count(u128::from(clock::unix_micros()) * 1000))
    });
    functions.insert("erlang", "system_time", 1, async |_: Context, args: Args| {
        in_unit(u128::from(clock::unix_micros()) * 1000, &args[0])
    });
}

fn count(n: u128) -> Term {
    u64::try_from(n).unwrap_or(u64::MAX).into()
}

/// Nanoseconds, which are this node's native unit, in another.
fn in_unit(nanos: u128, unit: &Term) -> Outcome {
    let per_second = match (unit.as_atom().map(Atom::as_str), unit.as_u64()) {
        (Some("second" | "seconds"), _) => 1,
        (Some("millisecond" | "milli_seconds"), _) => 1_000,
        (Some("microsecond" | "micro_seconds"), _) => 1_000_000,
        (Some("nanosecond" | "nano_seconds" | "native"), _) => 1_000_000_000,
        (None, Some(parts)) if parts > 0 => u128::from(parts),
        _ => return badarg(),
    };
    Ok(count(nanos.saturating_mul(per_second) / 1_000_000_000))
}

fn up_time(context: &Context) -> Duration {
    clock::now().duration_since(context.inner().started)
}

async fn system_info(context: Context, args: Args) -> Outcome {
    let text = |text: &str| Ok(Term::charlist(text));
    let parallelism = || std::thread::available_parallelism().map_or(1, usize::from);
    match args[0].as_atom().map(Atom::as_str) {
        // What the node speaks like: callers ask this to learn which protocol to use.
        Some("otp_release") => text("27"),
        Some("version") => text(env!("CARGO_PKG_VERSION")),
        Some("system_version") => text(concat!("crabnode ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("system_architecture") => text(std::env::consts::ARCH),
        Some("process_count") => Ok(context.inner().registry.len().into()),
        Some("process_limit") => Ok(crate::process::PROCESSES_MAX.into()),
        Some(
            "schedulers"
            | "schedulers_online"
            | "schedulers_available"
            | "logical_processors"
            | "logical_processors_online"
            | "logical_processors_available",
        ) => Ok(parallelism().into()),
        // What only a virtual machine has, and observers ask for.
        Some(
            "atom_count"
            | "ets_count"
            | "port_count"
            | "dirty_cpu_schedulers"
            | "dirty_cpu_schedulers_online"
            | "dirty_io_schedulers"
            | "thread_pool_size",
        ) => Ok(0.into()),
        Some("atom_limit" | "ets_limit" | "port_limit") => Ok((1 << 20).into()),
        Some("smp_support" | "threads") => Ok(true.into()),
        Some("kernel_poll") => Ok(true.into()),
        Some("wordsize") => Ok(size_of::<usize>().into()),
        Some("creation") => Ok(context.node().creation().into()),
        Some("start_time") => Ok(0.into()),
        Some("machine") => text("crabnode"),
        Some("build_type") => Ok(Term::atom(if cfg!(debug_assertions) { "debug" } else { "opt" })),
        _ => match args[0].as_tuple() {
            Some([wordsize, kind]) if wordsize.is_atom("wordsize") => {
                match kind.as_atom().map(Atom::as_str) {
                    Some("internal" | "external") => Ok(size_of::<usize>().into()),
                    _ => badarg(),
                }
            }
            _ => badarg(),
        },
    }
}

/// In bytes. The memory of the whole program is `total` and `system`, since it is not kept apart; 0 where the system
/// does not tell it.
pub(crate) fn memory() -> Vec<(&'static str, u64)> {
    let total = resident_bytes().unwrap_or(0);
    let parts = ["processes", "processes_used", "atom", "atom_used", "binary", "code", "ets"];
    [("total", total), ("system", total)].into_iter().chain(parts.map(|part| (part, 0))).collect()
}

/// What Linux says in `/proc/self/status`, in which the unit is kB.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

async fn statistics(context: Context, args: Args) -> Outcome {
    let links = || context.node().links();
    match args[0].as_atom().map(Atom::as_str) {
        Some("wall_clock") => Ok(tuple!(count(up_time(&context).as_millis()), 0)),
        Some("io") => {
            let (received, sent) = links().iter().fold((0, 0), |(received, sent), link| {
                (received + link.received_bytes, sent + link.sent_bytes)
            });
            Ok(tuple!(tuple!(atom "input", received), tuple!(atom "output", sent)))
        }
        Some("run_queue" | "total_run_queue_lengths" | "total_active_tasks") => {
            Ok(tokio::runtime::Handle::current().metrics().global_queue_depth().into())
        }
        // What only a virtual machine has.
        Some("reductions" | "exact_reductions" | "runtime" | "context_switches") => Ok(tuple!(0, 0)),
        Some("garbage_collection") => Ok(tuple!(0, 0, 0)),
        Some("scheduler_wall_time" | "scheduler_wall_time_all") => Ok(Term::atom("undefined")),
        _ => badarg(),
    }
}
