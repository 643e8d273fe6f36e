//! Tests against running OTP nodes: the harness.
//!
//! A test makes a [`Cluster`], which is an EPMD on a private port, a cookie and a home folder of its own, and starts
//! nodes in it: [`Cluster::erl`] an `erl` of an OTP release ([`Otp`]), [`Cluster::peer`] a `crabnode peer`,
//! [`Cluster::spawn_example`] one of the example applications. [`ErlNode::eval`] says Erlang to a started `erl`. All nodes
//! are called `NAME@localhost`, which both `erl -sname a@localhost` and `crabnode` take as a short name and which
//! resolves on every host. Everything that was started ends with the value that stands for it.
//!
//! Tests are blocking code and fail by panics; nothing here waits without a limit.

#![forbid(unsafe_code)]

mod cluster;
pub use cluster::{Cluster, NodeSpec, within};

pub mod clock;

mod elixir;
pub use elixir::Elixir;

mod epmd_process;
pub use epmd_process::EpmdProcess;

mod erl_node;
pub use erl_node::ErlNode;

mod erl_terms;
pub use erl_terms::{Compared, ErlTerms};

pub mod golden;

mod otp;
pub use otp::Otp;

mod process;
pub use process::Process;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod rust_node;
pub use rust_node::{RustNode, crabnode_binary, example_binary};

mod test_ports;
pub use test_ports::TestPorts;
