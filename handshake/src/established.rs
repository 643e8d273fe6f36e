//! What a finished handshake proves.

use bytes::Bytes;

use crate::flags::DistFlags;
use crate::name::{Creation, NodeName};

/// Both sides have proved that they know the cookie; the connected protocol starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The peer's name.
    pub peer: NodeName,
    /// Which life of the peer.
    pub peer_creation: Creation,
    /// The peer's flags, after expansion.
    pub peer_flags: DistFlags,
    /// The flags agreed on: those both sides offered, after expansion. The connection is visible if PUBLISHED is
    /// among them.
    pub flags: DistFlags,
    /// Bytes of the peer that came behind its last handshake message: the first of the connected protocol.
    pub leftover: Bytes,
    /// The name the peer gave us, if we asked for one.
    pub given: Option<GivenName>,
}

/// A name given to a node that had none (wire.md 2.6). It holds as long as the connection that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenName {
    /// Our name from now on.
    pub name: NodeName,
    /// Our creation from now on.
    pub creation: Creation,
}
