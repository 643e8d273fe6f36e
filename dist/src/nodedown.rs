//! Why a connection ended, in OTP's words (wire.md 6).

use etf::Atom;

/// What `net_kernel:monitor_nodes/2` with `nodedown_reason` says of the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodedownReason {
    /// The connection was closed or reset by the peer or the network.
    ConnectionClosed,
    /// The peer broke the protocol.
    Killed,
    /// A frame was too long.
    Emsgsize,
    /// `erlang:disconnect_node/1` was called here.
    Disconnect,
    /// Nothing came from the peer for `net_ticktime`.
    NetTickTimeout,
    /// A tick could not be written.
    SendNetTickFailed,
    /// The connection could not be set up.
    ConnectionSetupFailed,
    /// There is no network.
    NoNetwork,
    /// The node stops.
    NetKernelTerminated,
    /// The connection was given up, for no reason of its own.
    Shutdown,
}

impl NodedownReason {
    /// OTP's atom.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionClosed => "connection_closed",
            Self::Killed => "killed",
            Self::Emsgsize => "emsgsize",
            Self::Disconnect => "disconnect",
            Self::NetTickTimeout => "net_tick_timeout",
            Self::SendNetTickFailed => "send_net_tick_failed",
            Self::ConnectionSetupFailed => "connection_setup_failed",
            Self::NoNetwork => "no_network",
            Self::NetKernelTerminated => "net_kernel_terminated",
            Self::Shutdown => "shutdown",
        }
    }
}

impl From<NodedownReason> for Atom {
    fn from(reason: NodedownReason) -> Self {
        Self::from_static(reason.as_str())
    }
}

impl std::fmt::Display for NodedownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
