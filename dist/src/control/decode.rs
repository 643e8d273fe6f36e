//! From a tuple to its control message.

use std::{num::NonZeroU64, vec::Drain};

use etf::{Atom, BigInt, Pid, Reference, Term};

use super::{
    ControlError, ControlMessage, Kind, Mfa, MonitorTarget, SignalTarget, SpawnOptions, SpawnReplyFlags,
    SpawnRequest, altact,
};
use crate::{Op, SeqToken};

pub(super) fn from_term(term: Term) -> Result<ControlMessage, ControlError> {
    let Term::Tuple(elements) = term else { return Err(ControlError::NotATuple) };
    from_elements(elements.into_vec().drain(..))
}

pub(super) fn from_elements(elements: Drain<'_, Term>) -> Result<ControlMessage, ControlError> {
    let mut fields = Fields::of(elements)?;
    let op = fields.op;
    Ok(match op {
        Op::Link => ControlMessage::Link { from: fields.pid()?, to: fields.pid()? },
        Op::Send | Op::SendTt => {
            fields.ignored();
            ControlMessage::Send { to: fields.pid()?, token: fields.token_if(op == Op::SendTt) }
        }
        Op::Exit | Op::ExitTt => ControlMessage::Exit {
            from: fields.pid()?,
            to: fields.pid()?,
            token: fields.token_if(op == Op::ExitTt),
            reason: fields.any(),
        },
        Op::Unlink => ControlMessage::Unlink { from: fields.pid()?, to: fields.pid()? },
        Op::RegSend | Op::RegSendTt => {
            let from = fields.pid()?;
            fields.ignored();
            ControlMessage::RegSend { from, to: fields.atom()?, token: fields.token_if(op == Op::RegSendTt) }
        }
        Op::GroupLeader => ControlMessage::GroupLeader { leader: fields.pid()?, member: fields.pid()? },
        Op::Exit2 | Op::Exit2Tt => ControlMessage::Exit2 {
            from: fields.pid()?,
            to: fields.pid()?,
            token: fields.token_if(op == Op::Exit2Tt),
            reason: fields.any(),
        },
        Op::MonitorP => ControlMessage::MonitorP {
            from: fields.pid()?,
            to: fields.monitor_target()?,
            reference: fields.reference()?,
        },
        Op::DemonitorP => ControlMessage::DemonitorP {
            from: fields.pid()?,
            to: fields.monitor_target()?,
            reference: fields.reference()?,
        },
        Op::MonitorPExit => ControlMessage::MonitorPExit {
            from: fields.monitor_target()?,
            to: fields.pid()?,
            reference: fields.reference()?,
            reason: fields.any(),
        },
        Op::SendSender | Op::SendSenderTt => ControlMessage::SendSender {
            from: fields.pid()?,
            to: fields.pid()?,
            token: fields.token_if(op == Op::SendSenderTt),
        },
        Op::PayloadExit | Op::PayloadExitTt => ControlMessage::PayloadExit {
            from: fields.pid()?,
            to: fields.pid()?,
            token: fields.token_if(op == Op::PayloadExitTt),
        },
        Op::PayloadExit2 | Op::PayloadExit2Tt => ControlMessage::PayloadExit2 {
            from: fields.pid()?,
            to: fields.pid()?,
            token: fields.token_if(op == Op::PayloadExit2Tt),
        },
        Op::PayloadMonitorPExit => ControlMessage::PayloadMonitorPExit {
            from: fields.monitor_target()?,
            to: fields.pid()?,
            reference: fields.reference()?,
        },
        Op::SpawnRequest | Op::SpawnRequestTt => ControlMessage::SpawnRequest(Box::new(SpawnRequest {
            request_id: fields.reference()?,
            from: fields.pid()?,
            group_leader: fields.pid()?,
            mfa: fields.mfa()?,
            // Bad options are answered, not punished (wire.md 5, operation 29).
            options: SpawnOptions::from_term(fields.any()),
            token: fields.token_if(op == Op::SpawnRequestTt),
        })),
        Op::SpawnReply | Op::SpawnReplyTt => ControlMessage::SpawnReply {
            request_id: fields.reference()?,
            to: fields.pid()?,
            flags: fields.spawn_reply_flags()?,
            result: fields.pid_or_error()?,
            token: fields.token_if(op == Op::SpawnReplyTt),
        },
        Op::AliasSend | Op::AliasSendTt => ControlMessage::AliasSend {
            from: fields.pid()?,
            to: fields.reference()?,
            token: fields.token_if(op == Op::AliasSendTt),
        },
        Op::UnlinkId => {
            ControlMessage::UnlinkId { id: fields.unlink_id()?, from: fields.pid()?, to: fields.pid()? }
        }
        Op::UnlinkIdAck => {
            ControlMessage::UnlinkIdAck { id: fields.unlink_id()?, from: fields.pid()?, to: fields.pid()? }
        }
        Op::AltactSigSend => altact_sig_send(fields)?,
    })
}

