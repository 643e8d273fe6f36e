//! Sockets: listening, dialling, the handshake, and the link that a finished handshake becomes.

mod attempt;
pub(crate) use attempt::Attempt;
mod bells;
pub(crate) use bells::Bells;
mod busy;
pub(crate) use busy::Awake;
mod dialer;
mod link;
pub(crate) use link::run as run_link;
mod listener;
pub(crate) use listener::listen;
mod pressure;
pub(crate) use pressure::BusySender;
pub use pressure::{BusyEvent, BusyEvents};
mod route;
pub(crate) use route::{Pushed, Route, RouteLimits};
mod session;
pub(crate) use session::{Arbiter, initiate};
mod stats;
pub use stats::LinkInfo;
pub(crate) use stats::{Facts, describe as describe_metrics};
