//! Tests of the whole engine.

mod calls;
mod cluster;
mod exact;
mod noise;
mod random;
mod sim;
mod single;
