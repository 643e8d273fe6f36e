//! `sys` (cluster-services 2.2): what every process of a behaviour can be asked and told, whatever it does.
//!
//! The functions here ask any process of any node; servers of ours are asked by `sys` of a BEAM just so. What such a
//! server shows is what [`GenServer::get_state`](crate::gen_server::GenServer::get_state) and its like give.
//!
//! Where ours differ from OTP's: times are in UTC; `reductions` is 0, since nothing counts them; a log holds 1,024 events at
//! most; `install`, `remove` and `log_to_file` are refused, for no fun of another node runs here and none writes files;
//! the fun of `replace_state` is run at the node that made it.

use std::time::Duration;

use etf::{Atom, Term, tuple};

use crate::{CallError, Context, Dest};

mod debug;
mod system;
pub(crate) use system::{Inspect, Received, System, answer_for_service};

/// Asks for what has no function of its own here: the reply to `{system, From, Request}`. No timeout is `infinity`.
pub async fn request(
    context: &mut Context,
    dest: impl Into<Dest>,
    request: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    context.call_labelled(Term::atom("system"), dest.into(), request.into(), timeout).await
}

/// `sys:get_status(Name, Timeout)`: `{status, Pid, {module, Module}, [PDict, SysState, Parent, Dbg, Misc]}`.
pub async fn get_status(
    context: &mut Context,
    dest: impl Into<Dest>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    request(context, dest, Term::atom("get_status"), timeout).await
}

/// `sys:get_state(Name, Timeout)`. Where the process could not tell it, the error is the reason that
/// `sys:get_state` fails with.
pub async fn get_state(
    context: &mut Context,
    dest: impl Into<Dest>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    let dest = dest.into();
    let node = context.node_of(&dest);
    let reply = request(context, dest, Term::atom("get_state"), timeout).await?;
    state(context, &node, reply).await.map_err(|reason| CallError::Exit { reason })
}

/// The state in a reply of a process of this node, or why there is none.
pub(crate) async fn state(context: &mut Context, node: &Atom, reply: Term) -> Result<Term, Term> {
    match reply.as_tuple() {
        Some([tag, reason]) if tag.is_atom("error") => Err(reason.clone()),
        Some([tag, state]) if tag.is_atom("ok") && system::tags_states(context, node).await => {
            Ok(state.clone())
        }
        _ => Ok(reply),
    }
}

/// `sys:suspend(Name, Timeout)`: until it is resumed the process looks at nothing but messages of `sys`.
pub async fn suspend(
    context: &mut Context,
    dest: impl Into<Dest>,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    request(context, dest, Term::atom("suspend"), timeout).await.map(|_ok| ())
}

/// `sys:resume(Name, Timeout)`.
pub async fn resume(
    context: &mut Context,
    dest: impl Into<Dest>,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    request(context, dest, Term::atom("resume"), timeout).await.map(|_ok| ())
}

/// `sys:terminate(Name, Reason, Timeout)`: returns when the process has heard of it, which is before it is gone;
/// [`gen_server::stop`](crate::gen_server::stop) waits for that.
pub async fn terminate(
    context: &mut Context,
    dest: impl Into<Dest>,
    reason: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    request(context, dest, tuple!(atom "terminate", reason.into()), timeout).await.map(|_ok| ())
}

/// `sys:trace(Name, Flag, Timeout)`: the process prints what it does, where its group leader is.
pub async fn trace(
    context: &mut Context,
    dest: impl Into<Dest>,
    flag: bool,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    debug_command(context, dest, tuple!(atom "trace", flag), timeout).await.map(|_ok| ())
}

/// `sys:statistics(Name, Flag, Timeout)`, where the flag is `true`, `false` or `get`: `ok`, or `{ok, Statistics}`.
pub async fn statistics(
    context: &mut Context,
    dest: impl Into<Dest>,
    flag: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    debug_command(context, dest, tuple!(atom "statistics", flag.into()), timeout).await
}

/// `sys:log(Name, Flag, Timeout)`, where the flag is `true`, `{true, N}`, `false`, `get` or `print`: `ok`, or
/// `{ok, Events}`.
pub async fn log(
    context: &mut Context,
    dest: impl Into<Dest>,
    flag: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    debug_command(context, dest, tuple!(atom "log", flag.into()), timeout).await
}

/// `sys:no_debug(Name, Timeout)`.
pub async fn no_debug(
    context: &mut Context,
    dest: impl Into<Dest>,
    timeout: Option<Duration>,
) -> Result<(), CallError> {
    debug_command(context, dest, Term::atom("no_debug"), timeout).await.map(|_ok| ())
}

async fn debug_command(
    context: &mut Context,
    dest: impl Into<Dest>,
    what: Term,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    request(context, dest, tuple!(atom "debug", what), timeout).await
}
