//! x
#![forbid(unsafe_code)]

pub mod application;
pub use application::{
    RestartType, StartType,
    master::{Application, Start, Started},
    spec::Spec,
};
pub mod config;
pub use config::SysConfig;
pub mod engine;
pub mod exchange;
pub mod flags;
mod service;
pub use service::{Applications, BootError, Builder};
pub mod startup;
