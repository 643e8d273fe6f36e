//! Draft.
mod acquire;
mod api;
mod backoff;
pub mod client;
mod engine;
mod locker;
mod locks;
mod names;
mod partition;
mod registrar;
pub mod resolve;
mod session;
mod tables;
pub mod wire;
pub use api::*;
pub use engine::Engine;
#[cfg(test)]
mod tests;
