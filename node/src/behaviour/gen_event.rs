//! `gen_event` (cluster-services 2.1), as its callers see it: notifying an event manager, asking and changing its
//! handlers.
//!
//! A handler is a module, or `{Module, Id}`. What handlers and managers say is given as they say it; an error is that
//! nothing was said: [`CallError::into_reason`] is the reason with which OTP's function would exit.

use std::time::Duration;

use etf::{Term, tuple};

use crate::{CallError, Context, Dest};

pub use super::gen_server::stop;

/// `gen_event:notify(EventMgr, Event)`. Never waits.
pub fn notify(context: &Context, dest: impl Into<Dest>, event: impl Into<Term>) {
    context.send_now(dest, tuple!(atom "notify", event.into()));
}

/// `gen_event:sync_notify(EventMgr, Event)`: returns when every handler has dealt with it.
pub async fn sync_notify(
    context: &mut Context,
    dest: impl Into<Dest>,
    event: impl Into<Term>,
) -> Result<(), CallError> {
    request(context, dest, tuple!(atom "sync_notify", event.into()), None).await.map(|_ok| ())
}

/// `gen_event:call(EventMgr, Handler, Request, Timeout)`: what the handler replies; `{error, bad_module}` if there is
/// no such handler. No timeout is `infinity`.
pub async fn call(
    context: &mut Context,
    dest: impl Into<Dest>,
    handler: impl Into<Term>,
    query: impl Into<Term>,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    request(context, dest, tuple!(atom "call", handler.into(), query.into()), timeout).await
}

/// `gen_event:add_handler(EventMgr, Handler, Args)`: `ok`, or what the handler's `init` has to say against it.
pub async fn add_handler(
    context: &mut Context,
    dest: impl Into<Dest>,
    handler: impl Into<Term>,
    args: impl Into<Term>,
) -> Result<Term, CallError> {
    request(context, dest, tuple!(atom "add_handler", handler.into(), args.into()), None).await
}

/// `gen_event:add_sup_handler(EventMgr, Handler, Args)`: the same, and the manager is linked with this process. The end
/// of either ends what the other has of it: this process gets `{gen_event_EXIT, Handler, Reason}`.
pub async fn add_sup_handler(
    context: &mut Context,
    dest: impl Into<Dest>,
    handler: impl Into<Term>,
    args: impl Into<Term>,
) -> Result<Term, CallError> {
    let own = context.pid().clone();
    request(context, dest, tuple!(atom "add_sup_handler", handler.into(), args.into(), own), None).await
}

/// `gen_event:delete_handler(EventMgr, Handler, Args)`: what the handler's `terminate` gives;
/// `{error, module_not_found}` if there is no such handler.
pub async fn delete_handler(
    context: &mut Context,
    dest: impl Into<Dest>,
    handler: impl Into<Term>,
    args: impl Into<Term>,
) -> Result<Term, CallError> {
    request(context, dest, tuple!(atom "delete_handler", handler.into(), args.into()), None).await
}

/// `gen_event:swap_handler(EventMgr, {Handler1, Args1}, {Handler2, Args2})`.
pub async fn swap_handler(
    context: &mut Context,
    dest: impl Into<Dest>,
    (old, old_args): (Term, Term),
    (new, new_args): (Term, Term),
) -> Result<Term, CallError> {
    request(context, dest, tuple!(atom "swap_handler", old, old_args, new, new_args), None).await
}

/// `gen_event:swap_sup_handler(EventMgr, {Handler1, Args1}, {Handler2, Args2})`: as [`add_sup_handler`] for the new one.
pub async fn swap_sup_handler(
    context: &mut Context,
    dest: impl Into<Dest>,
    (old, old_args): (Term, Term),
    (new, new_args): (Term, Term),
) -> Result<Term, CallError> {
    let own = context.pid().clone();
    request(context, dest, tuple!(atom "swap_sup_handler", old, old_args, new, new_args, own), None).await
}

/// `gen_event:which_handlers(EventMgr)`: the list of its handlers.
pub async fn which_handlers(context: &mut Context, dest: impl Into<Dest>) -> Result<Term, CallError> {
    request(context, dest, Term::atom("which_handlers"), None).await
}

/// What `gen_event` has in place of `'$gen_call'` is the caller itself.
async fn request(
    context: &mut Context,
    dest: impl Into<Dest>,
    request: Term,
    timeout: Option<Duration>,
) -> Result<Term, CallError> {
    let label = context.pid().into();
    context.call_labelled(label, dest.into(), request, timeout).await
}
