//! Items 38 to 63 of wire.md 12: signals, the frames that carry them, and what is no signal.

#[path = "../peer_support/mod.rs"]
mod peer_support;
#[path = "../wire_support/mod.rs"]
mod wire_support;

mod actor;
mod damage;
mod frames;
mod links;
mod messages;
mod monitors;
mod options;
mod priority;
mod spawns;
mod verdicts;
