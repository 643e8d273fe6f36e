//! `pg`: named groups of processes, which every node of the cluster sees (cluster-services.md 2.7).
//!
//! ```no_run
//! use crabnode::{Node, Term, pg};
//!
//! # async fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
//! let scope = pg::start(node, "orders")?;
//! let group = Term::atom("printers");
//! let printer = node.spawn(async |mut context| {
//!     context.receive().await;
//! });
//! scope.join(&group, &[printer.clone()]).await?;
//! assert_eq!(scope.get_local_members(&group), [printer]);
//! # Ok(())
//! # }
//! ```
//!
//! A scope is a process of this node, registered by the scope's name; the scopes of that name on the nodes that are
//! connected tell each other who joins and leaves. What a node sees is right after a while: nobody waits for others,
//! and a node that is lost takes its members along. The scope `pg` is that of OTP's functions without a scope;
//! [`NodeConfig::start_pg`](crate::NodeConfig::start_pg) starts it with the node.
//!
//! `engine.rs` is the scope as a value, `service.rs` the process around it.

mod engine;
pub(super) mod functions;
mod handle;
pub use handle::{Event, Left, PgError, Scope, Subscription, scope, start};
mod members;
mod service;
pub(crate) use service::Scopes;
mod wire;
pub use wire::Change;

/// The scope of functions that are not given one.
pub const DEFAULT_SCOPE: &str = "pg";

/// Starts the default scope where it is wanted.
pub(super) fn init(inner: &std::sync::Arc<crate::node::Inner>) {
    if inner.config.start_pg {
        service::keep(inner, DEFAULT_SCOPE);
    }
}

#[cfg(test)]
mod tests;
