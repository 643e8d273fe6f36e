//! Calls whose answer is waited for later.

use std::{sync::Arc, time::Duration};

use etf::{Atom, Reference, Term};

use super::{ErpcError, RemoteSpawnOptions, Response, Told, atom, module_atom, parse};
use crate::{Context, Message, Monitored, node::Inner, process::Process};

/// A call that was sent by [`send_request`], of the process that sent it.
///
/// Dropping it abandons the call: the function may go on at the other node, and its result is dropped there. A
/// response that has come already stays in the mailbox then, as a [`Message::Down`].
pub struct RequestId {
    open: Open,
    result: Reference,
    is_answered: bool,
}

impl RequestId {
    /// What the response's [`Message::Down`], or its [`Message::SpawnReply`] that says why there is none, carries.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.open.reference
    }

    /// Whether the response was taken: then there will be no other.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(super) fn is_of(&self, context: &Context) -> bool {
        Arc::ptr_eq(&self.open.process, context.process())
    }

    pub(super) fn response(&mut self, outcome: Outcome) -> Response {
        self.is_answered = true;
        match outcome {
            Outcome::Ended(reason) => parse(&self.result, reason),
            Outcome::Refused(error) => Err(ErpcError::Erpc(error)),
        }
    }

    /// No response will come from now on, nor is one left in the mailbox.
    pub(super) fn abandon(&mut self, context: &mut Context) {
        if std::mem::replace(&mut self.is_answered, true) || self.open.end() {
            return;
        }
        let reference = &self.open.reference;
        context.flush(|message| Outcome::of(message).is_some_and(|(of, _)| of == reference));
    }
}

/// The process's notes of a request.
struct Open {
    inner: Arc<Inner>,
    process: Arc<Process>,
    reference: Reference,
}

impl Open {
    /// Whether it was open still: then nothing of it is in the mailbox.
    fn end(&self) -> bool {
        let (was_asked, item): (_, Option<Monitored>) = match &mut *self.process.signals() {
            Some(signals) => {
                (signals.spawn_answered(&self.reference).is_some(), signals.unwatch(&self.reference))
            }
            None => return false,
        };
        if let Some(item) = &item {
            self.inner.emit_demonitor(&self.process.pid, item, self.reference.clone());
        }
        was_asked || item.is_some()
    }
}

impl Drop for RequestId {
    fn drop(&mut self) {
        if !self.is_answered {
            self.open.end();
        }
    }
}

/// What a message says of a request.
pub(super) enum Outcome {
    /// What was started has ended for this reason, which says how the call went.
    Ended(Term),
    /// Nothing was started.
    Refused(Atom),
}

impl Outcome {
    /// The reference of the request, and what came of it.
    pub(super) fn of(message: &Message) -> Option<(&Reference, OutcomeRef<'_>)> {
        match message {
            Message::Down { reference, reason, .. } => Some((reference, OutcomeRef::Ended(reason))),
            Message::SpawnReply { reference, result: Err(error) } => {
                Some((reference, OutcomeRef::Refused(error)))
            }
            Message::SpawnReply { result: Ok(_), .. }
            | Message::Term(_)
            | Message::Exit { .. }
            | Message::Node(_) => None,
        }
    }
}

/// The same, still in its message.
#[derive(Clone, Copy)]
pub(super) enum OutcomeRef<'a> {
    Ended(&'a Term),
    Refused(&'a Atom),
}

impl From<OutcomeRef<'_>> for Outcome {
    fn from(outcome: OutcomeRef<'_>) -> Self {
        match outcome {
            OutcomeRef::Ended(reason) => Self::Ended(reason.clone()),
            OutcomeRef::Refused(error) => Self::Refused(error.clone()),
        }
    }
}

/// `erpc:send_request(Node, M, F, Args)`: a call without waiting for its response.
///
/// Fails with `badarg` where a name cannot be an atom; all else is said by the response.
pub fn send_request(
    context: &Context,
    node: &str,
    module: &str,
    function: &str,
    args: Vec<Term>,
) -> Result<RequestId, ErpcError> {
    let call = [module_atom(module)?, module_atom(function)?, Term::list(args)];
    Ok(send_to(context, &atom(node)?, call))
}

/// The same with the names checked.
pub(super) fn send_to(context: &Context, node: &Atom, [module, function, args]: [Term; 3]) -> RequestId {
    let result = context.make_ref();
    let execute = (Atom::from_static("erpc"), Atom::from_static("execute_call"));
    let args = vec![Term::from(&result), module, function, args];
    let options = RemoteSpawnOptions { link: false, monitor: true };
    let reference = context.spawn_request_as(node, execute, args, options, Told::Errors);
    let (inner, process) = (Arc::clone(context.inner()), Arc::clone(context.process()));
    RequestId { open: Open { inner, process, reference }, result, is_answered: false }
}

/// `erpc:receive_response(RequestId, Timeout)`; no timeout is `infinity`. After a timeout the request is abandoned.
///
/// `badarg` for a request of another process, or one whose response was taken. Dropping the future abandons the
/// request too.
pub async fn receive_response(
    context: &mut Context,
    request: RequestId,
    timeout: Option<Duration>,
) -> Response {
    let mut received = Received { context, request };
    let Received { context, request } = &mut received;
    wait_response(context, request, timeout).await.unwrap_or_else(|| Err(ErpcError::erpc("timeout")))
}

/// A request that is waited for. However the wait ends, nothing of it is left in the mailbox.
struct Received<'a> {
    context: &'a mut Context,
    request: RequestId,
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.request.abandon(self.context);
    }
}

/// `erpc:wait_response(RequestId, WaitTime)`; no time is `infinity`. Nothing where none came: the request goes on, and
/// can be waited for again.
///
/// `badarg` for a request of another process, or one whose response was taken. Dropping the future loses nothing.
pub async fn wait_response(
    context: &mut Context,
    request: &mut RequestId,
    wait: Option<Duration>,
) -> Option<Response> {
    if request.is_answered || !request.is_of(context) {
        return Some(Err(ErpcError::erpc("badarg")));
    }
    let reference = &request.open.reference;
    let outcome = context
        .receive_match_timeout(wait, |message| match Outcome::of(message) {
            Some((of, outcome)) if of == reference => Some(Outcome::from(outcome)),
            _ => None,
        })
        .await?;
    Some(request.response(outcome))
}

/// `erpc:check_response(Message, RequestId)`: the response, if the message is it; else the message.
///
/// # Errors
/// Gives the message back that is none.
pub fn check_response(message: Message, request: &mut RequestId) -> Result<Response, Message> {
    if request.is_answered {
        return Err(message);
    }
    let outcome = match Outcome::of(&message) {
        Some((of, outcome)) if of == request.reference() => Outcome::from(outcome),
        _ => return Err(message),
    };
    Ok(request.response(outcome))
}
