//! The functions that every node serves over rpc, erpc and spawn (cluster-services.md 2.11).

use std::{sync::Arc, time::Duration};

use dist::TicktimeChange;
use etf::{Atom, Fun, Pid, Term, tuple};

use super::erpc;
use crate::{Args, CallError, Context, Dest, Exception, Functions, clock, node::Inner, process::Message};

type Outcome = Result<Term, Exception>;

fn badarg<T>() -> Result<T, Exception> {
    Err(Exception::badarg())
}

fn ok() -> Outcome {
    Ok(Term::atom("ok"))
}

fn atoms(names: impl IntoIterator<Item = Atom>) -> Outcome {
    Ok(Term::List(names.into_iter().map(Term::Atom).collect()))
}

/// Puts them all into the node's table.
pub(super) fn insert_all(inner: &Arc<Inner>) {
    let functions = &inner.functions;
    erlang(functions);
    erlang_system(functions);
    calls(functions);
    nodes(functions);
    code(functions);
}

fn erlang(functions: &Functions) {
    functions.insert("erlang", "node", 0, async |c: Context, _: Args| Ok(c.node().name().into()));
    functions.insert("erlang", "is_alive", 0, async |_: Context, _: Args| Ok(true.into()));
    functions.insert("erlang", "nodes", 0, async |c: Context, _: Args| atoms(c.node().nodes()));
    functions.insert("erlang", "nodes", 1, nodes_1);
    functions.insert("erlang", "self", 0, async |c: Context, _: Args| Ok(c.pid().into()));
    functions.insert("erlang", "registered", 0, async |c: Context, _: Args| atoms(c.node().registered()));
    functions.insert("erlang", "processes", 0, async |c: Context, _: Args| {
        Ok(Term::List(c.node().processes().into_iter().map(Term::Pid).collect()))
    });
    functions.insert("erlang", "whereis", 1, async |c: Context, args: Args| match args[0].as_atom() {
        Some(name) => Ok(c.node().whereis(name).map_or(Term::atom("undefined"), Term::Pid)),
        None => badarg(),
    });
    functions.insert("erlang", "is_process_alive", 1, async |c: Context, args: Args| match &args[0] {
        Term::Pid(pid) if pid.node() == c.node().name() => Ok(c.node().is_process_alive(pid).into()),
        _ => badarg(),
    });
    functions.insert("erlang", "process_info", 1, async |c: Context, args: Args| {
        let Term::Pid(pid) = &args[0] else { return badarg() };
        let Some(info) = process_info(&c, pid) else { return Ok(Term::atom("undefined")) };
        Ok(Term::List(info.into_iter().map(|(key, value)| tuple!(Term::atom(key), value)).collect()))
    });
    functions.insert("erlang", "process_info", 2, async |c: Context, args: Args| {
        let Term::Pid(pid) = &args[0] else { return badarg() };
        let Some(info) = process_info(&c, pid) else { return Ok(Term::atom("undefined")) };
        match info.into_iter().find(|(key, _)| args[1].is_atom(key)) {
            // As Erlang has it: no registered name is the empty list.
            Some((_, Term::List(none))) if none.is_empty() && args[1].is_atom("registered_name") => {
                Ok(Term::NIL)
            }
            Some((key, value)) => Ok(tuple!(Term::atom(key), value)),
            None => badarg(),
        }
    });
    functions.insert("erlang", "send", 2, async |c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        c.send(dest, args[1].clone()).await;
        Ok(args[1].clone())
    });
    functions.insert("erlang", "exit", 1, async |_: Context, args: Args| Err(Exception::Exit(first(args))));
    functions.insert("erlang", "throw", 1, async |_: Context, args: Args| Err(Exception::Throw(first(args))));
    functions.insert("erlang", "error", 1, async |_: Context, args: Args| Err(Exception::error(first(args))));
    functions.insert("erlang", "exit", 2, async |c: Context, args: Args| match &args[0] {
        Term::Pid(pid) => {
            c.exit(pid, args[1].clone());
            Ok(true.into())
        }
        _ => badarg(),
    });
    functions.insert("erlang", "apply", 2, async |c: Context, args: Args| apply_fun(c, args).await);
    functions.insert("erlang", "apply", 3, async |c: Context, args: Args| apply(c, args).await);
}

fn first(mut args: Args) -> Term {
    args.swap_remove(0)
}

