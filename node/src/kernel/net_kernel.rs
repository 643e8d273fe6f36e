//! `net_kernel`, as far as others call it (cluster-services.md 2.4).

use etf::{Atom, Term, tuple};

use crate::{Context, Message, sys};

/// Answers `net_adm:ping`, without which nobody believes that a node is alive, and what else OTP asks of it.
pub(super) async fn run(mut context: Context) {
    loop {
        let Message::Term(message) = context.receive().await else { continue };
        if sys::answer_for_service(&context, "net_kernel", &message) {
            continue;
        }
        let Some([tag, from, request]) = message.as_tuple() else { continue };
        if tag.is_atom("$gen_call") {
            call(&context, from, request);
        }
    }
}

fn call(context: &Context, from: &Term, request: &Term) {
    let node = context.node();
    let answer = match request.as_tuple() {
        Some([verb, _node]) if verb.is_atom("is_auth") => Term::atom("yes"),
        Some([verb, Term::Atom(other)]) if verb.is_atom("disconnect") => {
            return apply(context, from, "erlang", "disconnect_node", other);
        }
        Some([verb, _type, Term::Atom(other)]) if verb.is_atom("connect") => {
            return apply(context, from, "net_kernel", "connect_node", other);
        }
        _ if request.is_atom("nodename") => node.name().into(),
        // Milliseconds, as OTP 25 and later have it.
        _ if request.is_atom("ticktime") => {
            u64::try_from(node.net_ticktime().0.as_millis()).unwrap_or(u64::MAX).into()
        }
        _ if request.is_atom("allowed") => {
            let allowed = node.allowed();
            let atoms = allowed.iter().filter_map(|node| Atom::try_new(node).ok()).map(Term::Atom);
            tuple!(atom "ok", Term::list(atoms.collect::<Vec<_>>()))
        }
        // What is local to a BEAM. An answer beats a caller that hangs.
        _ => {
            tracing::debug!(%request, "net_kernel does not know this call");
            tuple!(atom "error", atom "not_supported")
        }
    };
    context.reply(from, answer);
}

/// Answers with what the function gives, in a process of its own: others are pinged meanwhile.
fn apply(context: &Context, from: &Term, module: &'static str, function: &'static str, node: &Atom) {
    let (from, node) = (from.clone(), node.clone());
    context.spawn(move |context| async move {
        let functions = &context.inner().functions;
        let (module, function) = (Atom::from_static(module), Atom::from_static(function));
        let result = functions.apply(context.twin(), &module, &function, vec![node.into()]).await;
        context.reply(&from, result.unwrap_or_else(|_| false.into()));
    });
}
