//! A Rust program as a node of an Erlang or Elixir cluster.
//!
//! ```no_run
//! use crabnode::{Node, NodeConfig, Term, erpc};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::start(NodeConfig::new("rust@localhost")).await?;
//! let answer = node
//!     .run(async |mut context| {
//!         erpc::call(&mut context, "beam@localhost", "erlang", "node", vec![], None).await
//!     })
//!     .await;
//! assert_eq!(answer, Some(Ok(Term::atom("beam@localhost"))));
//! # Ok(())
//! # }
//! ```
//!
//! * [`Node`] is the node: other nodes see it, connect to it, call the functions in its [`Functions`].
//! * [`Context`] is a process's view of itself: its mailbox, sending, links, monitors, calls.
//! * [`gen_server`] and [`supervisor`] are OTP's behaviours; [`gen_statem`], [`gen_event`] and [`sys`] what one says to
//!   processes of others; [`erpc`] calls functions of other nodes; [`global`] is the cluster's registry of names, and
//!   its locks; [`pg`] has the cluster's groups of processes.
//! * [`io`] is printing and reading, to and from whoever a process's group leader is.
//!
//! # The way of a message
//!
//! In: `net::link` reads bytes into `dist::Inbound`, which gives signals; `router` finds the process;
//! `process::signals` knows its links and monitors; the mailbox keeps the message until [`Context::receive`].
//! Out: [`Context::send`] gives the router a signal; it goes to a process here, or to the `net::route` of its
//! node, which encodes it into the queue that `net::link` writes. A node that is not connected is dialled.
//! Nothing on the way in waits for a mailbox.
#![forbid(unsafe_code)]

mod allowed;
mod behaviour;
pub use behaviour::{gen_event, gen_server, gen_statem, supervisor, sys};
pub mod carrier;
mod clock;
mod config;
pub use config::{GlobalGroup, Names, NodeConfig};
mod cookie_file;
mod discovery;
pub use discovery::{Discovery, Resolved, Resolver};
mod error;
pub use error::{ConnectError, NamesError, StartError};
pub mod io;
mod kernel;
pub use kernel::{Args, Functions, MonitorNodes, NodeInfo, NodeType, erpc, global, pg, rpc};
mod naming;
mod net;
pub use net::{BusyEvent, BusyEvents, LinkInfo};
mod node;
pub use node::Node;
mod peers;
mod process;
pub use process::{
    AliasOptions, CallError, Context, Dest, Exception, IntoExit, Message, Monitor, Monitored, NameTaken,
    NodeEvent, PendingCall, ProcessHandle, ProcessInfo, SpawnOptions, TrySendError,
};
mod registration;
mod router;

pub use dist::{TickConfigError, TicktimeChange};
pub use etf::{
    self, Atom, Binary, DecodeLimits, Map, Pid, Reference, Term, let_term, match_term, matches_term, term,
    tuple,
};