fn altact_sig_send(mut fields: Fields<'_>) -> Result<ControlMessage, ControlError> {
    let got = fields.rest.len() + 1;
    let flags = fields.flags()?;
    let from = fields.pid()?;
    let to = match (flags & altact::ALIAS != 0, flags & altact::NAME != 0) {
        (false, false) => SignalTarget::Pid(fields.pid()?),
        (true, false) => SignalTarget::Alias(fields.reference()?),
        (false, true) => SignalTarget::Name(fields.atom()?),
        (true, true) => return Err(ControlError::AliasAndName),
    };
    let has_token = flags & altact::TOKEN != 0;
    if has_token && fields.rest.len() == 0 {
        return Err(ControlError::Arity { op: fields.op, got, expected: crate::Arity::AtLeast(5) });
    }
    Ok(ControlMessage::AltactSigSend {
        priority: flags & altact::PRIORITY != 0,
        exit: flags & altact::EXIT != 0,
        from,
        to,
        token: fields.token_if(has_token),
        unknown_flags: flags & !altact::KNOWN,
    })
}

/// The elements of a control tuple after the operation, taken one by one.
///
/// The number of elements is checked before the first is taken, so there is always one to take.
struct Fields<'a> {
    op: Op,
    rest: Drain<'a, Term>,
    /// The element taken last, counted from 1 as Erlang counts.
    element: usize,
}

impl<'a> Fields<'a> {
    fn of(mut rest: Drain<'a, Term>) -> Result<Self, ControlError> {
        let got = rest.len();
        let number = rest.next().ok_or(ControlError::NotATuple)?;
        let number = number.as_int().ok_or(ControlError::OpNotANumber)?;
        let op = Op::from_number(number).ok_or(ControlError::UnknownOp { number })?;
        let expected = op.row().arity;
        if !expected.allows(got) {
            return Err(ControlError::Arity { op, got, expected });
        }
        Ok(Self { op, rest, element: 1 })
    }

    fn any(&mut self) -> Term {
        self.element += 1;
        self.rest.next().expect("the tuple has as many elements as its operation's row says")
    }

    fn ignored(&mut self) {
        let _cookie = self.any();
    }

    fn wrong<T>(&self, expected: Kind) -> Result<T, ControlError> {
        Err(ControlError::Type { op: self.op, element: self.element, expected })
    }

    fn pid(&mut self) -> Result<Pid, ControlError> {
        match self.any() {
            Term::Pid(pid) => Ok(pid),
            _ => self.wrong(Kind::Pid),
        }
    }

    fn atom(&mut self) -> Result<Atom, ControlError> {
        match self.any() {
            Term::Atom(atom) => Ok(atom),
            _ => self.wrong(Kind::Atom),
        }
    }

    fn reference(&mut self) -> Result<Reference, ControlError> {
        match self.any() {
            Term::Reference(reference) => Ok(reference),
            _ => self.wrong(Kind::Reference),
        }
    }

    fn monitor_target(&mut self) -> Result<MonitorTarget, ControlError> {
        match self.any() {
            Term::Pid(pid) => Ok(MonitorTarget::Pid(pid)),
            Term::Atom(name) => Ok(MonitorTarget::Name(name)),
            _ => self.wrong(Kind::PidOrName),
        }
    }

    fn pid_or_error(&mut self) -> Result<Result<Pid, Atom>, ControlError> {
        match self.any() {
            Term::Pid(pid) => Ok(Ok(pid)),
            Term::Atom(error) => Ok(Err(error)),
            _ => self.wrong(Kind::PidOrError),
        }
    }

    fn token_if(&mut self, has_token: bool) -> Option<SeqToken> {
        has_token.then(|| SeqToken::new(self.any()))
    }

    fn mfa(&mut self) -> Result<Mfa, ControlError> {
        let Term::Tuple(elements) = self.any() else { return self.wrong(Kind::Mfa) };
        match <[Term; 3]>::try_from(elements) {
            Ok([Term::Atom(module), Term::Atom(function), Term::Int(arity)]) => {
                Ok(Mfa { module, function, arity })
            }
            _ => self.wrong(Kind::Mfa),
        }
    }

    fn unlink_id(&mut self) -> Result<NonZeroU64, ControlError> {
        match self.any().as_u64().and_then(NonZeroU64::new) {
            Some(id) => Ok(id),
            None => self.wrong(Kind::UnlinkId),
        }
    }

    fn spawn_reply_flags(&mut self) -> Result<SpawnReplyFlags, ControlError> {
        match self.any().as_u64().map(SpawnReplyFlags::from_bits) {
            Some(Ok(flags)) => Ok(flags),
            _ => self.wrong(Kind::SpawnReplyFlags),
        }
    }

    /// The lowest 64 bits of a non-negative integer of any size.
    fn flags(&mut self) -> Result<u64, ControlError> {
        match self.any() {
            Term::Int(flags) => u64::try_from(flags).or_else(|_| self.wrong(Kind::Flags)),
            Term::BigInt(big) if *big.as_bigint() > BigInt::ZERO => {
                Ok(big.as_bigint().iter_u64_digits().next().unwrap_or(0))
            }
            _ => self.wrong(Kind::Flags),
        }
    }
}
