//! Erlang's I/O protocol, both ways (cluster-services.md 2.9).
//!
//! What a process prints goes to its group leader, wherever that is: the output of a function that a BEAM calls here
//! appears at the BEAM's terminal, and that of a function called there appears here.
//!
//! ```no_run
//! # use crabnode::{Context, Term, io};
//! # async fn f(mut context: Context) -> Result<(), io::IoError> {
//! io::format(&mut context, "~ts has ~p~n", vec![Term::charlist("å"), Term::list([1.into()])]).await?;
//! let name = io::get_line(&mut context, "your name? ").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`start_group_leader`] makes a process that others' output goes to. Each node has one under the name `user`, which
//! prints to [`NodeConfig::output`](crate::NodeConfig::output): what a program starts by
//! [`Node::spawn`](crate::Node::spawn) prints there.

mod client;
pub use client::{IoError, format, get_line, put_chars, request};
mod device;
pub use device::{Input, Line, NoInput, Output, Read, Sink};
mod leader;
pub(crate) use leader::start;
pub use leader::start_group_leader;
mod reader;
mod requests;
mod serve;
pub(crate) use serve::{formatted, text_of};