async fn nodes_1(context: Context, args: Args) -> Outcome {
    let (node, mut nodes) = (context.node(), Vec::new());
    let kinds = match &args[0] {
        Term::List(kinds) => kinds.to_vec(),
        kind => vec![kind.clone()],
    };
    for kind in kinds {
        match kind.as_atom().map(Atom::as_str) {
            Some("this") => nodes.push(node.name().clone()),
            Some("visible") => nodes.extend(node.nodes()),
            Some("hidden") => nodes.extend(node.nodes_hidden()),
            Some("connected") => {
                nodes.extend(node.nodes());
                nodes.extend(node.nodes_hidden());
            }
            Some("known") => {
                nodes.push(node.name().clone());
                nodes.extend(node.nodes());
                nodes.extend(node.nodes_hidden());
            }
            _ => return badarg(),
        }
    }
    nodes.sort();
    nodes.dedup();
    atoms(nodes)
}

fn process_info(context: &Context, pid: &Pid) -> Option<Vec<(&'static str, Term)>> {
    let inner = context.inner();
    let process = inner.registry.get(pid)?;
    let (links, trap_exit) = {
        let signals = process.signals();
        let signals = signals.as_ref()?;
        (signals.linked().map(Term::from).collect::<Vec<_>>(), signals.trap_exit)
    };
    let (module, function, arity) = &process.initial_call;
    let name = inner.registry.name_of(pid).map_or(Term::NIL, Term::Atom);
    Some(vec![
        ("registered_name", name),
        ("current_function", tuple!(module, function, *arity)),
        ("initial_call", tuple!(module, function, *arity)),
        ("status", Term::atom("waiting")),
        ("message_queue_len", process.mailbox.len().into()),
        ("links", Term::list(links)),
        ("dictionary", Term::NIL),
        ("trap_exit", trap_exit.into()),
        ("error_handler", Term::atom("error_handler")),
        ("priority", Term::atom("normal")),
        ("group_leader", process.group_leader().into()),
    ])
}

