//! x
#![forbid(unsafe_code)]

pub mod application;
pub mod config;
pub mod engine;
pub mod exchange;
pub mod flags;
pub mod startup;
