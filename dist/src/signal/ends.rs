//! Whether a signal's two ends are the two ends of the connection (wire.md 5, 5.5).

use etf::{Atom, Pid, Reference};

use super::Signal;
use crate::{MonitorTarget, SignalTarget};

/// A signal that says to come from a node that is not at the other end, or is for a node that is not at this
/// one. The BEAM ends the connection; otherwise a peer could break links and monitors of third nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndsError {
    /// The sender is no process of the peer.
    #[error("the sender is on {node}, which is not the peer")]
    ForeignSender {
        /// The sender's node.
        node: Atom,
    },
    /// The receiver is no process of this node.
    #[error("the receiver is on {node}, which is not this node")]
    ForeignReceiver {
        /// The receiver's node.
        node: Atom,
    },
}

impl Signal {
    /// Checks that a received signal is from `peer` to this node, `own`, for the signals that change the state
    /// of links, monitors and requests. Messages and group leaders are not checked, as on the BEAM: the router
    /// drops those for other nodes.
    ///
    /// A node is its name here. A receiver of an old creation of this node is the router's affair.
    pub fn check_ends(&self, own: &Atom, peer: &Atom) -> Result<(), EndsError> {
        let is_from = |from: &Pid| sender(from.node(), peer);
        let is_to = |to: &Pid| receiver(to.node(), own);
        match self {
            Self::Send { .. } | Self::RegSend { .. } | Self::AliasSend { .. } | Self::GroupLeader { .. } => {
                Ok(())
            }
            Self::Link { from, to }
            | Self::Unlink { from, to, .. }
            | Self::UnlinkAck { from, to, .. }
            | Self::Exit { from, to, .. }
            | Self::Exit2 { from, to: SignalTarget::Pid(to), .. }
            | Self::Monitor { from, to: MonitorTarget::Pid(to), .. }
            | Self::Demonitor { from, to: MonitorTarget::Pid(to), .. } => is_from(from).and(is_to(to)),
            Self::Exit2 { from, to: SignalTarget::Alias(_) | SignalTarget::Name(_), .. }
            | Self::Monitor { from, to: MonitorTarget::Name(_), .. }
            | Self::Demonitor { from, to: MonitorTarget::Name(_), .. } => is_from(from),
            Self::MonitorExit { from: MonitorTarget::Pid(from), to, .. } => is_from(from).and(is_to(to)),
            Self::MonitorExit { from: MonitorTarget::Name(_), to, .. } => is_to(to),
            Self::SpawnRequest { request, .. } => {
                is_from(&request.from).and(sender(request.request_id.node(), peer))
            }
            Self::SpawnReply { request_id, to, result, .. } => {
                let from = result.as_ref().map_or(Ok(()), is_from);
                from.and(is_to(to)).and(is_own_reference(request_id, own))
            }
        }
    }
}

fn sender(node: &Atom, peer: &Atom) -> Result<(), EndsError> {
    if node == peer { Ok(()) } else { Err(EndsError::ForeignSender { node: node.clone() }) }
}

fn receiver(node: &Atom, own: &Atom) -> Result<(), EndsError> {
    if node == own { Ok(()) } else { Err(EndsError::ForeignReceiver { node: node.clone() }) }
}

fn is_own_reference(reference: &Reference, own: &Atom) -> Result<(), EndsError> {
    receiver(reference.node(), own)
}
