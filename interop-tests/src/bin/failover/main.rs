//! What `cargo xtask bench dist_ac` runs: distributed applications on clusters of BEAM and Rust nodes, killed, split and
//! healed over and over.
//!
//! `failover measure` prints a table for each work, and lines `found NAME VALUE LIMIT most|least`, which the command makes
//! its bars of. `failover node` is a member of ours.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figures go to stdout")]

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use interop_tests::Otp;

mod asker;
mod figures;
mod lab;
mod node;
mod works;

#[derive(Parser)]
#[command(name = "failover", about = "Failovers, splits and heals of distributed applications, measured")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be a node that can run app1 to app8.
    Node(Box<node::Flags>),
    /// Measure.
    Measure(Measure),
}

/// What is measured.
#[derive(Args)]
struct Measure {
    /// The OTP release of the BEAM nodes; the newest on this host if not given.
    #[arg(long)]
    otp: Option<u32>,
    /// Only works with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// How many kills and splits there are in each.
    #[arg(long, default_value_t = 50)]
    count: usize,
    /// How many times the sequences L8 and L9 are gone through.
    #[arg(long, default_value_t = 20)]
    sequences: usize,
    /// How many failovers there are in a row on one node.
    #[arg(long, default_value_t = 1000)]
    failovers: usize,
}

fn main() -> ExitCode {
    match Program::parse().command {
        Command::Node(flags) => node::run(*flags),
        Command::Measure(measure) => {
            let otp = measure.otp.map_or_else(Otp::newest, Otp::release);
            match works::run(&otp, &measure) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    println!("FAILED: {failure}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
