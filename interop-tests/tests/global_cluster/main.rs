//! Items 8 to 24 of cluster-services.md 4: `global` in clusters of stock `erl` of every release and nodes of ours.

#[path = "../peer_support/mod.rs"]
mod peer_support;
#[path = "../term_support/mod.rs"]
#[allow(dead_code, reason = "random terms are all that is needed of it")]
mod term_support;

mod fuzz;
mod groups;
mod joins;
mod locks;
mod losses;
mod members;
mod merges;
mod names;
