//! The services that every node has, so that others find what they expect (cluster-services.md 2).

use std::sync::Arc;

use etf::Atom;

use crate::{SpawnOptions, node::Inner};

pub mod erpc;
mod functions;
pub(crate) use functions::ping;
pub use functions::{Args, Functions};
pub mod global;
pub(crate) use global::Global;
pub(crate) mod global_group;
mod monitor_nodes;
pub(crate) use monitor_nodes::Subscribers;
pub use monitor_nodes::{MonitorNodes, NodeInfo, NodeType};
mod net_kernel;
mod observer_backend;
pub mod pg;
mod rex;
pub mod rpc;
mod shell;
mod user;

/// Starts them, each under its registered name.
pub(crate) fn start(inner: &Arc<Inner>) {
    user::start(inner);
    functions::insert_all(inner);
    let named = |name: &'static str| SpawnOptions {
        name: Some(Atom::from_static(name)),
        initial_call: Some((Atom::from_static(name), Atom::from_static("init"), 1)),
        ..SpawnOptions::default()
    };
    let fresh = "nothing has been registered yet";
    let process = inner.new_process(named("net_kernel")).expect(fresh);
    inner.run_process(process, net_kernel::run);
    let process = inner.new_process(named("rex")).expect(fresh);
    inner.run_process(process, rex::run);
    global::start(inner);
    pg::init(inner);
    let process = inner.new_process(named("global_group")).expect(fresh);
    inner.run_process(process, global_group::run);
}
