//! Processes that other nodes start here.

use std::sync::Arc;

use dist::{SpawnReplyFlags, SpawnRequest};
use etf::{Atom, Term};

use super::{Context, SpawnOptions, Watcher};
use crate::{Args, kernel::erpc, node::Inner};

/// How many processes there may be for another node to start one more: the BEAM's default (`+P`).
pub(crate) const PROCESSES_MAX: usize = 1 << 20;

/// SPAWN_REQUEST came: starts the process, answers, and only then lets it run, so that the answer comes
/// before anything that it does (cluster-services.md 2.5).
pub(crate) fn serve_spawn_request(inner: &Arc<Inner>, request: SpawnRequest, args: Term) {
    let SpawnRequest { request_id, from, group_leader, mfa, options, token } = request;
    let refuse_for = |request_id, reason| {
        let refusal = Err(Atom::from_static(reason));
        inner.emit_spawn_reply(request_id, &from, SpawnReplyFlags::NONE, refusal, None);
    };
    let refuse = |request_id| refuse_for(request_id, "badopt");
    if inner.registry.len() >= PROCESSES_MAX {
        return refuse_for(request_id, "system_limit");
    }
    let options = match options {
        Ok(options) if options.unknown.is_empty() => options,
        _ => return refuse(request_id),
    };
    // The argument list counts and not the arity that was announced (wire.md 5, op 29).
    let Term::List(args) = args else { return refuse(request_id) };
    let arity = u8::try_from(args.len()).unwrap_or(u8::MAX);
    let process = inner
        .new_process(SpawnOptions {
            name: None,
            group_leader: Some(group_leader),
            initial_call: Some((mfa.module.clone(), mfa.function.clone(), arity)),
        })
        .expect("only a name can be taken, and none was given");
    let mut flags = SpawnReplyFlags::NONE;
    if let Some(signals) = &mut *process.signals() {
        if options.link {
            signals.linked_by(&from);
            flags = flags.with(SpawnReplyFlags::LINK);
        }
        if options.monitor.is_some() {
            signals.watched_by(request_id.clone(), Watcher { pid: from.clone(), by_name: None });
            flags = flags.with(SpawnReplyFlags::MONITOR);
        }
        inner.registry.concern(signals, from.node(), &process.pid);
    }
    // It is traced from the start, and so is the answer.
    process.seq_trace.received(&token.map(Box::new));
    let token = process.seq_trace.sending(&process.pid);
    inner.emit_spawn_reply(request_id, &from, flags, Ok(process.pid.clone()), token);
    inner.run_process(process, move |context| run(context, mfa.module, mfa.function, args.into_vec()));
}

async fn run(context: Context, module: Atom, function: Atom, args: Args) -> Term {
    let inner = Arc::clone(context.inner());
    // `erpc:execute_call(Ref, M, F, Args)` says how the call went by its exit reason, as nothing else does.
    let args = match <[Term; 4]>::try_from(args) {
        Ok([result, Term::Atom(m), Term::Atom(f), Term::List(list)])
            if module == "erpc" && function == "execute_call" =>
        {
            let outcome = inner.functions.apply(context, &m, &f, list.into_vec()).await;
            return erpc::execute_call_reason(result, outcome);
        }
        Ok(args) => args.into(),
        Err(args) => args,
    };
    match inner.functions.apply(context, &module, &function, args).await {
        Ok(_) => Term::atom("normal"),
        Err(exception) => exception.into_reason(),
    }
}
