//! Tests of the whole engine.

mod cluster;
mod exact;
mod sim;
