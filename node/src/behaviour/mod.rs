//! OTP's behaviours, for processes written in Rust.

pub mod gen_server;
pub mod supervisor;
