//! What a handshake is told before it starts.

use std::time::Duration;

use crate::flags::DistFlags;
use crate::name::{Creation, NodeName};

/// Who we are in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalIdentity {
    /// Our name.
    pub name: NodeName,
    /// Our creation.
    pub creation: Creation,
    /// The flags we offer: [`DistFlags::OFFERED`], without PUBLISHED for a hidden node.
    pub flags: DistFlags,
}

/// Rules of a handshake that hold for every peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeConfig {
    /// How long the peer may take for each stage. Default 7 s, OTP's `net_setuptime`; longer only for slow
    /// links, since every silent peer holds a socket that long.
    pub setup_time: Duration,
    /// How a frame's length is written. Default [`LengthPrefix::U16`], for TCP.
    pub prefix: LengthPrefix,
    /// The flags a peer must have. Default [`DistFlags::REQUIRED`].
    pub required: DistFlags,
}

impl Default for HandshakeConfig {
    fn default() -> HandshakeConfig {
        HandshakeConfig {
            setup_time: Duration::from_secs(7),
            prefix: LengthPrefix::U16,
            required: DistFlags::REQUIRED,
        }
    }
}

/// How a handshake frame's length is written (wire.md 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthPrefix {
    /// Two bytes: on TCP.
    U16,
    /// Four bytes: on TLS.
    U32,
}

impl LengthPrefix {
    /// The prefix's own length, in bytes.
    pub const fn size(self) -> usize {
        match self {
            LengthPrefix::U16 => 2,
            LengthPrefix::U32 => 4,
        }
    }
}
