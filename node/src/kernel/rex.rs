//! `rex`: calls of old and of nodes in C, and what erpc does not replace (cluster-services.md 2.6).

use std::sync::Arc;

use etf::{Atom, Pid, Term, tuple};
use tokio::sync::oneshot;

use crate::{
    Context, Dest, Exception, Message, SpawnOptions,
    io::{self, NoInput, Sink},
    sys,
};

/// Serves until the node ends. Each call runs in a process of its own, so that none holds up another.
pub(super) async fn run(mut context: Context) {
    loop {
        let Message::Term(message) = context.receive().await else { continue };
        if sys::answer_for_service(&context, "rex", &message) {
            continue;
        }
        match message.as_tuple() {
            Some([tag, from, request]) if tag.is_atom("$gen_call") => gen_call(&context, from, request).await,
            Some([tag, request]) if tag.is_atom("$gen_cast") => {
                if let Some(call) = Call::parse(request, "cast") {
                    call.spawn(&context, |_, _| {});
                }
            }
            Some([Term::Pid(from), request]) => info(&context, from, request),
            _ => tracing::debug!(%message, "rex does not know this message"),
        }
    }
}

async fn gen_call(context: &Context, from: &Term, request: &Term) {
    let answer_to = from.clone();
    if let Some(call) = Call::parse(request, "call") {
        call.spawn(context, move |context, result| context.reply(&answer_to, result));
    } else if let Some(call) = Call::parse(request, "block_call") {
        let (sender, ended) = oneshot::channel::<()>();
        call.spawn(context, move |context, result| {
            context.reply(&answer_to, result);
            drop(sender);
        });
        // Nobody else is served meanwhile: that is what it is for.
        let _ = ended.await;
    } else {
        // OTP's never answers. An answer beats a caller that hangs.
        tracing::debug!(%request, "rex does not know this call");
        context.reply(from, tuple!(atom "badrpc", tuple!(atom "EXIT", atom "undef")));
    }
}

fn info(context: &Context, from: &Pid, request: &Term) {
    let own = context.node().name().clone();
    if request.is_atom("features_request") {
        let features = Term::list(vec![Term::atom("erpc")]);
        context.send_now(from, tuple!(atom "features_reply", own, features));
        return;
    }
    if let Some(mut call) = Call::parse(request, "call") {
        let from = from.clone();
        let printer = call.prints_to_caller.then(|| printer(context, &from));
        call.group_leader = printer.clone().or(call.group_leader);
        call.spawn(context, move |context, result| {
            context.send_now(&from, tuple!(atom "rex", result));
            if let Some(printer) = printer {
                context.exit(&printer, Term::atom("kill"));
            }
        });
        return;
    }
    match request.as_tuple() {
        Some([verb, name, message]) if verb.is_atom("sbcast") || verb.is_atom("send") => {
            let to = name.as_atom().and_then(|name| context.node().whereis(name));
            let delivered = to.is_some();
            if let Some(to) = to {
                let legacy = verb.is_atom("send");
                context.send_now(&to, if legacy { tuple!(from, message.clone()) } else { message.clone() });
            }
            if verb.is_atom("sbcast") || !delivered {
                let result =
                    if delivered { Term::from(&own) } else { tuple!(atom "nonexisting_name", name.clone()) };
                context.send_now(from, tuple!(atom "rex", own, result));
            }
        }
        _ => tracing::debug!(%request, "rex does not know this message"),
    }
}

/// A group leader for one call, whose output goes to who calls as `{rex_stdout, Text}`.
fn printer(context: &Context, to: &Pid) -> Pid {
    let (inner, own, to) = (Arc::clone(context.inner()), context.pid().clone(), to.clone());
    let sink = Sink::function(move |text| {
        let message = tuple!(atom "rex_stdout", Term::binary(text));
        inner.emit_send(&own, Dest::Pid(to.clone()), message, None);
    });
    io::start(context.inner(), None, sink, NoInput).expect("no name was given that could be taken")
}

/// `{call|cast|block_call, M, F, A, GroupLeader}`, where the last is a process, `user` or `send_stdout_to_caller`.
struct Call {
    module: Atom,
    function: Atom,
    args: Vec<Term>,
    group_leader: Option<Pid>,
    /// What is printed goes to who calls, as messages.
    prints_to_caller: bool,
}

impl Call {
    fn parse(request: &Term, verb: &str) -> Option<Self> {
        let [v, module, function, args, leader] = request.as_tuple()? else { return None };
        Some(Self {
            module: v.is_atom(verb).then(|| module.as_atom().cloned())??,
            function: function.as_atom()?.clone(),
            args: args.as_list()?.to_vec(),
            group_leader: leader.as_pid().cloned(),
            prints_to_caller: leader.is_atom("send_stdout_to_caller"),
        })
    }

    /// Runs it in a process of its own, watched by another that answers whatever becomes of it.
    fn spawn(self, context: &Context, done: impl FnOnce(&Context, Term) + Send + 'static) {
        let group_leader = self.group_leader.or_else(|| context.node().whereis("user"));
        let options = SpawnOptions { group_leader, ..SpawnOptions::default() };
        let inner = Arc::clone(context.inner());
        context.spawn(move |mut context| async move {
            let (sender, receiver) = oneshot::channel();
            let call = move |context| async move {
                let result = inner.functions.apply(context, &self.module, &self.function, self.args).await;
                // Nobody waits if the watching process was ended.
                let _ = sender.send(rpc_result(result));
            };
            let pid =
                context.node().spawn_with(options, call).expect("no name was given that could be taken");
            let monitor = context.monitor(&pid);
            let down = context.receive_match(|message| match message {
                Message::Down { reference, reason, .. } if *reference == monitor.reference => {
                    Some(reason.clone())
                }
                _ => None,
            });
            let result = tokio::select! {
                biased;
                Ok(result) = receiver => result,
                reason = down => tuple!(atom "badrpc", tuple!(atom "EXIT", reason)),
            };
            done(&context, result);
        });
    }
}

/// What `rpc:call` gives: a failure is `{badrpc, {'EXIT', _}}`, and a throw is a value (cluster-services.md 2.5).
fn rpc_result(result: Result<Term, Exception>) -> Term {
    let exit = |reason: Term| tuple!(atom "badrpc", tuple!(atom "EXIT", reason));
    match result {
        // Here, unlike in a call by erpc, a value that says it is an exit stays one.
        Ok(value) | Err(Exception::Throw(value)) => value,
        Err(Exception::Exit(reason)) => exit(reason),
        Err(Exception::Error { reason, stack }) => exit(tuple!(reason, stack)),
    }
}
