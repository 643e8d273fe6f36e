//! What other nodes may start here: the functions of this node by `{Module, Function, Arity}`.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};

use dist::{SpawnReplyFlags, SpawnRequest};
use etf::{Atom, Term};

use super::{Context, Exception, SpawnOptions, Watcher};
use crate::{kernel::erpc, node::Inner};

/// The arguments of a call.
pub type Args = Vec<Term>;

type Handler =
    Arc<dyn Fn(Context, Args) -> Pin<Box<dyn Future<Output = Result<Term, Exception>> + Send>> + Send + Sync>;

/// The functions that `rpc`, `erpc` and `spawn` find on this node. None is served unless it is here.
#[derive(Default)]
pub struct Functions {
    table: RwLock<HashMap<(Atom, Atom), HashMap<usize, Handler>>>,
}

impl Functions {
    /// Serves `Module:Function/Arity`. A function of the same name and arity is replaced.
    ///
    /// Each call runs in a process of its own, whose [`Context`] the function gets. Dropping the future (an
    /// exit signal, the caller's timeout at the caller only) ends the call at its next await.
    pub fn insert<F, Fut>(&self, module: &'static str, function: &'static str, arity: usize, body: F)
    where
        F: Fn(Context, Args) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Term, Exception>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |context, args| Box::pin(body(context, args)));
        let key = (Atom::from_static(module), Atom::from_static(function));
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.entry(key).or_default().insert(arity, handler);
    }

    /// Whether `Module:Function/Arity` is served.
    #[must_use]
    pub fn contains(&self, module: &Atom, function: &Atom, arity: usize) -> bool {
        self.get(module, function, arity).is_some()
    }

    /// Whether any function of a module is served.
    #[must_use]
    pub fn contains_module(&self, module: &str) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.keys().any(|(m, _)| m.as_str() == module)
    }

    fn get(&self, module: &Atom, function: &Atom, arity: usize) -> Option<Handler> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(&(module.clone(), function.clone()))?.get(&arity).cloned()
    }

    /// Calls a function in the process of the context. One that is not served fails with `undef`.
    pub async fn apply(
        &self,
        context: Context,
        module: &Atom,
        function: &Atom,
        args: Args,
    ) -> Result<Term, Exception> {
        match self.get(module, function, args.len()) {
            Some(handler) => handler(context, args).await,
            None => Err(Exception::undef(module, function, args)),
        }
    }
}

/// How many processes there may be for another node to start one more: the BEAM's default (`+P`).
const PROCESSES_MAX: usize = 1 << 20;

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
        inner.registry.concern(from.node(), &process.pid);
    }
    // It is traced from the start, and so is the answer.
    process.seq_trace.received(&token.map(Box::new));
    let token = process.seq_trace.sending(&process.pid);
    inner.emit_spawn_reply(request_id, &from, flags, Ok(process.pid.clone()), token);
    inner.run_process(process, move |context| run(context, mfa.module, mfa.function, args.into_vec()));
}

async fn run(context: Context, module: Atom, function: Atom, args: Args) -> Term {
    let node = context.node().clone();
    // `erpc:execute_call(Ref, M, F, Args)` says how the call went by its exit reason, as nothing else does.
    if let (true, true, [result, Term::Atom(m), Term::Atom(f), Term::List(list)]) =
        (module == "erpc", function == "execute_call", args.as_slice())
    {
        let outcome = node.functions().apply(context, m, f, list.to_vec()).await;
        return erpc::execute_call_reason(result.clone(), outcome);
    }
    match node.functions().apply(context, &module, &function, args).await {
        Ok(_) => Term::atom("normal"),
        Err(exception) => exception.into_reason(),
    }
}
