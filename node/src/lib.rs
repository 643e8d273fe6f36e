//! A Rust program as a node of an Erlang or Elixir cluster.
#![forbid(unsafe_code)]

mod behaviour;
pub use behaviour::{gen_server, supervisor};
mod clock;
mod config;
pub use config::{Names, NodeConfig};
mod cookie_file;
mod error;
pub use error::{ConnectError, StartError};
mod kernel;
pub use kernel::{erpc, global};
mod net;
mod node;
pub use node::Node;
mod peers;
mod process;
pub use process::{
    Args, CallError, Context, Dest, Exception, Functions, IntoExit, Message, Monitor, Monitored, NameTaken,
    NodeEvent, PendingCall, SpawnOptions,
};
mod router;

pub use etf::{self, Atom, Binary, Map, Pid, Reference, Term, tuple};