/// `erlang:send`'s destination, or `gen_server:call`'s.
fn dest(term: &Term) -> Option<Dest> {
    match term {
        Term::Pid(pid) => Some(Dest::Pid(pid.clone())),
        Term::Atom(name) => Some(Dest::Name(name.clone())),
        Term::Reference(alias) => Some(Dest::Alias(alias.clone())),
        Term::Tuple(parts) => match parts.as_slice() {
            [tag, name] if tag.is_atom("global") => Some(Dest::Global(name.clone())),
            [Term::Atom(name), Term::Atom(node)] => Some(Dest::NameAt(name.clone(), node.clone())),
            _ => None,
        },
        _ => None,
    }
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

/// Between `init:stop` and the stop: time for its answer to be written, and nothing to the one who waits.
const ANSWER_GOES_OUT: Duration = Duration::from_millis(100);

fn erlang_system(functions: &Functions) {
    functions.insert("erlang", "halt", 0, async |c: Context, _: Args| {
        c.inner().request_stop(0);
        Ok(true.into())
    });
    functions.insert("erlang", "halt", 1, async |c: Context, args: Args| {
        c.inner().request_stop(args[0].as_int().and_then(|n| u8::try_from(n).ok()).unwrap_or(1));
        Ok(true.into())
    });
    for arity in [0, 1] {
        functions.insert("init", "stop", arity, async |c: Context, args: Args| {
            let status = args.first().and_then(Term::as_int).and_then(|n| u8::try_from(n).ok());
            // The answer goes first, and the node after it (cluster-services.md 2.11).
            c.spawn(move |c| async move {
                tokio::time::sleep(ANSWER_GOES_OUT).await;
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
    functions.insert("erlang", "system_info", 1, async |c: Context, args: Args| {
        let text = |text: &str| Ok(Term::charlist(text));
        let parallelism = || std::thread::available_parallelism().map_or(1, usize::from);
        match args[0].as_atom().map(Atom::as_str) {
            // What the node speaks like: callers ask this to learn which protocol to use.
            Some("otp_release") => text("27"),
            Some("version") => text(env!("CARGO_PKG_VERSION")),
            Some("system_version") => text(concat!("crabnode ", env!("CARGO_PKG_VERSION"), "\n")),
            Some("system_architecture") => text(std::env::consts::ARCH),
            Some("process_count") => Ok(c.node().processes().len().into()),
            Some("schedulers" | "schedulers_online" | "logical_processors") => Ok(parallelism().into()),
            Some("wordsize") => Ok(size_of::<usize>().into()),
            Some("creation") => Ok(c.node().creation().into()),
            _ => badarg(),
        }
    });
    functions.insert("erlang", "timestamp", 0, async |_: Context, _: Args| {
        let micros = clock::unix_micros();
        let seconds = micros / 1_000_000;
        Ok(tuple!(seconds / 1_000_000, seconds % 1_000_000, micros % 1_000_000))
    });
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

/// Milliseconds or `infinity`; nothing if it is neither.
#[expect(clippy::option_option, reason = "the inner one is `infinity`")]
fn timeout(term: &Term) -> Option<Option<Duration>> {
    if term.is_atom("infinity") {
        return Some(None);
    }
    Some(Some(Duration::from_millis(term.as_u64()?)))
}

fn calls(functions: &Functions) {
    functions.insert("gen_server", "call", 2, gen_server_call);
    functions.insert("gen_server", "call", 3, gen_server_call);
    functions.insert("gen_server", "cast", 2, async |c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        c.cast(dest, args[1].clone());
        ok()
    });
    functions.insert("gen_server", "stop", 1, async |mut c: Context, args: Args| {
        let Some(dest) = dest(&args[0]) else { return badarg() };
        stop(&mut c, dest).await
    });
    for (module, name) in [("rpc", "call"), ("erpc", "call")] {
        functions.insert(module, name, 4, move |c: Context, mut args: Args| {
            args.push(Term::atom("infinity"));
            remote_call(c, args, module == "rpc")
        });
        functions
            .insert(module, name, 5, move |c: Context, args: Args| remote_call(c, args, module == "rpc"));
    }
    // A cast is a call that nobody waits for: the process that runs it ends with it.
    functions.insert("erpc", "execute_cast", 3, async |c: Context, args: Args| apply(c, args).await);
    functions.insert("erpc", "execute_call", 4, async |c: Context, mut args: Args| {
        let result = args.remove(0);
        Err(Exception::Exit(erpc::execute_call_reason(result, apply(c, args).await)))
    });
}

/// How long `gen_server:call/2` waits.
const GEN_CALL: Duration = Duration::from_secs(5);

/// With and without a timeout: the exit reason repeats the arguments as they were given.
async fn gen_server_call(mut context: Context, args: Args) -> Outcome {
    let time = args.get(2).map_or(Some(Some(GEN_CALL)), timeout);
    let (Some(dest), Some(timeout)) = (dest(&args[0]), time) else { return badarg() };
    let error = match context.call(dest, args[1].clone(), timeout).await {
        Ok(reply) => return Ok(reply),
        Err(error) => error,
    };
    let call = tuple!(atom "gen_server", atom "call", Term::list(args));
    Err(Exception::Exit(tuple!(error.into_reason(), call)))
}

async fn stop(context: &mut Context, dest: Dest) -> Outcome {
    let monitor = context.monitor(dest.clone());
    let from = tuple!(context.pid(), &monitor.reference);
    let terminate = tuple!(atom "terminate", atom "normal");
    context.send_now(dest, tuple!(atom "system", from, terminate));
    let reason = context
        .receive_match(|message| match message {
            Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                Some(reason.clone())
            }
            _ => None,
        })
        .await;
    if reason.is_atom("normal") { ok() } else { Err(Exception::Exit(reason)) }
}

async fn remote_call(mut context: Context, args: Args, rpc: bool) -> Outcome {
    let [Term::Atom(node), Term::Atom(module), Term::Atom(function), Term::List(list), time] =
        args.as_slice()
    else {
        return badarg();
    };
    let Some(timeout) = timeout(time) else { return badarg() };
    if rpc {
        return Ok(erpc::rpc_call(&mut context, node, module, function, list.to_vec(), timeout).await);
    }
    match erpc::call(&mut context, node, module, function, list.to_vec(), timeout).await {
        Ok(value) => Ok(value),
        Err(erpc::ErpcError::Exception(Exception::Throw(term))) => Err(Exception::Throw(term)),
        Err(erpc::ErpcError::Exception(Exception::Exit(reason))) => {
            Err(Exception::Exit(tuple!(atom "exception", reason)))
        }
        Err(erpc::ErpcError::Exception(Exception::Error { reason, stack })) => {
            Err(Exception::error(tuple!(atom "exception", reason, stack)))
        }
        Err(erpc::ErpcError::Signal(reason)) => Err(Exception::Exit(tuple!(atom "signal", reason))),
        Err(erpc::ErpcError::Erpc(reason)) => Err(Exception::error(tuple!(atom "erpc", reason))),
    }
}

fn nodes(functions: &Functions) {
    functions.insert("net_adm", "ping", 1, async |mut c: Context, args: Args| {
        let Some(node) = args[0].as_atom() else { return badarg() };
        Ok(Term::atom(if ping(&mut c, node).await { "pong" } else { "pang" }))
    });
    functions.insert("net_kernel", "connect_node", 1, async |c: Context, args: Args| {
        let Some(node) = args[0].as_atom() else { return badarg() };
        Ok((node == c.node().name() || c.node().connect(node).await.is_ok()).into())
    });
    functions.insert("erlang", "disconnect_node", 1, async |c: Context, args: Args| {
        let Some(node) = args[0].as_atom() else { return badarg() };
        let connection = c.inner().disconnect(node);
        if let Some(connection) = &connection {
            connection.ended().await;
        }
        Ok(connection.is_some().into())
    });
    functions.insert("net_kernel", "get_net_ticktime", 0, async |c: Context, _: Args| {
        let (ticktime, ongoing) = c.node().net_ticktime();
        let seconds = ticktime.as_secs();
        Ok(if ongoing { tuple!(atom "ongoing_change_to", seconds) } else { seconds.into() })
    });
    functions.insert("net_kernel", "set_net_ticktime", 1, async |c: Context, args: Args| {
        set_net_ticktime(&c, &args[0], TRANSITION_SECS)
    });
    functions.insert("net_kernel", "set_net_ticktime", 2, async |c: Context, args: Args| {
        args[1].as_u64().map_or_else(badarg, |transition| set_net_ticktime(&c, &args[0], transition))
    });
    functions.insert("net_kernel", "allow", 1, async |c: Context, args: Args| allow(&c, &args[0]));
    functions.insert("net_kernel", "allowed", 0, async |c: Context, _: Args| {
        let allowed = c.node().allowed();
        let atoms: Vec<Term> =
            allowed.iter().filter_map(|node| Atom::try_new(node).ok()).map(Term::Atom).collect();
        Ok(tuple!(atom "ok", Term::list(atoms)))
    });
    functions.insert("global_group", "get_own_nodes", 0, async |_: Context, _: Args| Ok(Term::NIL));
}

fn allow(context: &Context, nodes: &Term) -> Outcome {
    let atoms: Option<Vec<&Atom>> = nodes.as_list().unwrap_or_default().iter().map(Term::as_atom).collect();
    let (Some(atoms), true) = (atoms, nodes.as_list().is_some()) else { return Ok(Term::atom("error")) };
    context.node().allow(atoms.iter().map(|atom| atom.as_str()));
    Ok(Term::atom("ok"))
}

/// OTP's default.
const TRANSITION_SECS: u64 = 60;

fn set_net_ticktime(context: &Context, seconds: &Term, transition: u64) -> Outcome {
    let Some(seconds) = seconds.as_u64() else { return badarg() };
    let seconds = Duration::from_secs(seconds);
    match context.node().set_net_ticktime(seconds, Duration::from_secs(transition)) {
        Ok(TicktimeChange::Unchanged) => Ok(Term::atom("unchanged")),
        Ok(TicktimeChange::Initiated) => Ok(Term::atom("change_initiated")),
        Ok(TicktimeChange::OngoingTo(to)) => Ok(tuple!(atom "ongoing_change_to", to.as_secs())),
        Err(_) => badarg(),
    }
}

/// `net_adm:ping(Node)`: whether the node lives and lets us talk to it. As in OTP, one that does not answer is
/// disconnected.
pub(crate) async fn ping(context: &mut Context, node: &Atom) -> bool {
    if node == context.node().name() {
        return true;
    }
    let request = tuple!(atom "is_auth", context.node().name());
    let dest = Dest::NameAt(Atom::from_static("net_kernel"), node.clone());
    match context.call(dest, request, None).await {
        Ok(answer) if answer.is_atom("yes") => true,
        Ok(_) | Err(CallError::NoProc | CallError::Exit { .. } | CallError::Timeout) => {
            context.node().disconnect(node);
            false
        }
        Err(CallError::NoConnection { .. }) => false,
    }
}

fn code(functions: &Functions) {
    functions.insert("code", "ensure_loaded", 1, async |c: Context, args: Args| {
        let Some(module) = args[0].as_atom() else { return badarg() };
        if c.node().functions().contains_module(module) {
            return Ok(tuple!(atom "module", module));
        }
        Ok(tuple!(atom "error", atom "nofile"))
    });
    functions.insert("code", "is_loaded", 1, async |c: Context, args: Args| {
        let Some(module) = args[0].as_atom() else { return badarg() };
        if c.node().functions().contains_module(module) {
            return Ok(tuple!(atom "file", atom "preloaded"));
        }
        Ok(false.into())
    });
}
