//! From a control message to its tuple.

use etf::{Atom, Pid, Term};

use super::{ControlMessage, SignalTarget, altact};
use crate::SeqToken;

/// Where a cookie stood until R9; always `''` since.
const NO_COOKIE: Term = Term::Atom(Atom::from_static(""));

pub(super) fn to_term(message: &ControlMessage) -> Term {
    let mut tuple = Tuple::new(message);
    match message {
        ControlMessage::Link { from, to }
        | ControlMessage::Unlink { from, to }
        | ControlMessage::GroupLeader { leader: from, member: to } => {
            tuple.add(from).add(to);
        }
        ControlMessage::Send { to, token } => {
            tuple.add(NO_COOKIE).add(to).add_token(token);
        }
        ControlMessage::Exit { from, to, token, reason }
        | ControlMessage::Exit2 { from, to, token, reason } => {
            tuple.add(from).add(to).add_token(token).add(reason.clone());
        }
        ControlMessage::RegSend { from, to, token } => {
            tuple.add(from).add(NO_COOKIE).add(to).add_token(token);
        }
        ControlMessage::MonitorP { from, to, reference }
        | ControlMessage::DemonitorP { from, to, reference } => {
            tuple.add(from).add(to.clone()).add(reference);
        }
        ControlMessage::MonitorPExit { from, to, reference, reason } => {
            tuple.add(from.clone()).add(to).add(reference).add(reason.clone());
        }
        ControlMessage::SendSender { from, to, token }
        | ControlMessage::PayloadExit { from, to, token }
        | ControlMessage::PayloadExit2 { from, to, token } => {
            tuple.add(from).add(to).add_token(token);
        }
        ControlMessage::PayloadMonitorPExit { from, to, reference } => {
            tuple.add(from.clone()).add(to).add(reference);
        }
        ControlMessage::SpawnRequest(request) => {
            let mfa = [
                Term::from(&request.mfa.module),
                Term::from(&request.mfa.function),
                Term::from(request.mfa.arity),
            ];
            let options = match &request.options {
                Ok(options) => options.to_term(),
                Err(bad) => bad.0.clone(),
            };
            tuple.add(&request.request_id).add(&request.from).add(&request.group_leader);
            tuple.add(Term::tuple(mfa)).add(options).add_token(&request.token);
        }
        ControlMessage::SpawnReply { request_id, to, flags, result, token } => {
            let result: Term = match result {
                Ok(pid) => Pid::into(pid.clone()),
                Err(error) => Atom::into(error.clone()),
            };
            tuple.add(request_id).add(to).add(flags.bits()).add(result).add_token(token);
        }
        ControlMessage::AliasSend { from, to, token } => {
            tuple.add(from).add(to).add_token(token);
        }
        ControlMessage::UnlinkId { id, from, to } | ControlMessage::UnlinkIdAck { id, from, to } => {
            tuple.add(id.get()).add(from).add(to);
        }
        ControlMessage::AltactSigSend { priority, exit, from, to, token, unknown_flags } => {
            let flag = |is_set, flag| if is_set { flag } else { 0 };
            let flags = (unknown_flags & !altact::KNOWN)
                | flag(*priority, altact::PRIORITY)
                | flag(token.is_some(), altact::TOKEN)
                | flag(matches!(to, SignalTarget::Alias(_)), altact::ALIAS)
                | flag(matches!(to, SignalTarget::Name(_)), altact::NAME)
                | flag(*exit, altact::EXIT);
            tuple.add(flags).add(from).add(to.clone()).add_token(token);
        }
    }
    Term::tuple(tuple.0)
}

struct Tuple(Vec<Term>);

impl Tuple {
    fn new(message: &ControlMessage) -> Self {
        // The largest tuple has seven elements: a spawn request with a token.
        let mut elements = Vec::with_capacity(7);
        elements.push(message.op().number().into());
        Self(elements)
    }

    fn add(&mut self, element: impl Into<Term>) -> &mut Self {
        self.0.push(element.into());
        self
    }

    fn add_token(&mut self, token: &Option<SeqToken>) -> &mut Self {
        self.0.extend(token.clone().map(Term::from));
        self
    }
}
