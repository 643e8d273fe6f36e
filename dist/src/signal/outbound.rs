//! From a signal to the operation that the agreed flags allow.

use etf::Term;
use handshake::DistFlags;

use super::Signal;
use crate::{ControlMessage, SeqToken, SignalTarget};

/// A signal that is not said to this peer, because the peer could not understand it. Nothing goes onto the
/// wire, and the connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Withheld {
    /// The peer lacks DIST_MONITOR or DIST_MONITOR_NAME. The monitor then watches over the connection only, as
    /// on the BEAM: it fires with `noconnection`.
    #[error("the peer knows no monitors")]
    Monitors,
    /// The peer lacks SPAWN. The requester is to get `{spawn_reply, ReqId, error, notsup}`.
    #[error("the peer knows no spawn requests")]
    Spawn,
    /// The peer lacks ALIAS and ALTACT_SIG, so the alias cannot be one of its own: the message is dropped.
    #[error("the peer knows no aliases")]
    Alias,
    /// An `exit/2` to an alias or a name, and the peer lacks ALTACT_SIG: the signal is dropped, as on the BEAM.
    #[error("the peer knows no exit signals to aliases and names")]
    ExitToAlias,
    /// An exit, an unlink or its acknowledgement to a process of an earlier life of the peer. Stock nodes end the
    /// connection at it, though its own links have the same race; there is nobody that it could be for.
    #[error("the process is of an earlier incarnation of the peer")]
    Incarnation,
}

/// Why a signal has no operation on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotSent {
    /// The peer could not understand it.
    #[error(transparent)]
    Withheld(#[from] Withheld),
    /// An unlink without an id to a peer with UNLINK_ID. OTP 26 and later end the connection at the operation
    /// of old (4), so the caller has to choose an id.
    #[error("an unlink without an id to a peer that wants one")]
    UnlinkWithoutId,
}

