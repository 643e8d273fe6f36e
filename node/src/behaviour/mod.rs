//! OTP's behaviours, for processes written in Rust, and their callers (cluster-services 2.1 to 2.3).

pub mod gen_event;
pub mod gen_server;
pub(crate) use gen_server::alias_in;
pub mod gen_statem;
pub mod supervisor;
pub(crate) use supervisor::ChildSpecs;
pub mod sys;
