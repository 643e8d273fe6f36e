//! Signals: what processes of two nodes say to each other, whatever operation carries it (wire.md 5).
//!
//! The protocol has up to four operations for one meaning: an `exit/2` is EXIT2, EXIT2_TT, PAYLOAD_EXIT2,
//! PAYLOAD_EXIT2_TT or ALTACT_SIG_SEND, by what the two nodes agreed on. Here each meaning is one variant. On
//! the way out the agreed flags choose the operation ([`Signal::to_wire`]); on the way in every operation is
//! understood, negotiated or not, as the BEAM does ([`Signal::from_wire`]).

use std::num::NonZeroU64;

use etf::{Atom, Pid, Reference, Term};

use crate::{MonitorTarget, SeqToken, SignalTarget, SpawnReplyFlags, SpawnRequest};

mod ends;
pub use ends::EndsError;
mod inbound;
pub use inbound::PayloadMissing;
mod outbound;
pub use outbound::{NotSent, Withheld};

/// A signal from a process of one node to a process of the other.
///
/// | signal | operations, by preference | without the flag |
/// |---|---|---|
/// | `Send` | 22/23 with SEND_SENDER; 37 for priority with ALTACT_SIG | 2/12; priority is lost |
/// | `RegSend` | 6/16; 37 for priority with ALTACT_SIG | priority is lost |
/// | `AliasSend` | 37 with ALTACT_SIG, 33/34 with ALIAS | withheld |
/// | `Link` | 1 | |
/// | `Unlink` | 35 with UNLINK_ID | 4, and no acknowledgement comes |
/// | `UnlinkAck` | 36 | |
/// | `Exit` | 24/25 with EXIT_PAYLOAD | 3/13 |
/// | `Exit2` | 26/27 with EXIT_PAYLOAD; 37 for priority, an alias or a name with ALTACT_SIG | 8/18; priority is lost; to an alias or a name: withheld |
/// | `Monitor`, `Demonitor` | 19, 20 with DIST_MONITOR and DIST_MONITOR_NAME | withheld |
/// | `MonitorExit` | likewise, 28 with EXIT_PAYLOAD | 21 |
/// | `SpawnRequest` | 29/30 with SPAWN | withheld |
/// | `SpawnReply` | 31/32 | |
/// | `GroupLeader` | 7 | |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// A message to a process.
    Send {
        /// The sender, if the message came with one. Only tracing looks at it.
        from: Option<Pid>,
        /// The receiver. One of another node or an old creation is no error: the message is dropped.
        to: Pid,
        /// The message.
        message: Term,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// Whether it goes before what waits already (OTP 28).
        priority: bool,
    },
    /// A message to a registered name.
    RegSend {
        /// The sender.
        from: Pid,
        /// The name.
        to: Atom,
        /// The message.
        message: Term,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// Whether it goes before what waits already (OTP 28).
        priority: bool,
    },
    /// A message to an alias.
    AliasSend {
        /// The sender.
        from: Pid,
        /// The alias.
        to: Reference,
        /// The message.
        message: Term,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// Whether it goes before what waits already (OTP 28).
        priority: bool,
    },
    /// A process links to another.
    Link {
        /// The process that links.
        from: Pid,
        /// The process it links to; if there is none, the answer is an [`Signal::Exit`] with `noproc`.
        to: Pid,
    },
    /// A process takes a link back.
    Unlink {
        /// What the acknowledgement repeats. Nothing from a node without UNLINK_ID, which waits for none.
        /// Towards such a node the id is left out, and the sender is to take the unlink as acknowledged.
        id: Option<NonZeroU64>,
        /// The process that takes it back.
        from: Pid,
        /// The other end.
        to: Pid,
    },
    /// The answer to [`Signal::Unlink`] with an id, to be sent before any other signal to that process.
    UnlinkAck {
        /// The id of the unlink.
        id: NonZeroU64,
        /// The process that acknowledges.
        from: Pid,
        /// The process that took the link back.
        to: Pid,
    },
    /// A linked process ended. Counts only if the link is there.
    Exit {
        /// The process that ended.
        from: Pid,
        /// The process linked to it.
        to: Pid,
        /// Why it ended.
        reason: Term,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// `exit/2`: counts without a link; the reason `kill` cannot be trapped.
    Exit2 {
        /// The process that called it.
        from: Pid,
        /// The process to end.
        to: SignalTarget,
        /// The reason.
        reason: Term,
        /// The sequential trace token.
        token: Option<SeqToken>,
        /// Whether it goes before what waits already (OTP 28).
        priority: bool,
    },
    /// A process monitors a process or a name.
    Monitor {
        /// The process that monitors.
        from: Pid,
        /// What it monitors; if there is none, the answer is a [`Signal::MonitorExit`] with `noproc`.
        to: MonitorTarget,
        /// The monitor.
        reference: Reference,
    },
    /// A process takes a monitor back. Unknown ones are no error.
    Demonitor {
        /// The process that monitored.
        from: Pid,
        /// What it monitored.
        to: MonitorTarget,
        /// The monitor.
        reference: Reference,
    },
    /// A monitored process ended. Unknown monitors are no error.
    MonitorExit {
        /// What ended: the name, if the monitor was set on a name.
        from: MonitorTarget,
        /// The process that ended, where `from` does not say it. It is not on the wire, but keeps its end behind what it
        /// sent before; nothing where nobody had the name, and in what was received.
        sender: Option<Pid>,
        /// The process that monitors.
        to: Pid,
        /// The monitor.
        reference: Reference,
        /// Why it ended.
        reason: Term,
    },
    /// A process asks for a new process.
    SpawnRequest {
        /// Who asks for what.
        request: Box<SpawnRequest>,
        /// The arguments: a proper list, unless the peer breaks the rules.
        args: Term,
    },
    /// The answer to [`Signal::SpawnRequest`]. Unknown requests are no error.
    SpawnReply {
        /// The request.
        request_id: Reference,
        /// The process that asked.
        to: Pid,
        /// What was set up.
        flags: SpawnReplyFlags,
        /// The new process, or why there is none.
        result: Result<Pid, Atom>,
        /// The sequential trace token.
        token: Option<SeqToken>,
    },
    /// A process gets another group leader.
    GroupLeader {
        /// The group leader, of any node.
        leader: Pid,
        /// The process that gets it.
        member: Pid,
    },
}