impl Signal {
    /// The control message, and the payload that follows it, for a connection with these agreed flags.
    pub fn to_wire(&self, flags: DistFlags) -> Result<(ControlMessage, Option<&Term>), NotSent> {
        let has = |flag| flags.contains(flag);
        let token = |token: &Option<SeqToken>| {
            token.clone().filter(|token| has(DistFlags::BIG_SEQTRACE_LABELS) || token.has_small_label())
        };
        let altact = |from: &etf::Pid, to: SignalTarget, seq_token, priority, exit| {
            let (from, token) = (from.clone(), token(seq_token));
            ControlMessage::AltactSigSend { priority, exit, from, to, token, unknown_flags: 0 }
        };
        Ok(match self {
            Self::Send { from: Some(from), to, message, token, priority: true }
                if has(DistFlags::ALTACT_SIG) =>
            {
                (altact(from, SignalTarget::Pid(to.clone()), token, true, false), Some(message))
            }
            Self::Send { from, to, message, token: seq_token, priority: _ } => {
                let (to, token) = (to.clone(), token(seq_token));
                let control = match from {
                    Some(from) if has(DistFlags::SEND_SENDER) => {
                        ControlMessage::SendSender { from: from.clone(), to, token }
                    }
                    _ => ControlMessage::Send { to, token },
                };
                (control, Some(message))
            }
            Self::RegSend { from, to, message, token, priority: true } if has(DistFlags::ALTACT_SIG) => {
                (altact(from, SignalTarget::Name(to.clone()), token, true, false), Some(message))
            }
            Self::RegSend { from, to, message, token: seq_token, priority: _ } => {
                let (from, to, token) = (from.clone(), to.clone(), token(seq_token));
                (ControlMessage::RegSend { from, to, token }, Some(message))
            }
            Self::AliasSend { from, to, message, token, priority } if has(DistFlags::ALTACT_SIG) => {
                (altact(from, SignalTarget::Alias(to.clone()), token, *priority, false), Some(message))
            }
            Self::AliasSend { from, to, message, token: seq_token, priority: _ } => {
                if !has(DistFlags::ALIAS) {
                    return Err(Withheld::Alias.into());
                }
                let (from, to, token) = (from.clone(), to.clone(), token(seq_token));
                (ControlMessage::AliasSend { from, to, token }, Some(message))
            }
            Self::Link { from, to } => (ControlMessage::Link { from: from.clone(), to: to.clone() }, None),
            Self::Unlink { id, from, to } => {
                let (from, to) = (from.clone(), to.clone());
                let control = match id {
                    Some(id) if has(DistFlags::UNLINK_ID) => ControlMessage::UnlinkId { id: *id, from, to },
                    None if has(DistFlags::UNLINK_ID) => return Err(NotSent::UnlinkWithoutId),
                    Some(_) | None => ControlMessage::Unlink { from, to },
                };
                (control, None)
            }
            // Not asked for the flag: it answers the peer's own UNLINK_ID.
            Self::UnlinkAck { id, from, to } => {
                (ControlMessage::UnlinkIdAck { id: *id, from: from.clone(), to: to.clone() }, None)
            }
            Self::Exit { from, to, reason, token: seq_token } => {
                let (from, to, token) = (from.clone(), to.clone(), token(seq_token));
                if has(DistFlags::EXIT_PAYLOAD) {
                    (ControlMessage::PayloadExit { from, to, token }, Some(reason))
                } else {
                    (ControlMessage::Exit { from, to, token, reason: reason.clone() }, None)
                }
            }
            Self::Exit2 { from, to: SignalTarget::Pid(to), reason, token: seq_token, priority }
                if !(*priority && has(DistFlags::ALTACT_SIG)) =>
            {
                let (from, to, token) = (from.clone(), to.clone(), token(seq_token));
                if has(DistFlags::EXIT_PAYLOAD) {
                    (ControlMessage::PayloadExit2 { from, to, token }, Some(reason))
                } else {
                    (ControlMessage::Exit2 { from, to, token, reason: reason.clone() }, None)
                }
            }
            Self::Exit2 { from, to, reason, token, priority } => {
                if !has(DistFlags::ALTACT_SIG) {
                    return Err(Withheld::ExitToAlias.into());
                }
                (altact(from, to.clone(), token, *priority, true), Some(reason))
            }
            Self::Monitor { .. } | Self::Demonitor { .. } | Self::MonitorExit { .. }
                if !has(DistFlags::DIST_MONITOR.with(DistFlags::DIST_MONITOR_NAME)) =>
            {
                return Err(Withheld::Monitors.into());
            }
            Self::Monitor { from, to, reference } => {
                let (from, to, reference) = (from.clone(), to.clone(), reference.clone());
                (ControlMessage::MonitorP { from, to, reference }, None)
            }
            Self::Demonitor { from, to, reference } => {
                let (from, to, reference) = (from.clone(), to.clone(), reference.clone());
                (ControlMessage::DemonitorP { from, to, reference }, None)
            }
            Self::MonitorExit { from, sender: _, to, reference, reason } => {
                let (from, to, reference) = (from.clone(), to.clone(), reference.clone());
                if has(DistFlags::EXIT_PAYLOAD) {
                    (ControlMessage::PayloadMonitorPExit { from, to, reference }, Some(reason))
                } else {
                    (ControlMessage::MonitorPExit { from, to, reference, reason: reason.clone() }, None)
                }
            }
            Self::SpawnRequest { request, args } => {
                if !has(DistFlags::SPAWN) {
                    return Err(Withheld::Spawn.into());
                }
                let mut request = request.clone();
                request.token = token(&request.token);
                (ControlMessage::SpawnRequest(request), Some(args))
            }
            // Not asked for the flag: it answers the peer's own SPAWN_REQUEST.
            Self::SpawnReply { request_id, to, flags, result, token: seq_token } => {
                let control = ControlMessage::SpawnReply {
                    request_id: request_id.clone(),
                    to: to.clone(),
                    flags: *flags,
                    result: result.clone(),
                    token: token(seq_token),
                };
                (control, None)
            }
            Self::GroupLeader { leader, member } => {
                (ControlMessage::GroupLeader { leader: leader.clone(), member: member.clone() }, None)
            }
        })
    }
}
