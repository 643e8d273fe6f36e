//! From an operation and its payload to the signal.

use etf::Term;

use super::Signal;
use crate::{ControlMessage, Op, SignalTarget};

/// An operation came without the payload that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{op} without its payload")]
pub struct PayloadMissing {
    /// The operation.
    pub op: Op,
}

impl Signal {
    /// The signal of a control message and the payload that followed it.
    ///
    /// Every operation is understood, whatever was negotiated: messages that a BEAM queued before the handshake
    /// was done still come as older operations (wire.md 5). A payload that does not belong there is dropped.
    pub fn from_wire(control: ControlMessage, payload: Option<Term>) -> Result<Self, PayloadMissing> {
        let op = control.op();
        let payload = || payload.ok_or(PayloadMissing { op });
        Ok(match control {
            ControlMessage::Link { from, to } => Self::Link { from, to },
            ControlMessage::Send { to, token } => {
                Self::Send { from: None, to, message: payload()?, token, priority: false }
            }
            ControlMessage::SendSender { from, to, token } => {
                Self::Send { from: Some(from), to, message: payload()?, token, priority: false }
            }
            ControlMessage::Exit { from, to, token, reason } => Self::Exit { from, to, reason, token },
            ControlMessage::PayloadExit { from, to, token } => {
                Self::Exit { from, to, reason: payload()?, token }
            }
            ControlMessage::Unlink { from, to } => Self::Unlink { id: None, from, to },
            ControlMessage::UnlinkId { id, from, to } => Self::Unlink { id: Some(id), from, to },
            ControlMessage::UnlinkIdAck { id, from, to } => Self::UnlinkAck { id, from, to },
            ControlMessage::RegSend { from, to, token } => {
                Self::RegSend { from, to, message: payload()?, token, priority: false }
            }
            ControlMessage::GroupLeader { leader, member } => Self::GroupLeader { leader, member },
            ControlMessage::Exit2 { from, to, token, reason } => {
                Self::Exit2 { from, to: SignalTarget::Pid(to), reason, token, priority: false }
            }
            ControlMessage::PayloadExit2 { from, to, token } => {
                Self::Exit2 { from, to: SignalTarget::Pid(to), reason: payload()?, token, priority: false }
            }
            ControlMessage::MonitorP { from, to, reference } => Self::Monitor { from, to, reference },
            ControlMessage::DemonitorP { from, to, reference } => Self::Demonitor { from, to, reference },
            ControlMessage::MonitorPExit { from, to, reference, reason } => {
                Self::MonitorExit { from, sender: None, to, reference, reason }
            }
            ControlMessage::PayloadMonitorPExit { from, to, reference } => {
                Self::MonitorExit { from, sender: None, to, reference, reason: payload()? }
            }
            ControlMessage::SpawnRequest(request) => Self::SpawnRequest { request, args: payload()? },
            ControlMessage::SpawnReply { request_id, to, flags, result, token } => {
                Self::SpawnReply { request_id, to, flags, result, token }
            }
            ControlMessage::AliasSend { from, to, token } => {
                Self::AliasSend { from, to, message: payload()?, token, priority: false }
            }
            ControlMessage::AltactSigSend { priority, exit: true, from, to, token, unknown_flags: _ } => {
                Self::Exit2 { from, to, reason: payload()?, token, priority }
            }
            ControlMessage::AltactSigSend { priority, exit: false, from, to, token, unknown_flags: _ } => {
                let message = payload()?;
                match to {
                    SignalTarget::Pid(to) => Self::Send { from: Some(from), to, message, token, priority },
                    SignalTarget::Alias(to) => Self::AliasSend { from, to, message, token, priority },
                    SignalTarget::Name(to) => Self::RegSend { from, to, message, token, priority },
                }
            }
        })
    }
}
