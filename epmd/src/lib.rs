//! EPMD, the Erlang port mapper daemon: client and server (wire.md 1).
//!
//! Each host has one EPMD. A node [registers](EpmdClient::register) its name and port with the one on its own
//! host and holds that connection, the [`Lease`], as long as it lives; [`keep`] renews a lost one. Who wants to
//! connect to `alive@host` [asks](EpmdClient::lookup) the EPMD on that host for the port.
//!
//! [`EpmdServer`] is a drop-in for OTP's daemon, to run by itself or inside a node on a host without one.
//!
//! The messages are values in [`message`], the server is a value in [`machine`], with its table of names in
//! [`registry`]: none has I/O. [`client`](EpmdClient) and [`server`](EpmdServer) are thin drivers around them, on
//! tokio.

mod accept;
mod client;
mod error;
mod keeper;
mod listen;
pub mod machine;
pub mod message;
pub mod registry;
mod server;

pub use client::{EPMD_PORT_DEFAULT, EpmdClient, KillAnswer, Lease, Registration, StopAnswer, port_from_env};
pub use error::{BadPort, EpmdError};
pub use keeper::{LeaseEvent, RETRY_INTERVAL, keep};
pub use listen::{BadAddress, parse_addresses};
pub use message::{NodeEntry, NodeType};
pub use server::{EpmdServer, ServerConfig};
