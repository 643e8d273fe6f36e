//! The Erlang distribution handshake, without I/O (wire.md 2 and 3).
//!
//! Names and flags first: [`NodeName`] is who a node is, [`DistFlags`] is what it can do.

mod flags;
mod name;

pub use flags::{DistFlags, FlagRow};
pub use name::{Creation, NodeName, NodeNameError};
