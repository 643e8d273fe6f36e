//! `cargo xtask bench`: measures ours and its rivals side by side, and holds the bars against what it finds.
//!
//! Each rival is a program of its own that stays up and is asked for one round after the other ([`program`]). Rounds
//! are interleaved and all programs share one core, so that what the machine does otherwise meets all of them alike.
//! What counts is the median ([`measure`]).

use clap::{Args, Subcommand};

use crate::Failure;

mod bars;
mod dist_ac;
mod etf;
mod lab;
mod link;
mod measure;
mod program;
mod rivals;
mod services;
mod table;
mod works;

/// What `cargo xtask bench` is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The codec of terms, against BEAM, `ei`, eetf and erltf.
    ///
    /// Prints a table for each work, then a line `bar NAME VALUE LIMIT ok` or `... short` for each bar. Times are
    /// medians per operation, taken in one run on one core; a bar named `A/B` is the ratio of two of them. Exits
    /// with 1 if a bar is short or something that it needs is missing (Erlang/OTP with erl_interface, `cc`,
    /// `taskset`), else with 0.
    Etf(etf::Arguments),
    /// Connections between nodes, against BEAM, `ei` and bare TCP.
    ///
    /// Prints a table for each work with the median and the spread of its rounds, then bars as `etf` does. Each round of
    /// a round trip has fresh processes. Ratios are of medians taken in one run, interleaved.
    Link(link::Arguments),
    /// Processes and the services of a node, against the BEAM.
    ///
    /// Prints a table for each work, then bars as `etf` does.
    Services(services::Arguments),
    /// Failovers, splits and heals of distributed applications, beside stock nodes alone.
    ///
    /// Prints a table for each work, then bars as `etf` does.
    #[command(name = "dist_ac", visible_alias = "failover")]
    DistAc(dist_ac::Arguments),
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Etf(arguments) => etf::run(arguments),
        What::Link(arguments) => link::run(arguments),
        What::Services(arguments) => services::run(arguments),
        What::DistAc(arguments) => dist_ac::run(arguments),
    }
}
