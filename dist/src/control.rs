//! Control messages: the tuple at the start of every message between nodes (wire.md 5).
//!
//! A [`ControlMessage`] is what stands on the wire, one variant for each operation; the operations that differ
//! only by a sequential trace token (`SEND` and `SEND_TT`) share a variant with an optional token.
//! What a node works with is the [`Signal`](crate::Signal), which does not know of operations.

use std::num::NonZeroU64;

use etf::{Atom, Pid, Reference, Term};

use crate::Op;

mod decode;
mod encode;
mod error;
pub use error::{ControlError, Kind};
mod spawn;
pub use spawn::{
    AliasMode, BadSpawnOptions, Mfa, MonitorOptions, SpawnOptions, SpawnReplyFlags, SpawnReplyFlagsError,
};
mod token;
pub use token::SeqToken;

/// A control message. The shape of each tuple is beside its variant; `P` says that a payload term follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlMessage {
    /// `{1,From,To}`
    Link {
        /// The process that links.
        from: Pid,
        /// The process it links to.
        to: Pid,
    },
    /// `{2,'',To}` P, `{12,'',To,Token}` P. Old C nodes put a cookie where `''` stands; it is ignored, as
    /// OTP ignores it.
    Send {
        /// The receiver.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{3,From,To,Reason}`, `{13,From,To,Token,Reason}`
    Exit {
        /// The process that ended.
        from: Pid,
        /// The process that was linked to it.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// Why it ended.
        reason: Term,
    },
    /// `{4,From,To}`
    Unlink {
        /// The process that takes the link back.
        from: Pid,
        /// The other end of the link.
        to: Pid,
    },
    /// `{6,From,'',Name}` P, `{16,From,'',Name,Token}` P
    RegSend {
        /// The sender.
        from: Pid,
        /// The registered name of the receiver.
        to: Atom,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{7,Leader,Member}`
    GroupLeader {
        /// The group leader, of any node.
        leader: Pid,
        /// The process that gets it.
        member: Pid,
    },
    /// `{8,From,To,Reason}`, `{18,From,To,Token,Reason}`
    Exit2 {
        /// The process that called `exit/2`.
        from: Pid,
        /// The process to end.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// The reason.
        reason: Term,
    },
    /// `{19,From,ToPidOrName,Ref}`
    MonitorP {
        /// The process that monitors.
        from: Pid,
        /// What it monitors.
        to: MonitorTarget,
        /// The monitor.
        reference: Reference,
    },
    /// `{20,From,ToPidOrName,Ref}`
    DemonitorP {
        /// The process that monitored.
        from: Pid,
        /// What it monitored.
        to: MonitorTarget,
        /// The monitor.
        reference: Reference,
    },
    /// `{21,FromPidOrName,To,Ref,Reason}`
    MonitorPExit {
        /// What ended: the name if the monitor was by name.
        from: MonitorTarget,
        /// The process that monitored it.
        to: Pid,
        /// The monitor.
        reference: Reference,
        /// Why it ended.
        reason: Term,
    },
    /// `{22,From,To}` P, `{23,From,To,Token}` P
    SendSender {
        /// The sender.
        from: Pid,
        /// The receiver.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{24,From,To}` P, `{25,From,To,Token}` P
    PayloadExit {
        /// The process that ended.
        from: Pid,
        /// The process that was linked to it.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{26,From,To}` P, `{27,From,To,Token}` P
    PayloadExit2 {
        /// The process that called `exit/2`.
        from: Pid,
        /// The process to end.
        to: Pid,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{28,FromPidOrName,To,Ref}` P
    PayloadMonitorPExit {
        /// What ended: the name if the monitor was by name.
        from: MonitorTarget,
        /// The process that monitored it.
        to: Pid,
        /// The monitor.
        reference: Reference,
    },
    /// `{29,ReqId,From,GroupLeader,{M,F,Arity},Opts}` P, `{30,ReqId,From,GroupLeader,{M,F,Arity},Opts,Token}` P
    SpawnRequest(Box<SpawnRequest>),
    /// `{31,ReqId,To,Flags,Result}`, `{32,ReqId,To,Flags,Result,Token}`
    SpawnReply {
        /// The request that is answered.
        request_id: Reference,
        /// The process that asked.
        to: Pid,
        /// What was set up for it.
        flags: SpawnReplyFlags,
        /// The new process, or why there is none (`badopt`, `system_limit`, …).
        result: Result<Pid, Atom>,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{33,From,Alias}` P, `{34,From,Alias,Token}` P
    AliasSend {
        /// The sender.
        from: Pid,
        /// The receiver's alias.
        to: Reference,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `{35,Id,From,To}`
    UnlinkId {
        /// What the acknowledgement is to repeat.
        id: NonZeroU64,
        /// The process that takes the link back.
        from: Pid,
        /// The other end of the link.
        to: Pid,
    },
    /// `{36,Id,From,To}`
    UnlinkIdAck {
        /// The id of the unlink that is acknowledged. No unlink has the id 0, so an acknowledgement with it is
        /// refused too.
        id: NonZeroU64,
        /// The process that acknowledges.
        from: Pid,
        /// The process that took the link back.
        to: Pid,
    },
    /// `{37,Flags,From,To}` P, `{37,Flags,From,To,Token}` P
    AltactSigSend {
        /// Flag 1: whether the receiver is to see it before what waits already.
        priority: bool,
        /// Flag 16: an exit signal, with the reason as payload; else a message.
        exit: bool,
        /// The sender.
        from: Pid,
        /// The receiver; flag 4 for an alias, flag 8 for a name.
        to: SignalTarget,
        /// The sequential trace token; flag 2.
        token: Option<SeqToken>,
        /// The flags 32 and up, which later releases may give a meaning; of a larger integer the lowest 64 bits.
        unknown_flags: u64,
    },
}

/// What a `spawn_request` says, without its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnRequest {
    /// What the reply is to repeat; also the reference of the monitor, if one is asked for.
    pub request_id: Reference,
    /// The process that asks.
    pub from: Pid,
    /// The group leader of the new process.
    pub group_leader: Pid,
    /// What to run.
    pub mfa: Mfa,
    /// How; an error if it is no list, which is answered with `badopt`.
    pub options: Result<SpawnOptions, BadSpawnOptions>,
    /// The sequential trace token.
    pub token: Option<SeqToken>,
}

/// What a monitor is set on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MonitorTarget {
    /// A process.
    Pid(Pid),
    /// A registered name. It stays a name in the `DOWN` message.
    Name(Atom),
}

/// Where an [`Op::AltactSigSend`] goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SignalTarget {
    /// A process.
    Pid(Pid),
    /// An alias of a process.
    Alias(Reference),
    /// A registered name.
    Name(Atom),
}

impl ControlMessage {
    /// The operation that stands on the wire.
    #[must_use]
    pub fn op(&self) -> Op {
        let either = |token: &Option<SeqToken>, without, with| if token.is_some() { with } else { without };
        match self {
            Self::Link { .. } => Op::Link,
            Self::Send { token, .. } => either(token, Op::Send, Op::SendTt),
            Self::Exit { token, .. } => either(token, Op::Exit, Op::ExitTt),
            Self::Unlink { .. } => Op::Unlink,
            Self::RegSend { token, .. } => either(token, Op::RegSend, Op::RegSendTt),
            Self::GroupLeader { .. } => Op::GroupLeader,
            Self::Exit2 { token, .. } => either(token, Op::Exit2, Op::Exit2Tt),
            Self::MonitorP { .. } => Op::MonitorP,
            Self::DemonitorP { .. } => Op::DemonitorP,
            Self::MonitorPExit { .. } => Op::MonitorPExit,
            Self::SendSender { token, .. } => either(token, Op::SendSender, Op::SendSenderTt),
            Self::PayloadExit { token, .. } => either(token, Op::PayloadExit, Op::PayloadExitTt),
            Self::PayloadExit2 { token, .. } => either(token, Op::PayloadExit2, Op::PayloadExit2Tt),
            Self::PayloadMonitorPExit { .. } => Op::PayloadMonitorPExit,
            Self::SpawnRequest(request) => either(&request.token, Op::SpawnRequest, Op::SpawnRequestTt),
            Self::SpawnReply { token, .. } => either(token, Op::SpawnReply, Op::SpawnReplyTt),
            Self::AliasSend { token, .. } => either(token, Op::AliasSend, Op::AliasSendTt),
            Self::UnlinkId { .. } => Op::UnlinkId,
            Self::UnlinkIdAck { .. } => Op::UnlinkIdAck,
            Self::AltactSigSend { .. } => Op::AltactSigSend,
        }
    }

    /// The control message of a tuple.
    pub fn from_term(term: Term) -> Result<Self, ControlError> {
        decode::from_term(term)
    }

    /// The same, of the tuple's elements, which are taken out of the buffer.
    pub(crate) fn from_elements(elements: &mut Vec<Term>) -> Result<Self, ControlError> {
        decode::from_elements(elements.drain(..))
    }

    /// The tuple of the control message.
    #[must_use]
    pub fn to_term(&self) -> Term {
        encode::to_term(self)
    }
}

impl From<MonitorTarget> for Term {
    fn from(target: MonitorTarget) -> Self {
        match target {
            MonitorTarget::Pid(pid) => pid.into(),
            MonitorTarget::Name(name) => name.into(),
        }
    }
}

impl From<SignalTarget> for Term {
    fn from(target: SignalTarget) -> Self {
        match target {
            SignalTarget::Pid(pid) => pid.into(),
            SignalTarget::Alias(alias) => alias.into(),
            SignalTarget::Name(name) => name.into(),
        }
    }
}

/// Flags of [`Op::AltactSigSend`].
mod altact {
    pub(super) const PRIORITY: u64 = 1;
    pub(super) const TOKEN: u64 = 2;
    pub(super) const ALIAS: u64 = 4;
    pub(super) const NAME: u64 = 8;
    pub(super) const EXIT: u64 = 16;
    pub(super) const KNOWN: u64 = PRIORITY | TOKEN | ALIAS | NAME | EXIT;
}

#[cfg(test)]
pub(crate) mod tests;