impl Signal {
    /// The process that sends it, if it is known which: behind what that one sent before, it must not come first.
    #[must_use]
    pub fn from(&self) -> Option<&Pid> {
        match self {
            Self::Send { from, .. } => from.as_ref(),
            Self::RegSend { from, .. }
            | Self::AliasSend { from, .. }
            | Self::Link { from, .. }
            | Self::Unlink { from, .. }
            | Self::UnlinkAck { from, .. }
            | Self::Exit { from, .. }
            | Self::Exit2 { from, .. }
            | Self::Monitor { from, .. }
            | Self::Demonitor { from, .. }
            | Self::MonitorExit { from: MonitorTarget::Pid(from), .. } => Some(from),
            Self::SpawnRequest { request, .. } => Some(&request.from),
            // The new process's first word: a BEAM that hears of its end before ends the connection.
            Self::SpawnReply { result, .. } => result.as_ref().ok(),
            Self::MonitorExit { sender, .. } => sender.as_ref(),
            Self::GroupLeader { .. } => None,
        }
    }

    /// The same message or `exit/2` with priority. It counts where the receiver is an alias that allows it; a peer that
    /// knows no priority gets it without. Other signals have none.
    #[must_use]
    pub fn with_priority(mut self) -> Self {
        if let Self::Send { priority, .. }
        | Self::RegSend { priority, .. }
        | Self::AliasSend { priority, .. }
        | Self::Exit2 { priority, .. } = &mut self
        {
            *priority = true;
        }
        self
    }
}

#[cfg(test)]
mod tests;
