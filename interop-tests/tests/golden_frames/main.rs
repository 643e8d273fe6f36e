//! The frames that each OTP release sends for what a node can say: kept in `interop-tests/golden/frames-N.txt`, read as
//! the signals they mean, and written by us as OTP writes them. And the other way: what we write for those signals does
//! in each release what it should.
//!
//! `cargo xtask golden` writes the files anew.

#[path = "../peer_support/mod.rs"]
mod peer_support;
#[path = "../wire_support/mod.rs"]
mod wire_support;

mod capture;
mod effects;
mod files;
mod scenarios;
