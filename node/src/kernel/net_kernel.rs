//! `net_kernel`, as far as others call it (cluster-services.md 2.4).

use etf::{Term, tuple};

use crate::{Context, Message, sys};

/// Answers `net_adm:ping`, without which nobody believes that a node is alive.
pub(super) async fn run(mut context: Context) {
    loop {
        let Message::Term(message) = context.receive().await else { continue };
        if sys::answer_for_service(&context, "net_kernel", &message) {
            continue;
        }
        let Some([tag, from, request]) = message.as_tuple() else { continue };
        if !tag.is_atom("$gen_call") {
            continue;
        }
        match request.as_tuple() {
            Some([verb, _node]) if verb.is_atom("is_auth") => context.reply(from, Term::atom("yes")),
            // net_kernel:get_state and the like are local to a BEAM. An answer beats a caller that hangs.
            _ if request.is_atom("ticktime") => {
                let (ticktime, ongoing) = context.node().net_ticktime();
                let millis = u64::try_from(ticktime.as_millis()).unwrap_or(u64::MAX);
                let tag = Term::atom(if ongoing { "tick_change" } else { "tick" });
                context.reply(from, tuple!(tag, millis));
            }
            _ => {
                tracing::debug!(%request, "net_kernel does not know this call");
                context.reply(from, tuple!(atom "error", atom "not_supported"));
            }
        }
    }
}
