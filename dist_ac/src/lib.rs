//! x
#![forbid(unsafe_code)]

pub mod application;
pub mod engine;
pub mod exchange;

pub mod flags;
