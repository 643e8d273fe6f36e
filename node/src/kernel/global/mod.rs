//! `global`: names that the whole cluster has, and locks (cluster-services.md 1).
//!
//! `engine.rs` is the member of the cluster as a value: what peers say goes in, what is to be said and done comes out.
//! `service.rs` is the three processes around it. [`Global`] is what a program of this node uses.

mod acquire;
mod api;
use api::{Answer, CallResult, Request};
mod backoff;
mod client;
mod engine;
use engine::Engine;
pub(super) mod functions;
mod handle;
pub use handle::{Global, LockId, Resolver, Retries, del_lock, send, set_lock, trans};
mod keeper;
mod locker;
mod locks;
mod log;
mod names;
mod partition;
mod registrar;
mod resolve;
mod resolve_it;
mod service;
mod session;
mod tables;
mod wire;

/// Starts this node's part of `global`.
pub(super) fn start(inner: &std::sync::Arc<crate::node::Inner>) {
    let global = Global(service::start(inner));
    assert!(inner.global.set(global).is_ok(), "the services are started once");
}

#[cfg(test)]
mod tests;
