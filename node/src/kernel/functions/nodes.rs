//! Other nodes: `net_adm`, `net_kernel`, `global_group`.

use std::time::Duration;

use dist::TicktimeChange;
use etf::{Atom, Term, tuple};

use super::{Args, Builtin, Outcome, badarg};
use crate::{CallError, Context, Dest};

pub(super) fn insert_all(functions: Builtin<'_>) {
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
